# What the scripts share. They are run from the folder above this one (or with BANK set to it).
BANK <- Sys.getenv("BANK", ".")
Sys.setenv(OPENBLAS_NUM_THREADS = "1", OMP_NUM_THREADS = "1")
suppressPackageStartupMessages({
  library(Matrix); library(lme4); library(jsonlite); library(numDeriv)
})
options(digits = 15, warn = 1, contrasts = c("contr.treatment", "contr.poly"))

wj <- function(x, file) {
  dir.create(dirname(file), showWarnings = FALSE, recursive = TRUE)
  writeLines(toJSON(x, digits = NA, auto_unbox = TRUE, na = "null", null = "null",
                    pretty = FALSE, force = TRUE), file)
}
# vectors that must stay arrays even when of length one
A <- function(x) if (is.null(x)) I(list()) else I(unname(as.vector(x)))
mat <- function(m) { m <- as.matrix(m); list(rows = A(rownames(m)), cols = A(colnames(m)),
  values = lapply(seq_len(nrow(m)), function(i) A(m[i, ]))) }
cap <- function(expr) {             # value + captured warnings/messages/error
  w <- character(); 
  v <- tryCatch(withCallingHandlers(expr,
      warning = function(e) { w <<- c(w, paste("warning:", conditionMessage(e))); invokeRestart("muffleWarning") },
      message = function(e) { w <<- c(w, paste("message:", trimws(conditionMessage(e)))); invokeRestart("muffleMessage") }),
    error = function(e) { w <<- c(w, paste("error:", conditionMessage(e))); NULL })
  list(value = v, msgs = w)
}

# ---- data ------------------------------------------------------------------
read_bank <- function(name) {
  sc <- fromJSON(file.path(BANK, "data", paste0(name, ".json")), simplifyVector = FALSE)
  d <- read.csv(file.path(BANK, "data", sc$file), stringsAsFactors = FALSE,
                na.strings = "NA", colClasses = "character", check.names = FALSE)
  for (co in sc$columns) {
    v <- d[[co$name]]
    d[[co$name]] <- switch(co$type,
      float = as.numeric(v), int = as.integer(v),
      factor = factor(v, levels = unlist(co$levels)),
      ordered = factor(v, levels = unlist(co$levels), ordered = TRUE),
      string = v, stop(co$type))
  }
  d
}

# the optimum that 01_fit.R wrote: start of every refit
optimum_of <- function(id) {
  r <- fromJSON(file.path(BANK, "results", paste0(id, ".json")))
  list(theta = as.numeric(r$theta$values), crit = r$criterion)
}

# ---- model helpers -----------------------------------------------------------
mk_call <- function(m, ...) {
  dn <- as.name(paste0("dat_", m$id))
  cl <- list(as.name("lmer"), formula = as.formula(m$r_formula, env = globalenv()), data = dn, REML = m$REML)
  if (!is.null(m$weights)) cl$weights <- as.name(m$weights)
  if (!is.null(m$na_action)) cl$na.action <- as.name(m$na_action)
  ex <- list(...)
  as.call(c(cl, ex))
}
load_dat <- function(m) assign(paste0("dat_", m$id), read_bank(m$data), envir = globalenv())
get_dat <- function(m) get(paste0("dat_", m$id), envir = globalenv())

# an "optimizer" that stays where it is: used to build a merMod at a given theta
noopt <- function(fn, par, lower, upper, control, ...) {
  f <- fn(par); list(par = par, fval = f, feval = 1L, convergence = 0L, conv = 0L, message = "fixed theta")
}
fixed_ctrl <- function(derivs = FALSE) lmerControl(optimizer = "noopt", restart_edge = FALSE, boundary.tol = 0,
  calc.derivs = derivs, check.conv.singular = .makeCC("ignore", tol = 1e-4), check.conv.grad = "ignore",
  check.conv.hess = "ignore", check.rankX = "silent.drop.cols", check.scaleX = "ignore")
fit_at <- function(m, theta) {
  cl <- mk_call(m, start = list(theta = as.numeric(theta)), control = quote(fixed_ctrl()))
  eval(cl, globalenv())
}
tight_bobyqa <- function(f, th, lower, rhobeg = NULL, maxfun = 20000) {
  if (length(th) == 1) {              # minqa::bobyqa needs >= 2 parameters
    r <- nloptr::nloptr(th, f, lb = lower, ub = Inf, opts = list(algorithm = "NLOPT_LN_BOBYQA",
          xtol_abs = 1e-12, xtol_rel = 1e-13, ftol_abs = 1e-13, ftol_rel = 0, maxeval = maxfun))
    return(list(par = r$solution, fval = r$objective, n = r$iterations))
  }
  if (is.null(rhobeg)) rhobeg <- 0.2 * max(0.1, min(1, median(abs(th[th != 0]), na.rm = TRUE)))
  r <- minqa::bobyqa(th, f, lower = lower, control = list(rhobeg = rhobeg, rhoend = rhobeg * 1e-8,
        maxfun = maxfun, iprint = 0))
  list(par = r$par, fval = r$fval, n = r$feval)
}
tight_nlopt <- function(f, th, lower, maxfun = 20000) {
  r <- nloptr::nloptr(th, f, lb = lower, ub = rep(Inf, length(th)), opts = list(algorithm = "NLOPT_LN_BOBYQA",
        xtol_abs = 1e-11, xtol_rel = 1e-12, ftol_abs = 1e-12, ftol_rel = 0, maxeval = maxfun))
  list(par = r$solution, fval = r$objective, n = r$iterations)
}
# Newton polish on the free parameters (those not sitting exactly on a bound)
polish <- function(f, th, lower, maxit = 6, r = 4, dead = integer()) {
  free <- setdiff(which(!(lower == 0 & th == 0)), dead)
  if (!length(free)) return(list(par = th, fval = f(th), grad = numeric(), iter = 0L, hess_min = NA, hess_max = NA, decrement = 0))
  ff <- function(x) { t <- th; t[free] <- x; f(pmax(t, lower)) }
  best <- f(th); gn_prev <- Inf; g <- NULL; H <- NULL; it <- 0L
  for (it in seq_len(maxit)) {
    x <- th[free]
    ma <- list(eps = 1e-4, d = 1e-3, zero.tol = 1e-2, r = r, v = 2)
    # keep finite-difference points inside the bounds
    g <- grad(ff, x, method.args = ma)
    H <- hessian(ff, x, method.args = list(eps = 1e-3, d = 0.02, zero.tol = 1e-2, r = r, v = 2))
    H <- (H + t(H)) / 2
    e <- eigen(H, symmetric = TRUE)
    keep <- e$values > 1e-7 * max(abs(e$values))
    step <- -as.vector(e$vectors[, keep, drop = FALSE] %*% ((t(e$vectors[, keep, drop = FALSE]) %*% g) / e$values[keep]))
    dec <- abs(sum(g * step)) / 2
    s <- 1; ok <- FALSE
    for (k in 1:8) {
      cand <- th; cand[free] <- x + s * step
      if (all(cand >= lower)) { fc <- f(cand); if (is.finite(fc) && fc <= best + 2e-14 * abs(best) + 1e-12) { ok <- TRUE; break } }
      s <- s / 2
    }
    if (!ok) break
    delta <- max(abs(cand - th)); th <- cand; best <- min(best, fc)
    if (delta < 1e-10 || dec < 1e-13) break
  }
  x <- th[free]
  g <- grad(ff, x, method.args = list(eps = 1e-4, d = 1e-3, zero.tol = 1e-2, r = r, v = 2))
  dec <- if (is.null(H)) NA else { e <- eigen(H, symmetric = TRUE); k <- e$values > 1e-7 * max(abs(e$values)); sum((t(e$vectors[, k, drop = FALSE]) %*% g)^2 / e$values[k]) / 2 }
  list(par = th, fval = f(th), grad = g, free = free, iter = it, decrement = dec,
       hess_min = if (is.null(H)) NA else min(eigen(H, symmetric = TRUE)$values),
       hess_max = if (is.null(H)) NA else max(eigen(H, symmetric = TRUE)$values))
}
snap <- function(f, th, fbest, lower, tol = 3e-3, quick = FALSE) {
  tolf <- 1e-9 * max(1, abs(fbest) * 1e-3)
  cand <- which(lower == 0 & th < tol & th >= 0)
  if (!length(cand)) return(list(par = th, fval = fbest, snapped = integer()))
  try_set <- function(idx) {
    t <- th; t[idx] <- 0; free <- setdiff(seq_along(t), idx)
    if (!length(free)) return(list(par = t, fval = f(t)))
    ff <- function(x) { tt <- t; tt[free] <- x; f(tt) }
    o <- tight_bobyqa(ff, t[free], lower[free], rhobeg = 1e-3, maxfun = if (quick) 100 else 5000)
    t[free] <- o$par; list(par = t, fval = o$fval)
  }
  a <- try_set(cand)
  if (a$fval <= fbest + tolf) return(c(a, list(snapped = cand)))
  done <- integer()
  for (i in cand) { b <- try_set(c(done, i)); if (b$fval <= fbest + tolf) { done <- c(done, i); th <- b$par; fbest <- min(fbest, b$fval) } }
  list(par = th, fval = f(th), snapped = done)
}

# index of theta -> (term, column) ; used to zero the columns of Lambda that belong to zero pivots
theta_cols <- function(env_or_cnms) { nc <- lengths(env_or_cnms); unlist(lapply(seq_along(nc), function(k) { unlist(lapply(seq_len(nc[k]), function(j) rep(sprintf("%d.%d", k, j), nc[k] - j + 1))) })) }
clean_cols <- function(f, th, lower, cols, fbest) {
  dead <- integer()
  for (cc in unique(cols[lower == 0 & th == 0])) { ix <- which(cols == cc)
    t <- th; t[ix] <- 0
    if (all(abs(th[ix]) < 2e-3) && f(t) <= fbest + 1e-9) { th <- t; dead <- c(dead, ix) } }
  list(par = th, dead = dead)
}
# Multi-start, two optimisers, snapping to the boundary, Newton polish.
best_theta <- function(m, quick = FALSE, verbose = FALSE, starts = NULL, th_default = NULL) {
  dev <- suppressWarnings(suppressMessages(eval(mk_call(m, devFunOnly = TRUE,
            control = quote(lmerControl(check.rankX = "silent.drop.cols", check.scaleX = "ignore"))), globalenv())))
  env <- environment(dev)
  lower <- env$lower
  nev <- 0L
  f <- function(t) { nev <<- nev + 1L; as.numeric(dev(t)) }
  th0 <- as.numeric(lower == 0)
  S <- list(start1 = th0)
  if (!is.null(th_default)) S$default_opt <- th_default
  if (!quick) {
    set.seed(1); S$small <- 0.2 * th0 + ifelse(lower == 0, 0, 0.01)
    S$large <- 3 * th0
    for (k in 1:5) S[[paste0("rand", k)]] <- ifelse(lower == 0, exp(rnorm(length(th0), -0.5, 0.8)), rnorm(length(th0), 0, 0.4))
  } else S$large <- 1.5 * th0
  S <- c(S, starts)
  tr <- list(); best <- list(fval = Inf)
  for (nm in names(S)) {
    opts <- if (quick) list(minqa = tight_bobyqa) else list(minqa = tight_bobyqa, nlopt = tight_nlopt)
    if (quick && nm == "start1") next
    for (on in names(opts)) {
      o <- tryCatch(opts[[on]](f, S[[nm]], lower, maxfun = if (quick) 300 else 20000), error = function(e) NULL)
      if (is.null(o)) next
      tr[[length(tr) + 1]] <- list(start = nm, optimizer = on, crit = o$fval, evals = o$n)
      if (o$fval < best$fval) best <- o
    }
  }
  sn <- snap(f, best$par, best$fval, lower, quick = quick)
  cl <- clean_cols(f, sn$par, lower, theta_cols(m$cnms), sn$fval)
  po <- polish(f, cl$par, lower, r = if (quick) 2 else 4, maxit = if (quick) 2 else 6, dead = cl$dead)
  # saddle check for pivots sitting on the bound
  z <- which(lower == 0 & po$par == 0)
  for (k in 1:2) if (length(z)) {
    up <- FALSE
    for (i in z) for (h in c(1e-2, 1e-1)) { t <- po$par; t[i] <- h; if (f(t) < po$fval - 1e-7) up <- TRUE }
    if (up) {
      t <- po$par; t[z] <- 0.1; o <- tight_bobyqa(f, t, lower)
      if (o$fval < po$fval) { sn <- snap(f, o$par, o$fval, lower); po <- polish(f, sn$par, lower) }
    } else break
  }
  if (po$fval > best$fval + 1e-8 * max(1, abs(best$fval))) { po$note <- "polish worse than bobyqa"; po$par <- best$par; po$fval <- best$fval }
  list(theta = po$par, crit = po$fval, trace = tr, grad = po$grad, newton_iter = po$iter,
       hess_min = po$hess_min, hess_max = po$hess_max, decrement = po$decrement, nev = nev, lower = lower, devfun = f, best_raw = best$fval, note = po$note)
}

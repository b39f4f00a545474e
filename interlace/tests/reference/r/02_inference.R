source(file.path(Sys.getenv("BANK", "."), "r", "common.R")); source(file.path(BANK, "r", "models.R")); source(file.path(BANK, "r", "tight.R")); source(file.path(BANK, "r", "inference_list.R"))
suppressPackageStartupMessages({ library(lmerTest); library(pbkrtest); library(emmeans); library(car); library(performance); library(insight) })
lmer <- lme4::lmer
ids <- commandArgs(TRUE); if (!length(ids)) ids <- names(INF)
tab <- function(d) { d <- as.data.frame(d); list(rows = A(rownames(d)), columns = lapply(setNames(as.list(d), names(d)), function(x) A(if (is.numeric(x)) x else as.character(x)))) }
cc_dat <- function(m) { d <- get_dat(m); v <- c(all.vars(as.formula(m$r_formula)), m$weights); d <- droplevels(d[complete.cases(d[, v]), ]); m$id <- paste0(m$id, "_cc"); assign(paste0("dat_", m$id), d, envir = globalenv()); m }
ML <- function(f, m) { cl <- mk_call(m, control = quote(tight_ctrl())); cl$formula <- as.formula(f, env = globalenv()); cl$REML <- FALSE; suppressWarnings(suppressMessages(eval(cl, globalenv()))) }
# --- root-found profile-likelihood intervals (ML deviance; random part on the sd/cor scale, as lme4's confint)
exact_profile <- function(m, level = 0.95) {
  cl <- mk_call(m, control = quote(tight_ctrl())); cl$REML <- FALSE
  fml <- suppressWarnings(suppressMessages(eval(cl, globalenv())))
  q <- qchisq(level, 1); out <- list()
  vt <- list(from.chol = lme4:::Cv_to_Sv, to.chol = lme4:::Sv_to_Cv, to.sd = identity)
  dd <- lme4:::devfun2(fml, useSc = TRUE, signames = FALSE, transfuns = vt, prefix = c("sd", "cor"))
  opt <- attr(dd, "optimum"); nvp <- length(fml@theta) + 1L; vp <- opt[seq_len(nvp)]
  lo <- c(pmax(fml@lower, -1), 0); up <- c(ifelse(fml@lower == 0, Inf, 1), Inf); base <- as.numeric(dd(vp)); base_dev <- as.numeric(deviance(fml))
  opt_rest <- function(w, v, start) {
    if (nvp == 1) return(dd(v))
    f <- function(x) { p <- numeric(nvp); p[w] <- v; p[-w] <- x; r <- tryCatch(dd(p), error = function(e) NA); if (is.finite(r)) r else 1e10 }
    best <- Inf
    for (k in c(1, 0.5, -1)) { st0 <- if (k > 0) start * k else ifelse(lo[-w] == 0 & start < 0.2 * vp[nvp], 0.3 * vp[nvp], start)
      o <- tryCatch(nloptr::nloptr(pmin(pmax(st0, lo[-w]), up[-w]), f, lb = lo[-w], ub = pmin(up[-w], 1e7), opts = list(algorithm = "NLOPT_LN_BOBYQA", xtol_abs = 1e-10, xtol_rel = 1e-11, ftol_abs = 1e-11, maxeval = 5000)), error = function(e) NULL)
      if (!is.null(o)) best <- min(best, o$objective) }
    best
  }
  solve_side <- function(g, est, step, bound) {                 # g(v) = profile deviance - base - q
    a <- est; b <- est + step; k <- 0
    while (k < 60) { if (is.finite(bound) && ((step < 0 && b <= bound) || (step > 0 && b >= bound))) { b <- bound; if (g(b) < 0) return(c(NA, 1)); break }
      if (g(b) > 0) break; a <- b; step <- step * 1.6; b <- est + step; k <- k + 1 }
    c(uniroot(g, sort(c(a, b)), tol = 1e-10 * max(1, abs(est)), maxiter = 200)$root, 0)
  }
  for (w in seq_len(nvp)) {
    g <- function(v) opt_rest(w, v, vp[-w]) - base - q
    st <- max(0.3 * abs(vp[w]), 0.05 * vp[nvp]); if (lo[w] == -1) st <- 0.2
    L <- if (vp[w] <= lo[w]) c(NA, 1) else solve_side(g, vp[w], -st, lo[w] + if (lo[w] == -1) 1e-9 else 0); U <- solve_side(g, vp[w], st, up[w] - if (up[w] == 1) 1e-9 else 0)
    out[[names(vp)[w]]] <- list(estimate_ml = unname(vp[w]), lower = if (L[2] == 1) lo[w] else L[1], upper = if (U[2] == 1) up[w] else U[1], lower_at_bound = L[2] == 1, upper_at_bound = U[2] == 1)
  }
  # fixed effects: put x_j b into the offset
  lc <- mk_call(m, control = quote(tight_ctrl())); lc[[1]] <- quote(lme4::lFormula); lc$REML <- FALSE; lf <- eval(lc, globalenv()); X <- lf$X; be <- fixef(fml); se <- sqrt(diag(as.matrix(vcov(fml))))
  off0 <- model.offset(lf$fr); if (is.null(off0)) off0 <- rep(0, nrow(X))
  for (j in seq_along(be)) {
    g <- function(b) { fr <- lf$fr; fr$`(offset)` <- off0 + X[, j] * b; Xd <- X[, -j, drop = FALSE]
      d <- mkLmerDevfun(fr, Xd, lf$reTrms, REML = FALSE); f <- function(t) as.numeric(d(t)); low <- environment(d)$lower
      fv <- sapply(list(pmax(fml@theta, 1e-3 * (low == 0)), pmax(fml@theta, 0.5 * (low == 0))), function(st) tight_bobyqa(f, st, low)$fval); min(fv) - base_dev - q }
    L <- solve_side(g, be[j], -2 * se[j], -Inf); U <- solve_side(g, be[j], 2 * se[j], Inf)
    out[[names(be)[j]]] <- list(estimate_ml = unname(be[j]), lower = unname(L[1]), upper = unname(U[1]), lower_at_bound = FALSE, upper_at_bound = FALSE)
  }
  out
}
for (id in ids) {
  m <- MODELS[[id]]; s <- INF[[id]]; stopifnot(!is.null(m)); t0 <- proc.time()[[3]]; notes <- character()
  load_dat(m); HINT <<- list(optimum_of(id)$theta)
  fit <- fit_tight(m); ref <- optimum_of(id)
  crit <- as.numeric(if (m$REML) REMLcrit(fit) else deviance(fit))
  if (abs(crit - ref$crit) > 1e-7) notes <- c(notes, sprintf("criterion differs from the results file by %.3g", crit - ref$crit))
  lt <- cap(lmerTest::as_lmerModLmerTest(fit)); LT <- lt$value; notes <- c(notes, lt$msgs)
  n <- function(x) { notes <<- c(notes, x$msgs); x$value }
  out <- list(id = id, method = if (m$REML) "REML" else "ML", criterion = crit)
  sm <- n(cap(summary(LT))); out$summary_satterthwaite <- tab(sm$coefficients)
  out$satterthwaite_internals <- list(varpar = "c(theta, sigma)", vcov_varpar = lapply(seq_len(nrow(LT@vcov_varpar)), function(i) A(LT@vcov_varpar[i, ])), jac_vcov_beta = lapply(LT@Jac_list, function(J) lapply(seq_len(nrow(J)), function(i) A(J[i, ]))))
  for (ty in c("III", "II", "I")) out[[paste0("anova_", ty, "_satterthwaite")]] <- tab(n(cap(anova(LT, type = ty))))
  for (ty in c("III", "II")) { v <- n(cap(car::Anova(fit, type = ty, test.statistic = "Chisq"))); if (!is.null(v)) out[[paste0("car_Anova_", ty, "_chisq")]] <- tab(v) }
  if (isTRUE(s$kr) && m$REML) {
    V <- n(cap(pbkrtest::vcovAdj(fit)))
    if (!is.null(V)) out$kr_vcovAdj <- lapply(seq_len(nrow(V)), function(i) A(as.matrix(V)[i, ]))
    sk <- n(cap(summary(LT, ddf = "Kenward-Roger"))); if (!is.null(sk)) out$summary_kenward_roger <- tab(sk$coefficients)
    out$anova_III_kenward_roger <- tab(n(cap(anova(LT, type = "III", ddf = "Kenward-Roger"))))
    v <- n(cap(car::Anova(fit, type = "II", test.statistic = "F"))); if (!is.null(v)) out$car_Anova_II_F_kr <- tab(v)
    if (length(fixef(fit)) > 1) { L <- cbind(0, diag(length(fixef(fit)) - 1)); if (names(fixef(fit))[1] == "(Intercept)") { k <- n(cap(pbkrtest::KRmodcomp(fit, L))); if (!is.null(k)) out$KRmodcomp_all_slopes <- list(test = tab(k$test), L = "all coefficients but the intercept") } }
  }
  w <- n(cap(confint(fit, method = "Wald"))); out$confint_wald <- tab(w)
  if (isTRUE(s$prof)) {
    p <- cap(suppressMessages(confint(fit, method = "profile", oldNames = FALSE, optimizer = "bobyqa", quiet = TRUE))); notes <- c(notes, paste("profile:", p$msgs)[length(p$msgs) > 0])
    if (!is.null(p$value)) out$confint_profile_lme4 <- tab(p$value)
  }
  if (isTRUE(s$exact)) { e <- cap(exact_profile(m)); notes <- c(notes, e$msgs); if (!is.null(e$value)) out$confint_profile_exact <- e$value }
  # LRTs, drop1, ranova
  if (!is.null(s$lrt)) out$lrt_ml <- lapply(s$lrt, function(f) { mc <- cc_dat(m); a <- ML(f[1], mc); b <- ML(f[2], mc); t <- anova(a, b, refit = FALSE); list(null = f[1], alternative = f[2], npar = A(t$npar), deviance = A(c(deviance(a), deviance(b))), logLik = A(t$logLik), AIC = A(t$AIC), BIC = A(t$BIC), Chisq = t$Chisq[2], Df = t$Df[2], p = t$`Pr(>Chisq)`[2]) })
  d1 <- n(cap(suppressMessages(drop1(fit, test = "Chisq")))); if (!is.null(d1)) out$drop1_lrt <- c(tab(d1), list(note = "lme4 drop1.merMod: REML fits are refitted by ML"))
  d2 <- if (is.null(attr(getME(fit, "X"), "col.dropped"))) n(cap(drop1(LT, ddf = "Satterthwaite"))) else NULL; if (!is.null(d2)) out$drop1_lmerTest_F <- tab(d2)
  rv <- n(cap(lmerTest::ranova(LT))); if (!is.null(rv)) out$ranova <- tab(rv)
  rv2 <- n(cap(lmerTest::ranova(LT, reduce.terms = FALSE))); if (!is.null(rv2)) out$ranova_whole_terms <- tab(rv2)
  # prediction
  mf <- get_dat(m); vars <- all.vars(as.formula(m$r_formula)); ok <- which(complete.cases(mf[, vars])); if (!is.null(m$weights)) ok <- ok[complete.cases(mf[ok, m$weights, drop = FALSE])]
  k <- ok[unique(round(seq(1, length(ok), length.out = 8)))]; nd <- mf[k, setdiff(vars, vars[1]), drop = FALSE]; if (grepl("^log\\(", m$r_formula)) nd <- mf[k, setdiff(vars, all.vars(as.formula(m$r_formula)[[2]])), drop = FALSE]
  num <- names(nd)[sapply(nd, is.numeric)]; num <- setdiff(num, c(m$offset, names(getME(fit, "flist")), grep("^(Days2|age2|age2sq)$", names(nd), value = TRUE)))
  for (v in num) if (is.double(nd[[v]])) nd[[v]] <- nd[[v]] + c(0, 0.5, 0, 0.25, 0, 0, -0.5, 0)[seq_len(nrow(nd))]
  recs <- lapply(seq_len(nrow(nd)), function(i) lapply(nd[i, , drop = FALSE], function(x) if (is.factor(x)) as.character(x) else x))
  pr <- list(newdata = recs, re_form_NULL = A(n(cap(predict(fit, newdata = nd)))), re_form_NA = A(n(cap(predict(fit, newdata = nd, re.form = NA)))))
  if (!is.null(s$part)) { pf <- as.formula(s$part); pr$partial <- list(re_form = s$part, values = A(n(cap(predict(fit, newdata = nd, re.form = pf))))) }
  if (!is.null(s$newlev)) { g <- s$newlev; nd2 <- nd; if (is.factor(nd2[[g]])) { x <- as.character(nd2[[g]]); x[c(2, 5)] <- "zz_new"; nd2[[g]] <- factor(x) } else nd2[[g]][c(2, 5)] <- 999999L
    v <- n(cap(predict(fit, newdata = nd2, allow.new.levels = TRUE))); er <- cap(predict(fit, newdata = nd2)); pr$new_levels <- list(factor = g, rows_zero_based = A(c(1, 4)), level = if (is.factor(nd2[[g]])) "zz_new" else 999999, re_form_NULL = A(v), error_without_allow = A(er$msgs)) }
  out$predict <- pr
  si <- n(cap(simulate(fit, nsim = 3, seed = 1))); out$simulate <- list(nsim = 3, dim = A(dim(si)), note = "only the shape is comparable across languages")
  if (!is.null(s$em)) out$emmeans <- lapply(setNames(c("asymptotic", if (is.null(m$weights)) "satterthwaite" else NULL, if (isTRUE(s$kr) && m$REML) "kenward-roger"), c("asymptotic", if (is.null(m$weights)) "satterthwaite" else NULL, if (isTRUE(s$kr) && m$REML) "kenward-roger")), function(df) {
    e <- n(cap(suppressMessages(emmeans(fit, specs = s$em, lmer.df = df)))); list(specs = s$em, means = tab(as.data.frame(summary(e))), pairs_unadjusted = tab(as.data.frame(summary(pairs(e, adjust = "none"))))) })
  gv <- n(cap(insight::get_variance(fit))); r2 <- n(cap(performance::r2_nakagawa(fit))); ic <- n(cap(performance::icc(fit)))
  out$r2_icc <- list(var_fixed = gv$var.fixed, var_random = gv$var.random, var_residual = gv$var.residual, var_intercept = as.list(gv$var.intercept), r2_marginal = if (is.list(r2)) unname(r2$R2_marginal) else NULL, r2_conditional = if (is.list(r2)) unname(r2$R2_conditional) else NULL, icc_adjusted = if (is.list(ic)) ic$ICC_adjusted else NULL, icc_unadjusted = if (is.list(ic)) ic$ICC_unadjusted else NULL)
  notes <- setdiff(notes, "error: invalid subscript type 'list'"); out$notes <- A(unique(notes)); out$versions <- lapply(c(lme4 = "lme4", lmerTest = "lmerTest", pbkrtest = "pbkrtest", emmeans = "emmeans", car = "car", performance = "performance", insight = "insight"), function(p) as.character(packageVersion(p)))
  wj(out, file.path(BANK, "inference", paste0(id, ".json")))
  cat(sprintf("%-16s %.1fs  %s\n", id, proc.time()[[3]] - t0, paste(unique(notes), collapse = " | ")))
}

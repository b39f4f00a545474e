# usage: Rscript 01_fit.R [id ...]     fits every model (or the ids given), writes results/<id>.json
source(file.path(Sys.getenv("BANK", "."), "r", "common.R")); source(file.path(BANK, "r", "models.R"))
ids <- commandArgs(TRUE); if (!length(ids)) ids <- names(MODELS)
theta_index <- function(fit) {
  out <- list(); cn <- fit@cnms; gp <- names(cn)
  for (k in seq_along(cn)) { nc <- length(cn[[k]]); for (j in seq_len(nc)) for (i in j:nc)
    out[[length(out) + 1]] <- list(term = k, group = gp[k], row = cn[[k]][i], col = cn[[k]][j]) }
  out
}
vc_json <- function(fit) {
  vc <- VarCorr(fit)
  lapply(seq_along(vc), function(k) { V <- vc[[k]]; a <- attr(V, "stddev"); C <- attr(V, "correlation")
    list(name = names(vc)[k], group = names(fit@cnms)[k], terms = A(rownames(V)), variance = A(diag(as.matrix(V))), sd = A(a),
         cov = lapply(seq_len(nrow(V)), function(i) A(as.matrix(V)[i, ])),
         corr = if (nrow(V) > 1) lapply(seq_len(nrow(V)), function(i) A(ifelse(is.finite(C[i, ]), C[i, ], NA))) else NULL) })
}
re_json <- function(fit, nlev) {
  full <- nlev < 5000
  cv <- cap(ranef(fit, condVar = full))
  re <- cv$value; res <- list()
  for (g in names(re)) {
    R <- re[[g]]; pv <- attr(R, "postVar")
    sdm <- NULL
    if (full && !is.null(pv)) {
      if (is.list(pv)) sdm <- do.call(cbind, lapply(pv, function(a) matrix(t(apply(a, 3, function(z) sqrt(diag(as.matrix(z))))), nrow = dim(a)[3])))
      else sdm <- matrix(t(apply(pv, 3, function(z) sqrt(diag(as.matrix(z))))), nrow = dim(pv)[3])
    }
    k <- if (full) seq_len(nrow(R)) else seq_len(min(50, nrow(R)))
    o <- list(n_levels = nrow(R), complete = full, levels = A(rownames(R)[k]), terms = A(names(R)), values = lapply(seq_along(R), function(j) A(R[[j]][k])),
      sum = A(colSums(R)), sumsq = A(colSums(R^2)))
    if (!is.null(sdm)) o$condsd <- lapply(seq_len(ncol(sdm)), function(j) A(sdm[k, j]))
    if (is.array(pv) && !is.list(pv) && dim(pv)[1] > 1 && full) o$condcov_first5 <- lapply(seq_len(min(5, dim(pv)[3])), function(i) lapply(seq_len(dim(pv)[1]), function(r) A(pv[r, , i])))
    res[[g]] <- o
  }
  res
}
# start for badly scaled slopes: fit with (x - loc)/scale instead of x, map Sigma back
recentred_start <- function(m) {
  r <- m$recenter; d <- get_dat(m); d[[r$var]] <- (d[[r$var]] - r$loc) / r$scale
  m2 <- m; m2$id <- paste0(m$id, "_rc"); assign(paste0("dat_", m2$id), d, envir = globalenv())
  f0 <- suppressWarnings(suppressMessages(eval(mk_call(m2), globalenv()))); m2$cnms <- f0@cnms
  b <- best_theta(m2, th_default = getME(f0, "theta")); rm(list = paste0("dat_", m2$id), envir = globalenv())
  Ls <- matrix(0, 2, 2); Ls[lower.tri(Ls, TRUE)] <- b$theta; Ti <- solve(matrix(c(1, 0, r$loc, r$scale), 2)); S <- Ti %*% Ls %*% t(Ls) %*% t(Ti)
  if (Ls[2, 2] == 0) { v <- Ti %*% Ls[, 1]; if (v[1] < 0) v <- -v; th <- c(v, 0) } else { l11 <- sqrt(S[1, 1]); th <- c(l11, S[2, 1] / l11, sqrt(S[2, 2] - (S[2, 1] / l11)^2)) }
  cat("   recentred criterion", format(b$crit, digits = 15), "+ log-Jacobian", format(2 * log(r$scale) * m$REML, digits = 15), "=", format(b$crit + 2 * log(r$scale) * m$REML, digits = 15), "theta_s", b$theta, "\n")
  th
}
for (id in ids) {
  m <- MODELS[[id]]; load_dat(m); t0 <- proc.time()[[3]]
  # --- the default fit
  d0 <- cap(eval(mk_call(m), globalenv())); tdef <- proc.time()[[3]] - t0
  if (is.null(d0$value)) { cat(id, "DEFAULT FIT FAILED:", d0$msgs, "\n"); next }
  def <- d0$value
  crit <- function(f) as.numeric(if (m$REML) REMLcrit(f) else deviance(f))
  bq <- NULL
  if (!m$quick) { bq <- cap(eval(mk_call(m, control = quote(lmerControl(optimizer = "bobyqa"))), globalenv())) }
  m$cnms <- def@cnms
  ST <- list()
  if (!is.null(m$recenter)) ST$recentred <- recentred_start(m)
  bt <- best_theta(m, starts = ST, quick = m$quick, th_default = getME(def, "theta"))
  fit <- suppressWarnings(suppressMessages(fit_at(m, bt$theta)))
  ll <- logLik(fit); X <- getME(fit, "X"); Zt <- getME(fit, "Zt"); nlev <- nrow(Zt)
  dropped <- attr(X, "col.dropped")
  piv <- bt$theta[bt$lower == 0]
  # Cholesky factor not identified when a zero pivot has non-zero, not-last entries below it
  ti <- theta_index(fit); ident <- TRUE
  for (k in unique(sapply(ti, `[[`, "term"))) { cn <- fit@cnms[[k]]; nc <- length(cn); L <- matrix(0, nc, nc); L[lower.tri(L, TRUE)] <- bt$theta[sapply(ti, `[[`, "term") == k]
    z <- which(diag(L) == 0); if (length(z) && any(z < nc) && any(L[, z[z < nc]] != 0)) ident <- FALSE
    if (length(z) && any(z < nc)) ident <- FALSE }
  th <- bt$theta
  pts <- list(list(label = "start", theta = A(as.numeric(bt$lower == 0))), list(label = "optimum", theta = A(th)),
              list(label = "optimum*1.1+0.01", theta = A(th * 1.1 + 0.01)), list(label = "optimum*0.5", theta = A(th * 0.5)))
  for (i in seq_along(pts)) pts[[i]]$criterion <- bt$devfun(as.numeric(pts[[i]]$theta))
  invisible(bt$devfun(th))
  be <- fixef(fit); V <- as.matrix(vcov(fit)); se <- sqrt(diag(V)); mu <- fitted(fit); rs <- resid(fit, type = "response")
  mf <- model.frame(fit); naa <- attr(mf, "na.action")
  k50 <- seq_len(min(50, length(mu)))
  out <- list(id = id, data = m$data, method = if (m$REML) "REML" else "ML", formula = m$formula, random = A(m$random), r_formula = m$r_formula,
    weights = m$weights, offset = m$offset, tags = A(m$tags),
    fixef = list(names = A(names(be)), values = A(be), se = A(se), t = A(be / se), vcov = lapply(seq_along(be), function(i) A(V[i, ])),
                 dropped_columns = A(names(dropped)), pearson_corr = NULL),
    theta = list(values = A(th), names = A(names(getME(fit, "theta"))), index = ti, lower_bound = A(ifelse(is.finite(bt$lower), bt$lower, NA)), identified = ident && is.null(m$vc_not_identified), varcorr_identified = is.null(m$vc_not_identified)),
    sigma = sigma(fit), sigma2 = sigma(fit)^2, varcorr = vc_json(fit),
    logLik = as.numeric(ll), criterion = bt$crit, REMLcrit = if (m$REML) as.numeric(REMLcrit(fit)) else NULL, deviance = if (!m$REML) as.numeric(deviance(fit)) else NULL,
    AIC = AIC(fit), BIC = BIC(fit), npar = attr(ll, "df"), nobs = nobs(fit), df_residual = df.residual(fit), ngrps = as.list(ngrps(fit)), n_levels_total = nlev,
    devcomp = as.list(getME(fit, "devcomp")$cmp[c("ldL2", "ldRX2", "wrss", "ussq", "pwrss")]),
    rows_dropped = if (is.null(naa)) A(integer()) else A(as.integer(naa)),
    X = list(columns = A(colnames(X)), colsums = A(colSums(X)), colsumsq = A(colSums(X^2))),
    Zt = list(dim = A(dim(Zt)), nnz = length(Zt@x), sum = sum(Zt@x)),
    ranef = re_json(fit, nlev),
    fitted = list(first = A(mu[k50]), sum = sum(mu), sumsq = sum(mu^2)),
    resid = list(first = A(rs[k50]), sum = sum(rs), sumsq = sum(rs^2), pearson_sumsq = sum(resid(fit, type = "pearson")^2)),
    isSingular = isSingular(fit, tol = 1e-4), is_singular_exact = any(piv == 0), smallest_pivot = min(piv),
    criterion_points = pts,
    optim = list(default_nloptwrap = list(criterion = crit(def), gap = crit(def) - bt$crit, theta = A(getME(def, "theta")), theta_maxabsdiff = max(abs(getME(def, "theta") - th)),
                   fixef_maxreldiff_se = max(abs(fixef(def) - be) / se), sigma = sigma(def), messages = A(d0$msgs), lme4_conv_messages = A(unlist(def@optinfo$conv$lme4$messages)), feval = def@optinfo$feval, seconds = tdef),
       default_bobyqa = if (!is.null(bq) && !is.null(bq$value)) list(criterion = crit(bq$value), gap = crit(bq$value) - bt$crit, messages = A(bq$msgs)) else NULL,
       best = list(criterion = bt$crit, before_polish = bt$best_raw, newton_iterations = bt$newton_iter, free_gradient_max = if (length(bt$grad)) max(abs(bt$grad)) else 0,
                   hessian_eig_min = bt$hess_min, hessian_eig_max = bt$hess_max, newton_decrement = bt$decrement, evaluations = bt$nev, note = bt$note), trace = bt$trace),
    versions = list(R = R.version.string, lme4 = as.character(packageVersion("lme4")), Matrix = as.character(packageVersion("Matrix"))))
  wj(out, file.path(BANK, "results", paste0(id, ".json")))
  cat(sprintf("%-18s n=%5d q=%5d crit=%.9f gap_def=%9.2e gap_bq=%9s dec=%8.1e sing=%d/%d newt=%d ev=%d %.1fs %s\n", id, nobs(fit), nlev, bt$crit, out$optim$default_nloptwrap$gap,
     if (is.null(out$optim$default_bobyqa)) "-" else sprintf("%.2e", out$optim$default_bobyqa$gap), as.numeric(bt$decrement), out$isSingular, out$is_singular_exact, bt$newton_iter, bt$nev,
     proc.time()[[3]] - t0, paste(unique(c(d0$msgs, bt$note)), collapse = " | ")))
  rm(list = paste0("dat_", id), envir = globalenv())
}

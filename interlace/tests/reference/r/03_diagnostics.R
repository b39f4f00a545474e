source(file.path(Sys.getenv("BANK", "."), "r", "common.R")); source(file.path(BANK, "r", "models.R")); source(file.path(BANK, "r", "tight.R"))
suppressPackageStartupMessages(library(HLMdiag))
lmer <- lme4::lmer
# id -> exact_obs: refit for every observation; exact_groups: factors deleted group by group; hlm_exact: run HLMdiag::case_delete as well; inf: lme4 influence()
DIAG <- list(
 ss_int = list(exact_obs = TRUE, hlm_exact = TRUE), ss_slope = list(exact_obs = TRUE, hlm_exact = TRUE, inf = c(".obs", "Subject")),
 ss_slope_ml = list(exact_obs = TRUE, hlm_exact = TRUE), ss_indep = list(exact_obs = FALSE, hlm_exact = FALSE), ss_shuf = list(exact_obs = FALSE, hlm_exact = TRUE),
 ss_na = list(exact_obs = FALSE, hlm_exact = FALSE), ss_log = list(exact_obs = FALSE, hlm_exact = FALSE),
 dyestuff = list(exact_obs = TRUE, hlm_exact = TRUE), dyestuff2 = list(exact_obs = TRUE, hlm_exact = TRUE), ergo = list(exact_obs = TRUE, hlm_exact = TRUE),
 orth_center = list(exact_obs = TRUE, hlm_exact = TRUE, inf = c(".obs", "Subject")), radon_slope = list(exact_obs = FALSE, hlm_exact = FALSE),
 pastes_nested = list(exact_obs = TRUE, hlm_exact = TRUE, inf = c(".obs", "batch")), mach_nested = list(exact_obs = TRUE, hlm_exact = TRUE), oats_nested = list(exact_obs = TRUE, hlm_exact = TRUE),
 pen = list(exact_obs = TRUE, hlm_exact = FALSE, inf = c(".obs", "plate", "sample")), scots_sub = list(exact_obs = FALSE, hlm_exact = FALSE, inf = c("primary", "second")), simx_int = list(exact_obs = TRUE, hlm_exact = FALSE, inf = c("g1", "g2")), simx_slope = list(exact_obs = TRUE, hlm_exact = FALSE, inf = c(".obs", "g2")), pastes_cross = list(exact_obs = TRUE, hlm_exact = FALSE), ss_weights = list(exact_obs = TRUE, hlm_exact = FALSE, weights_note = TRUE)
)
ids <- commandArgs(TRUE); if (!length(ids)) ids <- names(DIAG)
df_json <- function(d) { d <- as.data.frame(d); lapply(setNames(as.list(d), names(d)), function(x) A(if (is.numeric(x)) x else as.character(x))) }
vcomp <- function(fit) { vc <- VarCorr(fit); out <- c(sigma2 = sigma(fit)^2); gn <- names(fit@cnms)
  for (k in seq_along(vc)) { V <- as.matrix(vc[[k]]); for (j in seq_len(ncol(V))) for (i in j:nrow(V)) out[paste(k, gn[k], rownames(V)[i], rownames(V)[j], sep = "|")] <- V[i, j] }
  out }
del_stats <- function(b0, V0, vc0, del) {          # exact refits -> the four deletion diagnostics and rvc, HLMdiag definitions
  p <- length(b0); iV0 <- solve(V0)
  list(cooksd = A(sapply(del, function(d) as.numeric(t(b0 - d$b) %*% iV0 %*% (b0 - d$b)) / p)),
       mdffits = A(sapply(del, function(d) as.numeric(t(b0 - d$b) %*% solve(d$V) %*% (b0 - d$b)) / p)),
       covtrace = A(sapply(del, function(d) abs(sum(diag(iV0 %*% d$V)) - p))), covratio = A(sapply(del, function(d) det(d$V) / det(V0))),
       rvc = lapply(setNames(seq_along(vc0), names(vc0)), function(k) A(sapply(del, function(d) if (vc0[k] != 0) d$vc[k] / vc0[k] - 1 else NA))),
       fixef_delete = lapply(seq_len(p), function(k) A(sapply(del, function(d) d$b[k]))), varcomp_delete = lapply(setNames(seq_along(vc0), names(vc0)), function(k) A(sapply(del, function(d) d$vc[k]))),
       criterion_delete = A(sapply(del, `[[`, "crit")), any_failed = any(sapply(del, function(d) length(d$b) != p)))
}
for (id in ids) {
  m <- MODELS[[id]]; s <- DIAG[[id]]; stopifnot(!is.null(m)); t0 <- proc.time()[[3]]; notes <- character()
  load_dat(m); d <- get_dat(m); vv <- c(all.vars(as.formula(m$r_formula)), m$weights); keep <- complete.cases(d[, vv]); dcc <- droplevels(d[keep, ])
  if (any(!keep)) rownames(dcc) <- NULL
  assign(paste0("dat_", id), dcc, envir = globalenv())            # complete cases: row k here is the k-th row used by the fit
  th <- optimum_of(id)$theta; HINT <<- list(th)
  fit <- fit_tight(m); fl <- getME(fit, "flist"); lev <- names(fl); n <- nobs(fit); p <- length(fixef(fit))
  nested <- HLMdiag:::isNestedModel(fit); structure <- if (length(lev) == 1) "single" else if (nested) "nested" else "crossed"
  n_ <- function(x, l = "") { if (length(x$msgs)) notes <<- c(notes, paste(l, x$msgs)); x$value }
  out <- list(id = id, method = if (m$REML) "REML" else "ML", structure = structure, nobs = n, p = p, fixef_names = A(names(fixef(fit))), levels = A(lev), theta = A(getME(fit, "theta")), sigma = sigma(fit),
    rows_used_zero_based = if (all(keep)) "all" else A(which(keep) - 1L), row_order = "as in the data file, rows with missing values left out", hlmdiag_varcomp = as.list(HLMdiag::varcomp.mer(fit)), varcomp = as.list(vcomp(fit)))
  ## ---- dense matrices, HLMdiag's definitions
  mats <- if (n <= 3600) HLMdiag:::.lmerMod_matrices(fit) else NULL
  if (isTRUE(s$weights_note)) notes <- c(notes, "prior weights: HLMdiag ignores them (R = sigma^2 I); one-step and leverage results are therefore omitted, exact refits keep the weights")
  hl <- list()
  if (is.null(s$weights_note)) {
    one <- function(level) { ct <- n_(cap(cooks.distance(fit, level = level, include.attr = TRUE)), "cooks"); ct <- as.data.frame(ct)
      list(cooksd = ct[, 1], beta_change = ct[, -1, drop = FALSE], mdffits = as.numeric(mdffits(fit, level = level)), covtrace = as.numeric(covtrace(fit, level = level)), covratio = as.numeric(covratio(fit, level = level))) }
    # leverage by the dense formula (HLMdiag::leverage refuses crossed models)
    s2 <- mats$sig0^2; ZDZt <- as.matrix(s2 * crossprod(getME(fit, "A"))); Vinv <- as.matrix(mats$Vinv); X <- as.matrix(mats$X); XV <- as.matrix(mats$XVXinv)
    VX <- Vinv %*% X; d1 <- rowSums((X %*% XV) * VX); ZV <- ZDZt %*% Vinv; d2 <- diag(ZV) - rowSums((ZV %*% X %*% XV) * VX); d3 <- diag(ZDZt) / s2
    lv <- data.frame(overall = d1 + d2, fixef = d1, ranef = d2, ranef_uc = d3)
    o <- one(1); hl$obs <- list(cooksd = A(o$cooksd), mdffits = A(o$mdffits), covtrace = A(o$covtrace), covratio = A(o$covratio), beta_full_minus_deleted = df_json(o$beta_change), leverage = df_json(lv))
    if (nested) { L <- n_(cap(HLMdiag::leverage(fit, level = 1)), "leverage"); hl$obs$leverage_source <- "HLMdiag::leverage"; stopifnot(max(abs(as.matrix(L) - as.matrix(lv))) < 1e-8); hl$obs$leverage <- df_json(setNames(L, names(lv))) } else hl$obs$leverage_source <- "dense formula (HLMdiag::leverage stops for crossed models)"
    for (g in lev) {
      o <- one(g); gn <- as.character(unique(fl[[g]])); k <- match(levels(fl[[g]]), gn)     # HLMdiag order: first appearance -> put into factor-level order
      agg <- as.data.frame(lapply(lv, function(x) as.numeric(tapply(x, fl[[g]], mean))))
      if (nested) { L <- n_(cap(HLMdiag::leverage(fit, level = g)), "leverage"); stopifnot(max(abs(as.matrix(L) - as.matrix(agg))) < 1e-8) }
      hl[[g]] <- list(groups = A(levels(fl[[g]])), cooksd = A(o$cooksd[k]), mdffits = A(o$mdffits[k]), covtrace = A(o$covtrace[k]), covratio = A(o$covratio[k]), beta_full_minus_deleted = df_json(o$beta_change[k, , drop = FALSE]), leverage = df_json(agg),
                      first_appearance_order = A(gn), order_differs = !identical(gn, levels(fl[[g]])))
    }
    out$one_step <- hl
    hi <- n_(cap(hlm_influence(fit, level = 1)), "hlm_influence"); out$column_names <- list(hlm_influence_level1 = A(names(hi)))
    for (g in lev) out$column_names[[paste0("hlm_influence_", g)]] <- A(names(n_(cap(hlm_influence(fit, level = g)), "hlm_influence")))
  }
  ## ---- residuals
  rs <- list(level1 = list())
  if (is.null(s$weights_note)) {
    mr <- resid_marg <- as.numeric(getME(fit, "y") - predict(fit, re.form = NA))
    rs$level1 <- list(resid = A(resid(fit)), fitted = A(fitted(fit)), mar_resid = A(mr), mar_fitted = A(predict(fit, re.form = NA)), std_resid = A(resid(fit, scaled = TRUE)))
    for (ty in c("pearson", "studentized", "cholesky")) { rs$level1[[paste0("marginal_", ty)]] <- A(HLMdiag::resid_marginal(fit, type = ty)); rs$level1[[paste0("conditional_", ty)]] <- A(HLMdiag::resid_conditional(fit, type = ty)) }
    rs$level1$chol_mar_resid <- rs$level1$marginal_cholesky
    if (nested) {
      a <- n_(cap(hlm_resid(fit, level = 1)), "hlm_resid"); if (is.null(a)) a <- n_(cap(hlm_resid(fit, level = 1, include.ls = FALSE)), "hlm_resid noLS")
      if (!is.null(a$.ls.resid)) { rs$level1$ls_resid <- A(a$.ls.resid); rs$level1$ls_fitted <- A(a$.ls.fitted) }
      b <- n_(cap(hlm_resid(fit, level = 1, standardize = TRUE)), "hlm_resid std"); if (!is.null(b$.std.ls.resid)) rs$level1$std_ls_resid <- A(b$.std.ls.resid)
      e <- n_(cap(hlm_resid(fit, level = 1, standardize = "semi")), "hlm_resid semi"); if (!is.null(e$.semi.ls.resid)) rs$level1$semi_ls_resid <- A(e$.semi.ls.resid)
      out$column_names$hlm_resid_level1 <- A(names(a)); out$column_names$hlm_resid_level1_standardize <- A(names(b)); out$column_names$hlm_resid_level1_semi <- A(names(e))
      stopifnot(max(abs(a$.mar.resid - mr)) < 1e-7, max(abs(b$.chol.mar.resid - as.numeric(rs$level1$chol_mar_resid))) < 1e-6)
      ag <- n_(cap(hlm_augment(fit, level = 1, include.ls = !is.null(a$.ls.resid))), "hlm_augment"); out$column_names$hlm_augment_level1 <- A(names(ag))
    }
    for (g in lev) {
      re <- ranef(fit, condVar = TRUE)[[g]]; pv <- attr(re, "postVar")
      sdm <- if (is.list(pv)) do.call(cbind, lapply(pv, function(z) matrix(t(apply(z, 3, function(q) sqrt(diag(as.matrix(q))))), nrow = dim(z)[3]))) else matrix(t(apply(pv, 3, function(q) sqrt(diag(as.matrix(q))))), nrow = dim(pv)[3])
      o <- list(groups = A(rownames(re)), terms = A(names(re)), ranef = lapply(re, A), std_ranef = lapply(setNames(seq_along(re), names(re)), function(k) A(re[[k]] / sdm[, k])))
      if (nested) {
        bad_join <- FALSE; a <- n_(cap(hlm_resid(fit, level = g)), paste("hlm_resid", g)); b <- n_(cap(hlm_resid(fit, level = g, standardize = TRUE)), paste("hlm_resid std", g))
        if (is.null(a)) a <- n_(cap(hlm_resid(fit, level = g, include.ls = FALSE)), paste("hlm_resid noLS", g))
        key <- if (g %in% names(a)) g else "group"
        if (!is.null(a) && key %in% names(a)) { k <- match(rownames(re), as.character(a[[key]])); ls <- grep("^\\.ls\\.", names(a), value = TRUE); if (length(ls)) o$ls_ranef <- lapply(setNames(ls, ls), function(z) A(a[[z]][k])); out$column_names[[paste0("hlm_resid_", g)]] <- A(names(a))
          rn <- grep("^\\.ranef", names(a), value = TRUE); if (!isTRUE(max(abs(as.matrix(as.data.frame(a)[k, rn]) - as.matrix(re))) < 1e-8)) { notes <- c(notes, paste0("hlm_resid(level = \"", g, "\") of HLMdiag does not return the ranef() values (label mismatch in its join, or NA): its LS columns are left out")); o$ls_ranef <- NULL; bad_join <- TRUE } else bad_join <- FALSE }
        if (!is.null(b) && key %in% names(b) && !isTRUE(get0("bad_join"))) { k <- match(rownames(re), as.character(b[[key]])); ls <- grep("^\\.std\\.ls\\.", names(b), value = TRUE); if (length(ls)) o$std_ls_ranef <- lapply(setNames(ls, ls), function(z) A(b[[z]][k])) }
      }
      rs[[g]] <- o
    }
    out$residuals <- rs
  }
  ## ---- exact deletion, tight refits (same method, weights and offset as the full fit)
  b0 <- fixef(fit); V0 <- as.matrix(vcov(fit)); vc0 <- vcomp(fit)
  refit_without <- function(rows) { mm <- m; mm$id <- paste0(id, "_del"); assign(paste0("dat_", mm$id), dcc[-rows, ], envir = globalenv()); f <- fit_tight(mm)
    list(b = fixef(f), V = as.matrix(vcov(f)), vc = vcomp(f), crit = as.numeric(if (m$REML) REMLcrit(f) else deviance(f))) }
  ex <- list()
  if (isTRUE(s$exact_obs)) ex$obs <- del_stats(b0, V0, vc0, lapply(seq_len(n), refit_without))
  if (is.null(s$no_groups)) for (g in lev) if (nlevels(fl[[g]]) <= 150 && nlevels(fl[[g]]) > 2) { gl <- levels(fl[[g]]); del <- lapply(gl, function(x) refit_without(which(fl[[g]] == x)))
    okl <- sapply(del, function(x) length(x$b) == p); if (all(okl)) ex[[g]] <- c(list(groups = A(gl)), del_stats(b0, V0, vc0, del)) else notes <- c(notes, paste("exact deletion by", g, ": some refits are rank deficient, left out")) }
  out$exact <- ex
  ## ---- HLMdiag's own case_delete
  if (isTRUE(s$hlm_exact) && nested) { hx <- list()
    for (l in c("1", lev)) { level <- if (l == "1") 1 else l; if (l == "1" && n > 200) next
      cd <- n_(cap(suppressMessages(case_delete(fit, level = level))), paste("case_delete", l)); if (is.null(cd)) next
      g1 <- function(f, nm) n_(cap(as.numeric(f(cd))), paste(nm, "of case_delete", l))
      rv <- n_(cap(rvc(cd)), paste("rvc of case_delete", l))
      o <- list(cooksd = A(g1(cooks.distance, "cooksd")), mdffits = A(g1(mdffits, "mdffits")), covtrace = A(g1(covtrace, "covtrace")), covratio = A(g1(covratio, "covratio")), rvc = if (!is.null(rv)) df_json(rv) else NULL)
      if (l != "1") o$groups <- A(if (!is.null(rownames(rv))) rownames(rv) else levels(fl[[l]]))
      hx[[if (l == "1") "obs" else l]] <- o }
    out$hlmdiag_case_delete <- c(hx, list(note = "default lmer optimiser and always REML; group order = factor level order")) }
  ## ---- lme4's own
  lm4 <- list(hatvalues = A(hatvalues(fit)), rstudent = A(rstudent(fit)))
  lm4$cooks_distance <- A(lme4:::cooks.distance.merMod(fit))
  for (g in s$inf) { iv <- if (g == ".obs") n_(cap(influence(fit)), "influence") else n_(cap(influence(fit, groups = g)), "influence"); if (is.null(iv)) next
    lm4$influence[[if (g == ".obs") "obs" else g]] <- list(deleted = A(as.character(iv$deleted)), dfbeta_fixed = df_json(dfbeta(iv, "fixed")), dfbetas = { q <- n_(cap(dfbetas(iv)), "dfbetas"); if (is.null(q)) NULL else df_json(q) }, dfbeta_varcov = df_json(dfbeta(iv, "var.cov")), cooks_distance = A(cooks.distance(iv)), converged = all(iv$converged)) }
  out$lme4 <- lm4
  out$notes <- A(unique(notes)); out$versions <- list(HLMdiag = as.character(packageVersion("HLMdiag")), lme4 = as.character(packageVersion("lme4")))
  wj(out, file.path(BANK, "diagnostics", paste0(id, ".json")))
  cat(sprintf("%-14s %-8s n=%d %.1fs  %s\n", id, structure, n, proc.time()[[3]] - t0, paste(unique(notes), collapse = " | ")))
}

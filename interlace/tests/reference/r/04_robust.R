# Cluster-robust covariances of the fixed effects by clubSandwich, into robust.json.
source(file.path(Sys.getenv("BANK", "."), "r", "common.R")); source(file.path(Sys.getenv("BANK", "."), "r", "models.R")); source(file.path(Sys.getenv("BANK", "."), "r", "tight.R"))
suppressPackageStartupMessages({ library(lme4); library(clubSandwich) })
wanted <- list(ss_slope = "Subject", ss_slope_ml = "Subject", ss_int = "Subject", pastes_nested = "batch", oats_nested = "Block", orth_slope = "Subject", radon_slope = "county")
out <- list()
for (id in names(wanted)) {
  m <- MODELS[[id]]; load_dat(m)
  fit <- eval(mk_call(m, control = quote(tight_ctrl())), globalenv())
  cluster <- get_dat(m)[rownames(fit@frame), wanted[[id]]]
  V <- function(type) { x <- as.matrix(vcovCR(fit, cluster = cluster, type = type)); lapply(seq_len(nrow(x)), function(i) A(x[i, ])) }
  out[[id]] <- list(cluster = wanted[[id]], CR0 = V("CR0"), CR2 = V("CR2"))
}
out$versions <- list(clubSandwich = as.character(packageVersion("clubSandwich")), lme4 = as.character(packageVersion("lme4")))
wj(out, file.path(BANK, "robust.json"))

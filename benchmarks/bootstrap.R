# lme4's parametric bootstrap and refit of sleepstudy: Rscript bootstrap.R TABLE NSIM prints seconds as JSON.
suppressPackageStartupMessages(library(lme4))
arguments <- commandArgs(TRUE)
sleep <- read.csv(arguments[1], colClasses = c(Subject = "factor"))
nsim <- as.integer(arguments[2])
fit <- lmer(Reaction ~ Days + (Days | Subject), sleep)
statistic <- function(x) c(as.data.frame(VarCorr(x))$sdcor, fixef(x))
invisible(suppressMessages(bootMer(fit, statistic, nsim = 5)))
boot <- system.time(b <- suppressMessages(suppressWarnings(bootMer(fit, statistic, nsim = nsim, seed = 1))))
y <- simulate(fit, nsim = 1, seed = 1)[[1]]
refits <- sapply(1:20, function(i) suppressMessages(system.time(for (j in 1:5) refit(fit, y))[["elapsed"]] / 5))
cat(sprintf('{"version": "%s", "bootstrap": %.4f, "processor": %.4f, "refit": %.6f}\n',
  packageVersion("lme4"), boot[["elapsed"]], boot[["user.self"]] + boot[["sys.self"]], min(refits)))

# lme4's influence(groups =) on the table that deletion.py wrote; prints seconds per grouping factor.
suppressPackageStartupMessages(library(lme4))
arguments <- commandArgs(TRUE)
frame <- read.csv(arguments[1], stringsAsFactors = TRUE)
fit <- lmer(as.formula(arguments[2]), frame)
for (factor in arguments[-(1:2)]) {
  seconds <- system.time(influence(fit, groups = factor))[["elapsed"]]
  cat(factor, seconds, "\n")
}

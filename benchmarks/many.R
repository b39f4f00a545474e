# The work of many.py by lme4 and lmerTest: Rscript many.R FOLDER SMALL prints seconds of one thread as JSON.
# SMALL replicates are timed where a loop is long; the seconds are those of as many, to be multiplied.
suppressPackageStartupMessages({library(lme4); library(lmerTest)})
arguments <- commandArgs(TRUE)
folder <- arguments[1]; small <- as.integer(arguments[2])
quiet <- function(x) suppressMessages(suppressWarnings(x))
timed <- function(x) { t <- system.time(quiet(x)); t[["user.self"]] + t[["sys.self"]] }
read <- function(name) read.csv(file.path(folder, name), stringsAsFactors = TRUE)
sleep <- transform(read("sleepstudy.csv"), Subject = factor(Subject))
reading <- read("reading.csv")
formulas <- list(
  sleepstudy = Reaction ~ Days + (Days | Subject),
  reading = rt ~ condition + (1 + condition | subject) + (1 | item))
frames <- list(sleepstudy = sleep, reading = reading)
out <- c()
statistic <- function(x) c(as.data.frame(VarCorr(x))$sdcor, fixef(x))
for (name in names(formulas)) {
  fit <- lme4::lmer(formulas[[name]], frames[[name]])
  invisible(quiet(bootMer(fit, statistic, nsim = 3)))
  out[paste0("bootstrap_", name)] <- timed(bootMer(fit, statistic, nsim = small, seed = 1))
  Y <- simulate(fit, nsim = small, seed = 1)
  out[paste0("refit_", name)] <- timed(for (y in Y) refit(fit, y))
}
fit <- lmerTest::lmer(formulas$reading, reading)
Y <- simulate(fit, nsim = small, seed = 2)
out["power"] <- timed(for (y in Y) {
  reading$rt <- y
  coef(summary(lmerTest::lmer(formulas$reading, reading)))[2, 5]
})
fit <- lme4::lmer(formulas$reading, reading)
out["deletion"] <- timed({influence(fit, groups = "subject"); influence(fit, groups = "item")})
cat(sprintf('{"version": "%s", %s}\n', packageVersion("lme4"),
  paste(sprintf('"%s": %.4f', names(out), out), collapse = ", ")))

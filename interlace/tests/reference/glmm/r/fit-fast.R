# glmer with nAGQ = 0 at tight tolerances: writes fast.json. Run in the folder of this script.
suppressMessages({library(lme4); library(jsonlite)})
read <- function(file, factors) {
  d <- read.csv(file.path("..", "data", file))
  for (v in intersect(factors, names(d))) d[[v]] <- factor(d[[v]])
  d
}
tight <- glmerControl(optimizer = "bobyqa", tolPwrss = 1e-12, calc.derivs = FALSE, optCtrl = list(rhoend = 1e-9, maxfun = 1e5))
figures <- function(formula, data, family) {
  fit <- glmer(formula, data, family, nAGQ = 0, control = tight)
  list(deviance = as.numeric(-2 * logLik(fit)), theta = unname(getME(fit, "theta")), beta = unname(fixef(fit)),
       se = unname(sqrt(diag(as.matrix(vcov(fit))))))
}
groups <- c("s", "i", "o", "herd", "period", "YEAR", "BROOD", "INDEX", "LOCATION")
out <- list(
  cbpp = figures(cbind(incidence, size - incidence) ~ period + (1 | herd), read("cbpp.csv", groups), binomial),
  grouse = figures(TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | INDEX) + (1 | LOCATION), read("grouse.csv", groups), poisson),
  b03 = figures(y ~ g * t + (1 | s), read("b03.csv", groups), binomial),
  b10 = figures(y ~ c * x + (1 + c + x | s) + (1 + c | i), read("b10.csv", groups), binomial),
  b22 = figures(y ~ x + (1 + x | s) + (1 | o), read("b22.csv", groups), poisson)
)
write(toJSON(out, digits = 12, auto_unbox = TRUE, pretty = TRUE), "../fast.json")

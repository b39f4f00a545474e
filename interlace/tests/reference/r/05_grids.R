# Reference figures for reference grids (nested factors, two-valued covariates, numbers made categories) and for
# the degrees of freedom of joint tests, from emmeans and lmerTest. Run: Rscript r/05_grids.R > grids/means.json
suppressMessages({library(emmeans); library(lmerTest); library(jsonlite)})
emm_options(lmer.df = "satterthwaite")
set.seed(20)
d <- expand.grid(g = 1:9, i = 1:14)
n <- nrow(d)
d$town <- letters[1 + (d$i + d$g) %% 5]
d$state <- ifelse(d$town %in% c("a", "d"), "S", "T")
d$f <- sample(c("u", "v", "w"), n, TRUE, c(.5, .3, .2))
d$h <- sample(c("p", "q"), n, TRUE)
d$two <- 3 * rbinom(n, 1, .3)
d$dose <- ifelse(runif(n) < .4, 0, round(rexp(n), 2))
d$r <- sample(c(1, 2, 5), n, TRUE)
d$x <- round(rnorm(n), 2)
slope <- rnorm(9)
d$y <- round(rnorm(9)[d$g] + slope[d$g] * d$x + (d$f == "v") + (d$town == "b") + .3 * d$two + rnorm(n), 3)
d$g <- paste0("g", d$g)

means <- function(fit, specs, ...) {
  e <- as.data.frame(suppressMessages(summary(emmeans(fit, specs, ...))))
  names(e)[names(e) %in% c("lower.CL", "upper.CL")] <- c("low", "high")
  for (s in intersect(names(e), c("state", "town", "f"))) e[[s]] <- as.character(e[[s]])
  e
}
models <- list(
  main = "y ~ state + town + f + (1 | g)",
  nested = "y ~ state / town + f + (1 | g)",
  crossed = "y ~ f * state + town + (1 | g)",
  two = "y ~ f * two + I(dose > 0) + (1 | g)",
  category = "y ~ f * factor(r) + (1 | g)"
)
wanted <- list(
  main = list("state", "town", "f", c("state", "town")),
  nested = list("state", "f"),
  crossed = list("state", "f", "town"),
  two = list("f", "two"),
  category = list("f", "r")
)
grids <- lapply(names(models), function(m) {
  fit <- lmer(as.formula(models[[m]]), d)
  list(formula = models[[m]], means = lapply(wanted[[m]], function(s) list(specs = s, table = means(fit, s))))
})
tests <- function(formula, given = list()) {
  fit <- lmer(as.formula(formula), d, contrasts = if (length(given)) given)
  lapply(1:3, function(type) {
    a <- anova(fit, type = type)
    list(type = type, term = rownames(a), num_df = a$NumDF, den_df = a$DenDF, F = a[["F value"]])
  })
}
joint <- list(
  list(formula = "y ~ f * h + x + (x | g)", coding = "treatment", tables = tests("y ~ f * h + x + (x | g)")),
  list(formula = "y ~ f * h + x + (x | g)", coding = "sum",
       tables = tests("y ~ f * h + x + (x | g)", list(f = "contr.sum", h = "contr.sum"))),
  list(formula = "y ~ f + x:f + (x | g)", coding = "treatment", tables = tests("y ~ f + x:f + (x | g)")),
  list(formula = "y ~ 0 + f + x + (x | g)", coding = "treatment", tables = tests("y ~ 0 + f + x + (x | g)")),
  list(formula = "y ~ town * f + (x | g)", coding = "treatment", tables = tests("y ~ town * f + (x | g)"))
)
versions <- list(R = R.version.string, lme4 = as.character(packageVersion("lme4")),
                 lmerTest = as.character(packageVersion("lmerTest")), emmeans = as.character(packageVersion("emmeans")))
cat(toJSON(list(versions = versions, data = d, grids = grids, joint = joint), digits = 12, auto_unbox = TRUE,
           dataframe = "columns"))

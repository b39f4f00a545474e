# Figures of lme4, glmmTMB, emmeans and ordinal that tests of statistics are compared with: statistics.json.
# Run in the folder above: Rscript r/statistics.R
suppressMessages({library(lme4); library(glmmTMB); library(emmeans); library(ordinal); library(jsonlite)})
asymp <- function(e) as.data.frame(summary(e, infer = c(TRUE, TRUE)))
read <- function(f) read.csv(file.path("data", f), stringsAsFactors = TRUE)
cbpp <- read("cbpp.csv"); for (v in c("herd", "period")) cbpp[[v]] <- factor(cbpp[[v]])
grouse <- read("grouse.csv"); for (v in c("YEAR", "BROOD", "INDEX", "LOCATION")) grouse[[v]] <- factor(grouse[[v]])
psych <- read("psych.csv"); for (v in c("s", "i")) psych[[v]] <- factor(psych[[v]])
verbagg <- read("verbagg.csv.gz"); for (v in c("id", "item")) verbagg[[v]] <- factor(verbagg[[v]])
verbagg$resp <- factor(verbagg$resp, c("no", "perhaps", "yes"), ordered = TRUE)
tight <- glmerControl("bobyqa", optCtrl = list(maxfun = 1e5, rhoend = 1e-9), tolPwrss = 1e-13, calc.derivs = FALSE)

one <- glmmTMB(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
lme <- glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial, control = tight)
link <- emmeans(one, ~period); response <- emmeans(one, ~period, type = "response")
means <- function(e) { d <- asymp(e); d$null <- NULL; d }
fixed <- predict(one, re.form = NA, type = "link", se.fit = TRUE)
modal <- predict(one, type = "link", se.fit = TRUE)
mean <- predict(one, type = "response", se.fit = TRUE)
out <- list(cbpp = list(
  link = means(link), response = means(response),
  pairs_link = means(pairs(link, adjust = "tukey")), pairs_response = means(pairs(response, adjust = "tukey")),
  pairs_plain = means(pairs(response, adjust = "none")),
  drop1 = as.data.frame(drop1(one, test = "Chisq")),
  profile_tmb = as.data.frame(confint(one, method = "profile", parm = 1:4)),
  profile_lme4 = as.data.frame(confint(lme, method = "profile", quiet = TRUE, devtol = 1e-6)),
  fixed_link = fixed, modal_link = modal, modal_response = mean,
  without_herd = unname(apply(influence(lme, "herd")[["fixed.effects[-herd]"]], 2, identity)),
  pearson = unname(resid(lme, "pearson")), deviance_residuals = unname(resid(lme, "deviance"))))

two <- glmmTMB(TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | INDEX) + (1 | LOCATION), grouse, poisson)
ticks <- glmer(TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | INDEX) + (1 | LOCATION), grouse, poisson, control = tight)
year <- emmeans(two, ~YEAR, type = "response")
out$grouse <- list(
  response = means(year), pairs = means(pairs(year, adjust = "none")),
  drop1 = as.data.frame(drop1(two, test = "Chisq")),
  profile_tmb = as.data.frame(confint(two, method = "profile", parm = 1:4)),
  without_location = as.numeric(logLik(update(two, . ~ . - (1 | LOCATION)))),
  fixed_link = predict(two, re.form = NA, type = "link", se.fit = TRUE), modal_link = predict(two, type = "link", se.fit = TRUE),
  pearson = unname(resid(ticks, "pearson")), deviance_residuals = unname(resid(ticks, "deviance")))

# A negative binomial response with an offset, for the means and the dispersion.
three <- glmmTMB(TICKS ~ YEAR + (1 | LOCATION) + offset(log(HEIGHT)), grouse, nbinom2)
out$offset <- list(loglik = as.numeric(logLik(three)), beta = unname(fixef(three)$cond), se = unname(sqrt(diag(vcov(three)$cond))),
  size = sigma(three), response = means(emmeans(three, ~YEAR, type = "response", offset = 0)))

# 60 subjects, 40 items, maximal.
four <- suppressWarnings(glmer(y ~ c + (1 + c | s) + (1 + c | i), psych, binomial, control = tight))
five <- suppressWarnings(glmmTMB(y ~ c + (1 + c | s) + (1 + c | i), psych, binomial))
nlopt <- suppressWarnings(update(four, control = glmerControl("nloptwrap", optCtrl = list(maxeval = 1e5, xtol_abs = 1e-9, ftol_abs = 1e-9), tolPwrss = 1e-13, calc.derivs = FALSE)))
out$psych <- list(bobyqa = -2 * as.numeric(logLik(four)), nlopt = -2 * as.numeric(logLik(nlopt)), tmb = -2 * as.numeric(logLik(five)),
  beta = unname(fixef(four)), theta = unname(getME(four, "theta")))

six <- clmm(resp ~ Anger + Gender + btype + situ + (1 | id) + (1 | item), verbagg, Hess = TRUE)
out$ordinal <- list(loglik = as.numeric(logLik(six)), alpha = unname(six$alpha), beta = unname(six$beta), se = unname(sqrt(diag(vcov(six)))), sd = unname(sqrt(unlist(VarCorr(six)))))
seven <- clmm(resp ~ Anger + btype + (1 | id), verbagg, Hess = TRUE, link = "probit")
out$ordinal_probit <- list(loglik = as.numeric(logLik(seven)), alpha = unname(seven$alpha), beta = unname(seven$beta), se = unname(sqrt(diag(vcov(seven)))))
out$versions <- list(R = as.character(getRversion()), lme4 = as.character(packageVersion("lme4")), glmmTMB = as.character(packageVersion("glmmTMB")), emmeans = as.character(packageVersion("emmeans")), ordinal = as.character(packageVersion("ordinal")))
write(toJSON(out, digits = 12, auto_unbox = TRUE, dataframe = "columns"), "statistics.json")

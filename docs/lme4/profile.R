library(lme4)
fm <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
confint(fm, oldNames = FALSE, quiet = TRUE)

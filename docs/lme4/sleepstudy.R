library(lme4)
fm <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
summary(fm)

library(lme4)
fm1 <- lmer(Reaction ~ Days + (1 | Subject), sleepstudy)
fm2 <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
anova(fm1, fm2)

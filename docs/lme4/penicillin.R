library(lme4)
fm <- lmer(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin)
print(VarCorr(fm), comp = c("Variance", "Std.Dev."))
ranef(fm)$sample

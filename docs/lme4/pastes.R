library(lme4)
fm <- lmer(strength ~ 1 + (1 | batch/cask), Pastes)
VarCorr(fm)
head(ranef(fm)[["cask:batch"]], 3)

"""Bridges to packages that take fitted models: marginaleffects, stargazer."""

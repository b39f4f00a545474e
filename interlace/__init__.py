"""Linear mixed models with crossed random effects."""

__version__ = "0.1.0"

"""Generalised linear mixed models as users hold them: models, results and what these can be asked."""

"""Mixed models as estimators of scikit-learn, for its splitters, searches and pipelines."""

from .regressor import CrossedLMMRegressor

__all__ = ["CrossedLMMRegressor"]

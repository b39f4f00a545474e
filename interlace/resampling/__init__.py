"""Other data for the same model: responses drawn from it, refits, the bootstrap."""

from __future__ import annotations

from .bootstrap import Bootstrap, bootstrap
from .refit import refit
from .response import responses_of
from .simulate import generators, seeds, simulator

__all__ = ["Bootstrap", "bootstrap", "generators", "refit", "responses_of", "seeds", "simulator"]

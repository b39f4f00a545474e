"""Linear mixed models with crossed random effects, in the manner of statsmodels."""

from interlace import datasets
from interlace.model import CrossedLMM, fit
from interlace.results import CrossedLMMResults

__version__ = "0.1.0"

__all__ = ["CrossedLMM", "CrossedLMMResults", "__version__", "datasets", "fit"]

"""Four published data sets and one simulator, each returned as a fresh pandas DataFrame.

Grouping factors are categorical with string labels. Where the data come from, and on what terms, is written
in the README beside this file.
"""

from .loaders import load_insteval, load_pastes, load_penicillin, load_sleepstudy
from .simulated import make_reading_times

__all__ = ["load_insteval", "load_pastes", "load_penicillin", "load_sleepstudy", "make_reading_times"]

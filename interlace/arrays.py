"""Types of arrays, the same everywhere."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.intp]
BoolArray: TypeAlias = NDArray[np.bool_]
# A SciPy sparse array. The stubs do not follow the format through products and slices.
SparseArray: TypeAlias = Any

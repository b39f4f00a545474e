"""CHOLMOD stub while under construction."""
from __future__ import annotations
def available() -> bool:
    return False
class CholmodFactorization: ...

"""The profile likelihood: intervals without a normal approximation."""

from __future__ import annotations

from .profiled import Profile, profile

__all__ = ["Profile", "profile"]

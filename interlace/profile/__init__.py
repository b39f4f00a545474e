"""The profile likelihood: intervals without a normal approximation."""

from __future__ import annotations

from .record import Profile, profile

__all__ = ["Profile", "profile"]

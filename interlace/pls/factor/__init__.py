"""The seam behind which ``Lambda' A Lambda + I`` is factorised, and three ways to do it."""

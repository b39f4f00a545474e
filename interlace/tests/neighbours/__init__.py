"""Packages that take our results; each test file runs where its package is installed."""

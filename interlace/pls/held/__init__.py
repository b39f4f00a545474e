"""Fits with one parameter held fixed."""

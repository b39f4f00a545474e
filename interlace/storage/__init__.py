"""Fits as files: plain numbers and text with a checksum, nothing that runs."""

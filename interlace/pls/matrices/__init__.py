"""Grouping factors, terms and their covariances as matrices; the cross-products of the data."""

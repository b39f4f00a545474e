"""From text to coded columns; the only door to patsy."""

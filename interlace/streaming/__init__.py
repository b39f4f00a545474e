"""Models of data that are read in chunks: sources, passes over them, and what is kept of the rows."""

"""One call for every model: what is fitted follows from the family."""

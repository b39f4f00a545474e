"""Tables of every kind: columns, the rows that are used, levels of grouping factors."""

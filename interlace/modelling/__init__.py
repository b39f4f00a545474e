"""What linear and generalised models share: statsmodels' view of a design, and keywords that are refused."""

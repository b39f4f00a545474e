"""The linear mixed model as users hold it: model, results, and many fits at once."""

"""The rows behind a fit: other responses, left-out rows, predictions."""

"""The tests; their plan is in CONTRIBUTING.md."""

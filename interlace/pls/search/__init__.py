"""The profiled criterion, its derivatives, and the search for its minimum."""

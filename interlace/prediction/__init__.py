"""Expected responses and random effects, with their uncertainty."""

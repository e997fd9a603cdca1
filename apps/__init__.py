"""Aphiria's site: one definition, four sets of values."""

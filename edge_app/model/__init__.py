"""A bundle, and what it answers."""

"""Epochs: what is minimised, by whom, in which stages."""

"""Predictions to documents; they are made in memory."""

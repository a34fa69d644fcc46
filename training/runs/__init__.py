"""The run directory and its provenance."""

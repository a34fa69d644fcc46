"""How fast the app is beside its peers: `python -m tools.bench`."""

"""The networks, and where their weights start."""

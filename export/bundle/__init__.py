"""The bundle on disk: packed, described, signed."""

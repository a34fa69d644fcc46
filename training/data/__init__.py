"""A data set: read, scanned, split, fed to a training."""

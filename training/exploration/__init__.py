"""What stands in a data set, before anything is trained on it."""

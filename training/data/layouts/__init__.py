"""One module a data set layout: a folder on disk to a table of samples."""

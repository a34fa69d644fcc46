"""The app as it is installed on a clinic's PC: put there, proven, switched, started, taken away."""

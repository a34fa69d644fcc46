"""A finished run directory in, a model bundle with exact Grad-CAM out."""

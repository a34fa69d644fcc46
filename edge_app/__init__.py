"""What runs in the clinic: an X-ray in, an answer with exact Grad-CAM out, in memory only."""

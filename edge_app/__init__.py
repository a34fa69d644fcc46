"""What runs in the clinic: an X-ray in, an answer with exact Grad-CAM out, in memory only."""

import os

# ONNX Runtime would write an identifier into the folder for temporary files, to tell its makers of its use.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

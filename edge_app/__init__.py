"""What runs in the clinic: an X-ray in, an answer with exact Grad-CAM out, in memory only."""

import os

# ONNX Runtime would write an identifier into the folder for temporary files, to tell its makers of its use.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# NumPy's library for matrices would take threads of its own even for small ones, and these go on spinning
# when done: that takes 5 % of the model's time. It reads this when NumPy is first imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

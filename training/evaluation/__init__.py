"""How good a trained model is, and how far its figures can be believed."""

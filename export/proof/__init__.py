"""Nothing is written unless these agree."""

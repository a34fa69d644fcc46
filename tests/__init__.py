"""One file a module, plus boundaries and end-to-end."""

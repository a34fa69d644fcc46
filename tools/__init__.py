"""What maintainers run: locks and pictures for the documents."""

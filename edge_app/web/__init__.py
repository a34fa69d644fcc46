"""HTTP to domain and back."""

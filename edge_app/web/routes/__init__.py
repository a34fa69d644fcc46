"""HTTP to the domain and back; nothing else."""

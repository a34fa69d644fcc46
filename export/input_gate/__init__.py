"""The input gate: fitted to a model's own averages, judged by pictures that it never saw."""

"""Where scenes live: one small interface over folders (and, later, object stores)."""

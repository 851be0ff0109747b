"""A top-level module of a common name."""

raise ImportError("the clash of names that this adapter is there to avoid")

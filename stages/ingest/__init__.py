"""Which recordings a scene has, and what they are."""

"""People who move and cameras that see them, made up, so that the truth is known."""

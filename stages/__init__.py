"""One folder per stage, all with the same inner shape. No stage imports another."""

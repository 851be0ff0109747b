"""Tests of the artifacts: what is written is read back, by others too, and what is broken is refused."""

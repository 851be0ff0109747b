"""The DAG, written once, and the ways to run it."""

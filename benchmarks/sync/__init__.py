"""Synchronisation measured: simulated scenes, real video cuts, and the methods of others beside ours."""

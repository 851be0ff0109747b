"""Killed, interrupted, raced and starved: what must never happen to a result."""

"""The names of what is measured, for who does not want to load torch to know them."""

from __future__ import annotations

PARTS = ("masks", "speed", "end-to-end", "memory", "compile")
"""In the order in which they are measured: what is quick comes first."""

QUICK_PARTS = PARTS[:-1]
"""Those that have an answer within a minute."""

"""What a container starts: the module that its image was built for, as `python3 -m MODULE` would.

An entrypoint without a shell cannot name the stage itself: no builder replaces variables in it.
"""

from __future__ import annotations

import os
import runpy

if __name__ == "__main__":
    runpy.run_module(os.environ["GHOST_MODULE"], run_name="__main__", alter_sys=True)

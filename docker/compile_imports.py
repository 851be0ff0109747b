"""Imports everything that a module of ghost may import, in an image that is being built: that leaves its byte code.

    python3 compile_imports.py stages.sync

Compiling all that is installed would add a quarter to the image; compiling nothing costs each start seconds.
A module that is missing fails the build: the stage would fail later.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from imported_modules import code_of, imported  # type: ignore[import-not-found]  # noqa: E402 - lies in tools/


def load(name: str) -> None:
    """Imports a module, or the module that a name lies in. Raises ImportError for what is neither."""
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        parent, _, attribute = name.rpartition(".")
        if not parent or not hasattr(importlib.import_module(parent), attribute):
            raise


def main() -> None:
    """Imports the files behind the module, and what they name."""
    for path in code_of(ROOT, sys.argv[1]):
        if path.name != "__main__.py":  # importing it would start the stage
            load(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
        for name in sorted(imported(path)):
            load(name)


if __name__ == "__main__":
    main()

"""Imports everything that a module of ghost may import, in an image that is being built: that leaves its byte code.

    python3 compile_imports.py stages.sync cpu

Compiling all that is installed would add a quarter to the image; compiling nothing costs each start seconds.
A module that is missing fails the build: the stage would fail later. What an image of the flavour lacks on purpose,
such as torch in those for CPUs, is passed over, and so is the code of ours that needs it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Collection
from pathlib import Path

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from imported_modules import absent_from, code_of, imported  # type: ignore[import-not-found]  # noqa: E402 - lies in tools/


def load(name: str, *, absent: Collection[str]) -> None:
    """Imports a module, or the module that a name lies in, unless that leads to one of `absent`.

    Raises:
        ModuleNotFoundError: there is neither such a module nor such a name.
    """
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] in absent:
            return
        parent, _, attribute = name.rpartition(".")
        if not parent or not hasattr(importlib.import_module(parent), attribute):
            raise


def main() -> None:
    """Imports the files behind the module, and what they name."""
    module, flavour = sys.argv[1:]
    absent = absent_from(flavour)
    for path in code_of(ROOT, module):
        if path.name != "__main__.py":  # importing it would start the stage
            load(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), absent=absent)
        for name in sorted(imported(path)):
            load(name, absent=absent)


if __name__ == "__main__":
    main()

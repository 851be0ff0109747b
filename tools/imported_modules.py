"""Which modules a module of ghost may come to import: imports inside functions count, those for type checkers do not.

What an image needs is read from the code with this, and so is what the image compiles when it is built.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

OURS = ("common", "stages", "workflows")

GPU_ONLY = ("PIL", "safetensors", "sam2", "torch", "transformers")
"""Modules that images of the GPU flavour alone have: those of the extra `gpu`, torch, and the official SAM 2."""

USERS_OWN = ("sam_3d_body",)
"""Modules of checkouts that users bring; no image and no lock has them."""


def absent_from(flavour: str) -> tuple[str, ...]:
    """Modules that an image of the flavour may lack although its code imports them."""
    return USERS_OWN if flavour == "gpu" else (*USERS_OWN, *GPU_ONLY)


def imported(path: Path) -> set[str]:
    """Full names that a file imports: modules, and `module.name` for each name taken from one."""
    return set(_imported(ast.parse(path.read_text(encoding="utf-8"))))


def _imported(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module is not None:
            yield child.module
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        yield from _imported(child)


def reached(root: Path, starts: Iterable[Path]) -> list[Path]:
    """Our own files that the given ones lead to, themselves and the packages that they lie in included; sorted."""
    fresh = list(starts)
    found = set(fresh)
    while fresh:
        path = fresh.pop()
        names = {*imported(path), ".".join(path.relative_to(root).with_suffix("").parts)}
        new = {file for name in names if name.partition(".")[0] in OURS for file in _files(root, name)} - found
        found |= new
        fresh += new
    return sorted(found)


def _files(root: Path, name: str) -> Iterator[Path]:
    """The file of a module and those of the packages above it; nothing for a name that is no module."""
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        candidates = (root.joinpath(*parts[:count], "__init__.py"), root.joinpath(*parts[:count]).with_suffix(".py"))
        yield from (path for path in candidates if path.is_file())


def code_of(root: Path, module: str) -> list[Path]:
    """The files behind `python -m MODULE`: those of a stage, or of the command, which starts stages too."""
    if module.startswith("stages."):
        return reached(root, root.joinpath(*module.split(".")).rglob("*.py"))
    return reached(root, [root / module / "__main__.py", *(root / "stages").rglob("*.py")])

"""Writes the parts of README.md that the code determines: exit codes, parameters. `--check` only compares."""

from __future__ import annotations

import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
sys.path.insert(0, str(README.parent))

from common.errors import ExitCode  # noqa: E402 - the checkout is no installed package
from workflows import parameters_table  # noqa: E402


def exit_codes() -> str:
    """The table of exit codes in Markdown."""
    rows = [f"| {code.value} | {code.meaning} | {'yes' if code.retry else ''} |" for code in ExitCode]
    return "\n".join(["| code | meaning | try again as it is |", "|---|---|---|", *rows])


PARTS = {
    "exit codes": exit_codes,
    "parameters": parameters_table.shared_table,
    "parameters of Argo": parameters_table.argo_table,
    "parameters of SLURM": parameters_table.slurm_table,
}
"""What stands between <!-- NAME --> and <!-- end of NAME -->."""


def rendered(text: str) -> str:
    """README with every generated part written anew between its two marks."""
    for name, content in {name: part() for name, part in PARTS.items()}.items():
        start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        before, _, rest = text.partition(start)
        _, _, after = rest.partition(end)
        text = f"{before}{start}\n{content}\n{end}{after}"
    return text


def main() -> int:
    """Returns 1 if README.md was not what the code says."""
    text = README.read_text(encoding="utf-8")
    new = rendered(text)
    if "--check" not in sys.argv:
        README.write_text(new, encoding="utf-8")
    return int("--check" in sys.argv and new != text)


if __name__ == "__main__":
    sys.exit(main())

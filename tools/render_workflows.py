"""Writes the workflow files of Argo and the SLURM driver from the stages' declarations. `--check` only compares."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from workflows import argo, slurm  # noqa: E402 - the checkout is no installed package


def main() -> int:
    """Returns 1 if a file was not what the declarations say and `--check` was given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is not up to date")
    parser.add_argument("--out", type=Path, default=ROOT, help="folder to write to, in place of the checkout")
    parser.add_argument(
        "--videos-at-once",
        type=int,
        default=argo.VIDEOS_AT_ONCE,
        help="videos that Argo works on at a time, and so the most GPU pods at once: it takes no parameter for that",
    )
    options = parser.parse_args()
    stale = []
    for name, text in {**argo.rendered(videos_at_once=options.videos_at_once), **slurm.rendered()}.items():
        path = options.out / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not options.check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    if options.check and stale:
        sys.stderr.write(f"not as rendered: {', '.join(stale)}. Run `make render`.\n")
    return int(options.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())

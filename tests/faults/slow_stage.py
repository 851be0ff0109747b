"""A stage that a test can kill, stop, race or starve: `python -m tests.faults.slow_stage --scene take --video cam01 …`.

It writes one file and a folder of many, all of the same content, so that a mix of two attempts shows.
"""

from __future__ import annotations

import os
import resource
import sys
from dataclasses import dataclass

from common.artifacts import MASKS, PEOPLE
from common.command import main
from common.stage import Stage, Unit, option
from common.workspace import Workspace

LIMIT = "GHOST_TEST_FILE_LIMIT"  # bytes that a file may have, set in the environment


@dataclass(frozen=True)
class Options:
    content: str = option("one", help="What is written.")
    files: int = option(20, help="How many files are written.")
    kilobytes: int = option(20, help="How large each is.")
    wait: bool = option(False, help="Wait for a line on stdin at the end of every file.")


def run(workspace: Workspace, options: Options) -> None:
    """Writes slowly enough to be interrupted, on request even slower."""
    body = (options.content * 1000 * options.kilobytes)[: 1000 * options.kilobytes]
    workspace.output(MASKS).write_text(body)
    folder = workspace.output(PEOPLE)
    for number in workspace.track(range(options.files), total=options.files, label="files"):
        (folder / f"{number:03d}.json").write_text(body)
        if options.wait:
            sys.stdin.readline()


STAGE = Stage(
    name="slow",
    summary="Writes files.",
    unit=Unit.VIDEO,
    reads=(),
    writes=(MASKS, PEOPLE),
    run=run,
    options=Options,
    packages=(),
)

if __name__ == "__main__":
    limit = int(os.environ.get(LIMIT, 0))
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    main(STAGE)

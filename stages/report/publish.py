"""From what there is about a scene to report.html."""

from __future__ import annotations

from common.artifacts import REPORT
from common.workspace import Workspace
from stages.report.gather import gather
from stages.report.page import render
from stages.report.redact import make_redact

MAX_BYTES = 5_000_000


def write_report(workspace: Workspace) -> None:
    """Gathers, renders and writes the page; never fails because something is missing or broken."""
    evidence = gather(workspace)
    page = render(evidence, redact=make_redact(_roots(workspace))).encode()
    if len(page) > MAX_BYTES:
        workspace.warn(f"report.html has {len(page) / 1e6:.1f} MB; some viewers accept no more than 5.")
    workspace.output(REPORT).write_bytes(page)


def _roots(workspace: Workspace) -> dict[str, str]:
    """The folders that messages may name, and how the page calls them."""
    roots = {workspace.published.storage.uri: "OUTPUT_DIR"}
    return roots if workspace.data_uri is None else roots | {workspace.data_uri: "DATA_ROOT"}

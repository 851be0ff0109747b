"""The page: every section's context through its template, in one self-contained document.

To add a section: a module in `sections/` with TEMPLATE, ANCHOR, TITLE and context(evidence), its template in
`templates/`, and its place in SECTIONS.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from types import ModuleType
from typing import Any

import jinja2
from markupsafe import Markup, escape

from stages.report.gather import Evidence
from stages.report.redact import Redact
from stages.report.sections import contact_sheet, cost, people, problems, reproduce, start_times, verdict

SECTIONS: tuple[ModuleType, ...] = (verdict, start_times, contact_sheet, people, cost, problems, reproduce)

_TEMPLATES = Path(__file__).parent / "templates"


def render(evidence: Evidence, *, redact: Redact) -> str:
    """The whole document.

    Args:
        evidence: what there is about the scene.
        redact: applied to every text that comes from outside: messages, warnings, values of options.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = prose
    style = (_TEMPLATES / "style.css").read_text(encoding="utf-8")
    sections = [
        {
            "anchor": module.ANCHOR,
            "title": module.TITLE,
            "template": module.TEMPLATE,
            "context": redacted(module.context(evidence), redact),
        }
        for module in SECTIONS
    ]
    return environment.get_template("page.html").render(
        scene=evidence.scene, sections=sections, style=style, style_hash=style_hash(style)
    )


def style_hash(style: str) -> str:
    """What the Content-Security-Policy lets pass: this style sheet and no other."""
    return base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


def prose(text: str) -> Markup:
    """A message, escaped, with what stands between backticks set as code."""
    parts = str(text).split("`")
    if len(parts) % 2 == 0:  # one backtick too many: leave them all alone
        return escape(text)
    marked = [Markup("<code>{}</code>").format(part) if i % 2 else escape(part) for i, part in enumerate(parts)]
    return Markup("").join(marked)


def redacted(value: Any, redact: Redact) -> Any:  # noqa: ANN401 - a context: nested dicts and sequences of anything
    """A copy of a context in which every text has been through `redact`; pictures and objects stay as they are."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: redacted(item, redact) for key, item in value.items()}
    if isinstance(value, list):
        return [redacted(item, redact) for item in value]
    if type(value) is tuple:
        return tuple(redacted(item, redact) for item in value)
    return value

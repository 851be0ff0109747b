"""Fills in the tags of a template: {{a.b}} with text, {{=a.b + 1}} with the value of an expression.

As in Argo, this happens on the JSON text of the whole object, so a value cannot break out of the string it stands in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tests.engines.argo_runner.errors import UnknownName, WorkflowProblem
from tests.engines.argo_runner.expressions import evaluate

_TAG = re.compile(r"\{\{(.*?)\}\}")


def fill(template: Any, names: Mapping[str, Any]) -> Any:
    """A copy of a JSON value with every tag replaced whose names are known; the others stay, for a later pass.

    Args:
        template: what a workflow file contains.
        names: values by full dotted name; None for an output that its task never had.

    Raises:
        WorkflowProblem: a tag names an output that will never come, or an expression fails.
    """

    def replaced(found: re.Match[str]) -> str:
        tag = found[1]
        try:
            value = evaluate(json.loads(f'"{tag[1:]}"'), names) if tag.startswith("=") else _lookup(tag, names)
        except UnknownName:
            return found[0]
        return json.dumps(value if isinstance(value, str) else _spelled(value))[1:-1]

    return json.loads(_TAG.sub(replaced, json.dumps(template, ensure_ascii=False)))


def _lookup(tag: str, names: Mapping[str, Any]) -> str:
    name = tag.strip()
    if name not in names:
        raise UnknownName(name)
    if not isinstance(names[name], str):
        raise WorkflowProblem(f"{{{{{tag}}}}} has no value: its task was skipped or omitted")
    return str(names[name])


def _spelled(value: Any) -> str:
    """As JSON writes it; a number without a fraction is written without one."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, separators=(",", ":"))


def tags(template: Any) -> frozenset[str]:
    """Every tag that a JSON value contains, as it is written."""
    return frozenset(found[0] for found in _TAG.finditer(json.dumps(template, ensure_ascii=False)))


def check_filled(template: Any, original: Any, *, where: str) -> None:
    """Raises UnknownName if a tag of the original is still there. A value that looks like a tag is none."""
    left = tags(template) & tags(original)
    if left:
        raise UnknownName(f"{where}: {', '.join(sorted(left))} names nothing")

"""Workflow documents as YAML text that every parser reads alike: Python's, and the two that Kubernetes tools use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

_ENDLESS = 10_000  # characters in a line: folding would change nothing but hide the structure
# YAML 1.1, YAML 1.2 and Go's parsers disagree on which of these are texts; braces are quoted for the reader's sake.
_DOUBTFUL = re.compile(r"[-+]?[.\d][-+.:_\da-fox]*|y|n|yes|no|on|off|true|false|null|~||.*{.*", re.IGNORECASE)


class _Dumper(yaml.SafeDumper):
    """Writes no anchors: Argo drops a file in which one is merged, without a word."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else "'" if _DOUBTFUL.fullmatch(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def to_yaml(document: Mapping[str, Any], *, comment: str = "") -> str:
    """A document as text, its keys in the order given.

    Args:
        document: of dictionaries, lists and plain values.
        comment: lines put on top.
    """
    lines = "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines())
    body = yaml.dump(dict(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_ENDLESS)
    return lines + body

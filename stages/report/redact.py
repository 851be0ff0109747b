"""Keeps what belongs to the machine out of a page that is made to be passed on: folders, credentials."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")
_SIGNATURE = re.compile(r"(?<=\w)\?[^\s'\"<>]*(?:Signature|Credential|token|key)=[^\s'\"<>]*", re.IGNORECASE)
_SECRET = re.compile(r"(?i)\b(\w*(?:secret|token|password|access_key)\w*)(\s*[=:]\s*)\S+")
_ABSOLUTE = re.compile(r"(?<![\w/.:~…])/(?:[^\s/'\":;,()<>|]+/)+(?=[^\s/'\":;,()<>|])")

Redact = Callable[[str], str]


def make_redact(roots: Mapping[str, str]) -> Redact:
    """A function that replaces known folders by names, shortens other absolute paths, and removes credentials.

    Args:
        roots: absolute path or URI of a folder -> how the page calls it, such as "OUTPUT_DIR".
    """
    known = sorted(((path.rstrip("/"), name) for path, name in roots.items() if path.strip("/")), reverse=True)

    def redact(text: str) -> str:
        for path, name in known:
            text = re.sub(re.escape(path) + r"(?![\w.-])", name, text)
        text = _CREDENTIALS.sub("", text)
        text = _SIGNATURE.sub("", text)
        text = _SECRET.sub(r"\1\2…", text)
        return _ABSOLUTE.sub("…/", text)

    return redact

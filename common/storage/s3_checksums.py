"""Whether bytes arrived as they were sent, by what the server says of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

from common.errors import TemporaryFailure


def md5_of(answer: Any) -> str | None:  # noqa: ANN401 - botocore's dict
    """The md5 of an object's content, as its ETag says; None where an ETag is no md5: of parts, or encrypted."""
    told = str(answer.get("ETag", "")).strip('"')
    if answer.get("ServerSideEncryption") == "aws:kms" or answer.get("SSECustomerAlgorithm"):
        return None
    return told if re.fullmatch("[0-9a-f]{32}", told) else None


class Evidence:
    """What a server says of one object over several tries.

    Servers that know the checksum that was sent along refuse other bytes, and repeat it. The others give an ETag, which
    is the md5 of the content, unless they encrypt or do as they like: what a server says twice is no accident on the
    way, and is let pass.
    """

    def __init__(self, place: str) -> None:
        self._place = place
        self._said: set[tuple[str, str]] = set()

    def check(self, answer: Any, content: Callable[[], bytes], *, name: str = "", checksum: str = "") -> None:  # noqa: ANN401
        """Raises TemporaryFailure if the bytes are not those that the server sent, or was sent.

        Args:
            answer: botocore's answer.
            content: gives the bytes.
            name: of a checksum in the answer, if one was sent along.
            checksum: its value.
        """
        told = answer.get(name)
        if told is None:
            told = md5_of(answer)
            if told is None:
                return
            checksum = hashlib.md5(content(), usedforsecurity=False).hexdigest()
        if told != checksum and (told, checksum) not in self._said:
            self._said.add((told, checksum))
            raise TemporaryFailure(f"{self._place}: damaged on its way. Try again.")

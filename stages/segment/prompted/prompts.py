"""What to look for, in words: one spelling of a prompt, and what cannot be one."""

from __future__ import annotations

import re

from common.errors import UsageError

_BETWEEN = re.compile(r"[.,;?!\n\t]+")
_ARTICLE = re.compile(r"^(?:an?|the)\s+")
_EXAMPLE = 'Name things in English, such as "person" or "person. bicycle."'


def phrases_of(prompt: str) -> tuple[str, ...]:
    """The things that a prompt names, each once, in its order: "a Person, bicycle" gives ("person", "bicycle").

    Things are separated by full stops, commas, semicolons or new lines; articles and capitals do not count.

    Raises:
        UsageError: it names nothing, or something without a letter.
    """
    phrases: list[str] = []
    for part in _BETWEEN.split(prompt.lower()):
        phrase = _ARTICLE.sub("", " ".join(part.split()))
        if phrase and phrase not in phrases:
            phrases.append(phrase)
    if not phrases:
        raise UsageError(f"--prompt: {prompt!r} names nothing to look for. {_EXAMPLE}.")
    for phrase in phrases:
        if not any(letter.isalpha() for letter in phrase):
            raise UsageError(f"--prompt: {phrase!r} is no word. {_EXAMPLE}.")
    return tuple(phrases)


def as_caption(phrases: tuple[str, ...]) -> str:
    """The text that Grounding DINO reads: "person. bicycle."."""
    return ". ".join(phrases) + "."

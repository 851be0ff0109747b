"""What is asked for goes by the words of a prompt; which words mean people, who have bodies, is decided here alone."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable

PERSON = "person"
"""What everybody is whom nobody has called otherwise."""

_PEOPLE = (  # chosen by hand: what people who are filmed are called; plurals in -s are known, too
    *("person", "people", "human", "man", "men", "woman", "women", "lady", "ladies", "gentleman", "gentlemen"),
    *("boy", "girl", "child", "children", "kid", "baby", "babies", "toddler", "teenager", "adult"),
    *("pedestrian", "passenger", "cyclist", "player", "goalkeeper", "referee", "coach", "athlete", "skater", "skier"),
    *("surfer", "swimmer", "climber", "dancer", "performer", "actor", "actress", "actresses", "singer", "musician"),
    *("guy", "student", "teacher", "nurse", "doctor", "patient", "soldier", "chef", "waiter", "customer", "worker"),
)
_LINKS = (
    *("in", "on", "at", "with", "without", "of", "from", "by", "near", "behind", "beside", "under", "to", "for"),
    *("who", "that", "whose"),
)
_PARTICIPLES = ("ing", "ed")
_NO_PARTICIPLES = ("bed", "clothing", "drawing", "painting")  # a kid bed is no kid
_MACHINES = ("record", "cd", "dvd", "music", "media", "tape", "video")  # whose players have no body


def is_person(class_name: str) -> bool:
    """Whether a phrase names a person, who has a body: "red person", "woman in white", "people dancing".

    It does if the noun that it is about is one of a few English words: its last word, or the one before a preposition
    or a participle ("on", "wearing"). "Baby carriage" and "dog of a woman" name none.
    """
    words = re.findall(r"[^\W_]+", class_name.lower())
    head = len(words) - 1
    for index, (word, following) in enumerate(itertools.pairwise(words)):
        participle = following.endswith(_PARTICIPLES) and following not in _NO_PARTICIPLES
        if following in _LINKS or (participle and _means_people(word)):
            head = index
            break
    return bool(words) and _means_people(words[head]) and (head == 0 or words[head - 1] not in _MACHINES)


def no_bodies(class_names: Iterable[str]) -> str:
    """What to tell the user of things that were found; "" if one of them is a person, or if there are none.

    Args:
        class_names: one for each thing.
    """
    counts = Counter(class_names)
    if not counts or any(map(is_person, counts)):
        return ""
    things = ", ".join(f"{count} x {name!r}" for name, count in sorted(counts.items()))
    return (
        f"{things}, and no person: bodies are made for people alone, and ghost takes no other words for them than "
        "person, man, woman, child, player and their like (--prompt 'person.')."
    )


def _means_people(word: str) -> bool:
    return word in _PEOPLE or word.removesuffix("s") in _PEOPLE

"""References to parameters as Argo Workflows 4.1 reads them: {{tag}} pastes text, {{=expression}} a computed value.

A value is pasted only where it is an argument by itself. Wherever it would become a part of something that is parsed
(a condition, a patch) it goes through an expression that knows its type, so that no value can add to the structure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import click


def pasted(name: str) -> str:
    """The value of a workflow parameter, as it is."""
    return f"{{{{workflow.parameters.{name}}}}}"


def value_of(name: str) -> str:
    """The value of a workflow parameter inside an expression: a text.

    Argo hides a name from expressions if a longer one begins with it (`util/expand`): a test looks for such pairs.
    """
    return f"workflow.parameters['{name}']" if "-" in name else f"workflow.parameters.{name}"


def computed(expression: str) -> str:
    """What an expression gives. Raises ValueError for one that Argo would cut short at its first two braces."""
    if "}}" in expression or "{{" in expression:
        raise ValueError(f"two braces in a row end or begin a tag: {expression}")
    return f"{{{{={expression}}}}}"


def texts(words: Sequence[str]) -> str:
    """A list of texts inside an expression. Raises ValueError for one that would need escapes."""
    unsafe = [word for word in words if not re.fullmatch(r"[A-Za-z0-9_.-]+", word)]
    if unsafe:
        raise ValueError(f"cannot stand in an expression: {unsafe[0]!r}")
    return "[" + ", ".join(f'"{word}"' for word in words) + "]"


def is_true(name: str) -> str:
    """A condition: whether a parameter is the word true."""
    return computed(f'{value_of(name)} == "true"')


def option_argument(option: click.Option, reference: str, name: str) -> str:
    """The argument that gives an option the value of a parameter: one argument, whatever the value holds.

    Options that are true or false are spelled as flags; any other word is passed on as it is, and the command
    refuses it with its usage exit code.

    Args:
        option: of the command that runs in the container.
        reference: the tag that stands for the value.
        name: of the parameter.
    """
    flag = option.opts[0]
    if not option.secondary_opts:
        return f"{flag}={reference}"
    value, opposite = value_of(name), option.secondary_opts[0]
    return computed(f'{value} == "true" ? "{flag}" : {value} == "false" ? "{opposite}" : "{flag}=" + {value}')

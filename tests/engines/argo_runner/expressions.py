"""Evaluates the expressions that workflow files contain: {{=…}}, depends, when, retryStrategy.expression.

A small part of expr-lang (and of govaluate, which reads `when`): literals, lists, names with `.` and ['x-y'],
calls of asInt, asFloat, string, fromJSON, toJSON and len, `!`, `* / %`, `+ -`, comparisons, `in`, `contains`,
`startsWith`, `endsWith`, `&& ||`, `and or not`, `?:`. Values of two kinds are never equal in Argo either, but silently;
here that is an error, since it is always a mistake.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.engines.argo_runner.errors import UnknownName, Unsupported, WorkflowProblem

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+(?:\.\d+)?)
    |(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<word>[A-Za-z_]\w*)
    |(?P<sign>&&|\|\||==|!=|<=|>=|[-!<>+*/%?:.,()\[\]]))""",
    re.VERBOSE,
)
_LEVELS: tuple[tuple[str, ...], ...] = (  # binary operators, the loosest first
    ("||", "or"),
    ("&&", "and"),
    ("==", "!=", "<", "<=", ">", ">=", "in", "contains", "startsWith", "endsWith"),
    ("+", "-"),
    ("*", "/", "%"),
)
_NOT_BEFORE = ("in", "contains", "startsWith", "endsWith")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
}
Tree = tuple[Any, ...]


def evaluate(text: str, names: Mapping[str, Any], *, bare_words: bool = False) -> Any:
    """The value of an expression.

    Args:
        text: the expression.
        names: values by their full dotted name ("workflow.parameters.scene").
        bare_words: a name stands for itself, as in `when: foo == bar`.

    Raises:
        UnknownName: it mentions a name that has no value, even in a branch that is not taken.
        WorkflowProblem: it cannot be evaluated.
        Unsupported: it is not in the part of the language that is known here.
    """
    tree = _Parser(text).whole()
    if not bare_words:
        missing = [name for name in _names(tree) if name not in names]
        if missing:
            raise UnknownName(f"{missing[0]} is not known in {text!r}")
    return _value(tree, text, names, bare_words)


def truth(text: str, names: Mapping[str, Any], *, bare_words: bool = False) -> bool:
    """The value of an expression that must be true or false."""
    value = evaluate(text, names, bare_words=bare_words)
    if not isinstance(value, bool):
        raise WorkflowProblem(f"{text!r} is {value!r}, neither true nor false")
    return value


class _Parser:
    """Recursive descent: one method per level of binding."""

    def __init__(self, text: str) -> None:
        self._text, self._tokens, at = text, [], 0
        end = len(text.rstrip())
        while at < end:
            found = _TOKEN.match(text, at)
            if found is None:
                raise Unsupported(f"{text!r}: {text[at:].strip()[:20]!r} is not understood")
            self._tokens.append((found.lastgroup, found[found.lastgroup or 0]))
            at = found.end()

    def whole(self) -> Tree:
        tree = self._choice()
        if self._tokens:
            raise Unsupported(f"{self._text!r}: {self._tokens[0][1]!r} was not expected")
        return tree

    def _next(self) -> str:
        return self._tokens[0][1] if self._tokens and self._tokens[0][0] in ("sign", "word") else ""

    def _take(self, *wanted: str) -> str:
        """The next token if it is one of these, and moves on; else nothing."""
        return self._tokens.pop(0)[1] if self._next() in wanted and self._next() else ""

    def _demand(self, wanted: str) -> None:
        if not self._take(wanted):
            raise Unsupported(f"{self._text!r}: {wanted!r} was expected")

    def _choice(self) -> Tree:
        condition = self._binary(0)
        if not self._take("?"):
            return condition
        chosen = self._choice()
        self._demand(":")
        return ("choice", condition, chosen, self._choice())

    def _binary(self, level: int) -> Tree:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while True:
            negated = len(self._tokens) > 1 and self._next() == "not" and self._tokens[1][1] in _NOT_BEFORE
            if negated and _NOT_BEFORE[0] in _LEVELS[level]:
                self._take("not")
            sign = self._take(*_LEVELS[level])
            if not sign:
                return left
            left = ("binary", sign, left, self._binary(level + 1))
            left = ("not", left) if negated else left

    def _unary(self) -> Tree:
        if self._take("!", "not"):
            return ("not", self._unary())
        return ("binary", "-", ("value", 0), self._unary()) if self._take("-") else self._primary()

    def _primary(self) -> Tree:
        if self._take("("):
            inside = self._choice()
            self._demand(")")
            return inside
        if self._take("["):
            return ("list", self._items("]"))
        if not self._tokens or self._tokens[0][0] == "sign":
            raise Unsupported(f"{self._text!r} ends, or goes on in a way that is not understood")
        kind, written = self._tokens.pop(0)
        if kind == "number":
            return ("value", float(written) if "." in written else int(written))
        if kind == "string":
            return ("value", re.sub(r"\\(.)", r"\1", written[1:-1]))
        if written in ("true", "false"):
            return ("value", written == "true")
        return ("call", written, self._items(")")) if self._take("(") else self._name(written)

    def _items(self, end: str) -> tuple[Tree, ...]:
        items = []
        while not self._take(end):
            items.append(self._choice())
            if self._next() != end:
                self._demand(",")
        return tuple(items)

    def _name(self, first: str) -> Tree:
        parts = [first]
        while sign := self._take(".", "["):
            kind, token = self._tokens.pop(0) if self._tokens else ("", "")
            if kind != ("word" if sign == "." else "string"):
                raise Unsupported(f"{self._text!r}: a name was expected after {'.'.join(parts)}")
            parts.append(token if sign == "." else token[1:-1])
            if sign == "[":
                self._demand("]")
        return ("name", ".".join(parts))


def _names(tree: Tree) -> list[str]:
    if tree[0] == "name":
        return [tree[1]]
    below = tree[2] if tree[0] == "call" else tree[1] if tree[0] == "list" else tree[1:]
    return [name for part in below if isinstance(part, tuple) for name in _names(part)]


def _value(tree: Tree, text: str, names: Mapping[str, Any], bare_words: bool) -> Any:
    def value(part: Tree) -> Any:
        return _value(part, text, names, bare_words)

    match tree:
        case ("value", found):
            return found
        case ("name", name):
            return name if bare_words else names[name]
        case ("list", items):
            return [value(item) for item in items]
        case ("not", inside):
            return not _boolean(value(inside), text)
        case ("choice", condition, yes, no):
            return value(yes) if _boolean(value(condition), text) else value(no)
        case ("binary", "&&" | "and", left, right):
            return _boolean(value(left), text) and _boolean(value(right), text)
        case ("binary", "||" | "or", left, right):
            return _boolean(value(left), text) or _boolean(value(right), text)
        case ("binary", sign, left, right):
            return _combine(sign, value(left), value(right), text)
        case ("call", function, arguments):
            return _call(function, [value(argument) for argument in arguments], text)
    raise AssertionError(tree)


def _boolean(value: object, text: str) -> bool:
    if not isinstance(value, bool):
        raise WorkflowProblem(f"{text!r}: {value!r} is neither true nor false")
    return value


def _kind(value: object) -> str:
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def _combine(sign: str, left: Any, right: Any, text: str) -> Any:
    if sign == "in":
        if not isinstance(right, list) or any(_kind(item) != _kind(left) for item in right):
            raise WorkflowProblem(f"{text!r}: {left!r} in {right!r} compares what cannot be equal")
        return left in right
    if _kind(left) != _kind(right):
        raise WorkflowProblem(f"{text!r}: {left!r} {sign} {right!r} are of two kinds")
    if sign in ("==", "!="):
        return (left == right) == (sign == "==")
    if sign in ("contains", "startsWith", "endsWith"):
        if not isinstance(left, str):
            raise WorkflowProblem(f"{text!r}: {sign} is for texts")
        return {"contains": right in left, "startsWith": left.startswith(right), "endsWith": left.endswith(right)}[sign]
    if _kind(left) == "number" or (_kind(left) == "str" and sign == "+"):
        return (_COMPARE.get(sign) or _ARITHMETIC[sign])(left, right)
    raise WorkflowProblem(f"{text!r}: {left!r} {sign} {right!r} cannot be computed")


def _call(function: str, arguments: list[Any], text: str) -> Any:
    if function not in _FUNCTIONS or len(arguments) != 1:
        raise Unsupported(f"{text!r}: {function} with {len(arguments)} arguments is not known")
    try:
        return _FUNCTIONS[function](arguments[0])
    except ValueError as error:
        raise WorkflowProblem(f"{text!r}: {function}({arguments[0]!r}) cannot be computed") from error


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _length(value: object) -> int:
    if not isinstance(value, str | list | dict):
        raise ValueError(value)
    return len(value)  # of a text the characters, as in expr-lang


_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "asInt": int,
    "asFloat": float,
    "fromJSON": json.loads,
    "len": _length,
    "string": _text,
    "toJSON": json.dumps,
}

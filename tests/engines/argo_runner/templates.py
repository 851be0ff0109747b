"""A template as a call of it sees it: with the defaults of the workflow and the values of its inputs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.engines.argo_runner.errors import UnknownName
from tests.engines.argo_runner.tags import fill

# Lists that Kubernetes and Argo merge by a key of their items; all others are replaced.
_MERGED_BY = {"env": "name", "hostAliases": "ip", "parameters": "name", "tolerations": "key"} | {
    "imagePullSecrets": "name",
    "initContainers": "name",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
_TYPES = ("container", "dag")


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """The second object laid over the first, as a strategic merge does it."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            result[key] = merged(old, value)
        elif isinstance(old, list) and isinstance(value, list) and key in _MERGED_BY:
            result[key] = _merged_lists(old, value, key=_MERGED_BY[key])
        else:
            result[key] = value
    return result


def _merged_lists(base: list[Any], over: list[Any], *, key: str) -> list[Any]:
    by_key = {item[key]: item for item in over}
    kept = [merged(item, by_key.get(item[key], {})) for item in base]
    return kept + [item for item in over if item[key] not in {old[key] for old in base}]


def with_defaults(template: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The template with the workflow's templateDefaults behind it: those for another type of template do not count."""
    kinds = [kind for kind in _TYPES if kind in template]
    return merged({key: value for key, value in defaults.items() if key not in _TYPES or key in kinds}, template)


def text(value: Any) -> str:
    """A parameter's value as Argo keeps it: text."""
    return value if isinstance(value, str) else json.dumps(value)


def called(
    template: Mapping[str, Any], arguments: Mapping[str, str], names: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A template with everything that is known filled in, and all names that were: what is known later stays a tag.

    Args:
        template: with defaults.
        arguments: values of its inputs.
        names: everything else that has a value.

    Raises:
        UnknownName: an input without a value.
    """
    known = dict(names)
    for parameter in template.get("inputs", {}).get("parameters", ()):
        name = parameter["name"]
        value = arguments.get(name, parameter.get("value", parameter.get("default")))
        if value is None:
            raise UnknownName(f"template {template['name']}: its input {name} was not supplied")
        known[f"inputs.parameters.{name}"] = fill(text(value), names)
    bare = {key: value for key, value in template.items() if key != "inputs"}
    return fill(bare, known), known

"""The fields of a workflow file that this runner honours. Any other is refused: it could change what happens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.engines.argo_runner.errors import Unsupported

# Fields without influence on what a single run does; `executor` is the account of Argo's own containers.
_HOUSEKEEPING = {"ttlStrategy", "podGC", "volumeClaimGC", "workflowMetadata", "priority", "executor"}
_SCHEDULING = {
    "automountServiceAccountToken",
    "nodeSelector",
    "podSpecPatch",
    "securityContext",
    "serviceAccountName",
    "tolerations",
    "volumes",
}
_KNOWN = {
    "spec": _SCHEDULING
    | _HOUSEKEEPING
    | {"activeDeadlineSeconds", "arguments", "entrypoint", "imagePullSecrets", "onExit", "parallelism", "podMetadata"}
    | {"templateDefaults", "templates"},
    "template": _SCHEDULING
    | {"activeDeadlineSeconds", "container", "dag", "initContainers", "inputs", "metadata", "name", "outputs"}
    | {"parallelism", "retryStrategy"},
    "dag template": {"dag", "inputs", "metadata", "name", "outputs", "parallelism"},
    "dag": {"failFast", "tasks"},
    "task": {"arguments", "depends", "name", "template", "when", "withParam"},
    "inputs": {"parameters"},
    "outputs": {"parameters"},
    "arguments": {"parameters"},
    "parameter": {"default", "description", "enum", "name", "value", "valueFrom"},
    "retryStrategy": {"backoff", "expression", "limit", "retryPolicy"},
    "backoff": {"cap", "duration", "factor"},
}


def check_fields(kind: str, found: Mapping[str, Any], *, where: str) -> None:
    """Raises Unsupported for a field of an object of this kind that the runner does not know."""
    unknown = sorted(set(found) - _KNOWN[kind])
    if unknown:
        raise Unsupported(f"{where}: the field {unknown[0]!r} of a {kind} is not known to this runner")


def check_workflow(document: Mapping[str, Any]) -> None:
    """Raises Unsupported for anything in a workflow that this runner does not know."""
    spec = document["spec"]
    # Argo fails the attempts of such a handler if they wait when the deadline is over: that is not imitated here.
    if any("retryStrategy" in template for template in spec["templates"] if template["name"] == spec.get("onExit")):
        raise Unsupported(f"onExit: {spec['onExit']} has a retryStrategy, which is not known to this runner")
    check_fields("spec", spec, where="spec")
    for template in (*spec["templates"], spec.get("templateDefaults", {})):
        where = f"template {template.get('name', '(defaults)')}"
        check_fields("template", template, where=where)
        for kind in ("inputs", "outputs", "retryStrategy", "dag"):
            check_fields(kind, template.get(kind, {}), where=where)
        check_fields("backoff", template.get("retryStrategy", {}).get("backoff", {}), where=where)
        parameters = [
            *template.get("inputs", {}).get("parameters", ()),
            *template.get("outputs", {}).get("parameters", ()),
        ]
        for task in template.get("dag", {}).get("tasks", ()):
            check_fields("task", task, where=f"{where}, task {task['name']}")
            check_fields("arguments", task.get("arguments", {}), where=f"{where}, task {task['name']}")
            parameters += task.get("arguments", {}).get("parameters", ())
        for parameter in parameters:
            check_fields("parameter", parameter, where=where)
        if "dag" in template:
            check_fields("dag template", template, where=where)
            if template["dag"].get("failFast") is not False:
                raise Unsupported(f"{where}: a dag without failFast: false is not known to this runner")

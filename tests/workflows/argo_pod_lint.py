"""What no schema sees in the pods of a workflow file: arguments that no command takes, careless security, lost volumes.

Reads nothing but the document, the stages' commands and the declared exit codes; the renderer is not asked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any
from unittest import mock

import click

from common.command import stage_command
from common.errors import ExitCode
from tests.engines.argo_runner.expressions import evaluate
from tests.engines.argo_runner.retries import seconds
from tests.engines.argo_runner.tags import fill
from tests.workflows.argo_parts import EXAMPLES, TAG, Document, leaves, templates
from tools.lock_requirements import images
from workflows.cli import ghost
from workflows.pipeline import STAGES, gpu_backends

_GPU = "nvidia.com/gpu"
_KILLED = 137
_FIRST_PAUSE_S = 3
_CODES = {1, 2, 126, 127, 134, _KILLED, 139, 255, *(int(code) for code in ExitCode)}


def pod_findings(document: Document) -> list[str]:
    """Everything that is wrong with the pods of a Workflow or WorkflowTemplate, one line each."""
    checks = (retries, deadlines, volumes, pictures, gpus, weights, security, arguments)
    return [message for check in checks for message in check(document)]


def retries(document: Document) -> Iterator[str]:
    """Pods, and pods alone, are tried again: after the declared exit codes or a lost node, not after a deadline."""
    for name, template in templates(document).items():
        strategy = template.get("retryStrategy")
        if "dag" in template or strategy is None:
            if ("dag" in template) == (strategy is not None):
                yield f"{name}: {'a DAG is tried again' if strategy else 'is never tried again'}"
            continue
        again = {code for code in _CODES if _again(strategy["expression"], code)}
        wanted = {int(code) for code in ExitCode if code.retry} | {_KILLED}
        if again != wanted:
            yield f"{name}: tried again after {sorted(again)}, expected {sorted(wanted)}"
        if not _again(strategy["expression"], -1, status="Error"):
            yield f"{name}: not tried again on a lost node"
        if _again(strategy["expression"], 143, message="Pod was active on the node longer than the specified deadline"):
            yield f"{name}: tried again after its deadline"
        if "limit" not in strategy or "maxDuration" in strategy.get("backoff", {"maxDuration": ""}):
            yield f"{name}: needs a limit of attempts, and a backoff without maxDuration"
        if seconds(strategy.get("backoff", {}).get("duration", 0)) > _FIRST_PAUSE_S:
            yield f"{name}: its first pause is long, and Argo makes it also where there is no other attempt"


def _again(expression: str, code: int, *, status: str = "Failed", message: str = "Error") -> bool:
    scope = {"lastRetry.exitCode": str(code), "lastRetry.status": status, "lastRetry.message": message}
    return bool(evaluate(expression, scope))


def deadlines(document: Document) -> Iterator[str]:
    """Every pod and the whole run have a deadline; a DAG cannot have one."""
    if not isinstance(document["spec"].get("activeDeadlineSeconds"), int):
        yield "spec: needs a deadline in the file, Argo takes none from a parameter"
    for name, template in templates(document).items():
        if ("activeDeadlineSeconds" in template) != ("container" in template):
            yield f"{name}: {'needs a deadline' if 'container' in template else 'a DAG cannot have a deadline'}"


def volumes(document: Document) -> Iterator[str]:
    """Every mount has its volume and a place of its own; every volume is mounted."""
    known = {volume["name"] for volume in document["spec"]["volumes"]}
    mounted: set[str] = set()
    for name, template in leaves(document).items():
        mounts = template["container"]["volumeMounts"]
        mounted |= {mount["name"] for mount in mounts}
        yield from (f"{name}: no volume {mount['name']!r}" for mount in mounts if mount["name"] not in known)
        if len({mount["mountPath"] for mount in mounts}) != len(mounts):
            yield f"{name}: two volumes in one place"
        if "/tmp" not in {mount["mountPath"] for mount in mounts}:  # noqa: S108
            yield f"{name}: the root is read-only, and nothing is mounted at /tmp"
    yield from (f"volume {name}: nobody mounts it" for name in sorted(known - mounted))


def pictures(document: Document) -> Iterator[str]:
    """Every image is one that docker/ builds, with a tag that is not pulled anew each time."""
    built = set(images("cpu"))
    for name, template in leaves(document).items():
        image = filled(document, template["container"]["image"])
        stem, _, tag = image.rpartition(":")
        if not stem.startswith("ghost-") or stem.removeprefix("ghost-") not in built:
            yield f"{name}: {image} is no image that is built here"
        if tag in ("", "latest") or template["container"].get("imagePullPolicy") != "IfNotPresent":
            yield f"{name}: {image} would be pulled for every pod"


def gpus(document: Document) -> Iterator[str]:
    """Pods with a backend made for a GPU get what belongs to one: GPUs unless device is cpu, and an image with torch.

    With any other backend the same pod gets nothing of it, and keeps away from the nodes that have some.
    """
    for name, template in leaves(document).items():
        stage = next((stage for stage in STAGES if stage.name == name), None)
        made = gpu_backends(stage) if stage is not None else ()
        others = {"gpus": "3", "node-selector": '{"gpu": "a100"}', "gpu-image-tag": "1-gpu"}
        others |= {f"gpu-memory-{name}": "77", f"gpu-cpu-{name}": "66"}
        device = dict.fromkeys(("device", f"{name}-device"), "cpu")
        cases = [("embedded", {}, False, False)]
        cases += [(backend, {}, True, True) for backend in made]
        cases += [(backend, device, False, True) for backend in made]
        for backend, more, gpu, torch in cases:
            values = {f"{name}-backend": backend, **others, **more}
            wanted = {"limit": gpu, "requirement": gpu, "toleration by parameter": gpu, "nodes": gpu}
            wanted |= {"image": torch, "memory": torch, "cores": torch}
            found = _signs_of_gpu(document, template, values)
            wrong = [sign for sign, there in wanted.items() if found[sign] != there]
            yield from (f"{name}: GPU {sign} {'missing' if wanted[sign] else 'without need'}" for sign in wrong)
        fixed = {
            "default limit": template["container"]["resources"].get("limits", {}).get(_GPU) == "0",
            "toleration": any(entry.get("key") == _GPU for entry in template.get("tolerations", ())),
            "shared memory": "/dev/shm" in {mount["mountPath"] for mount in template["container"]["volumeMounts"]},  # noqa: S108
        }
        wrong = [sign for sign, there in fixed.items() if there != bool(made)]
        yield from (f"{name}: GPU {sign} {'missing' if made else 'without need'}" for sign in wrong)


def _signs_of_gpu(document: Document, template: Document, values: dict[str, str]) -> dict[str, bool]:
    """What says, with these parameters, that a pod is for a GPU."""
    patch = json.loads(filled(document, template.get("podSpecPatch", "{}"), retries="0", **values))
    container = next(iter(patch.get("containers", ())), {})
    limits = container.get("resources", {}).get("limits", {})
    return {
        "limit": limits.get(_GPU, "0") == "3",
        "requirement": {"name": "GHOST_REQUIRE_GPU", "value": "1"} in container.get("env", ()),
        "toleration by parameter": any(entry.get("key") == _GPU for entry in patch.get("tolerations", ())),
        "nodes": bool(patch.get("nodeSelector")),
        "image": filled(document, template["container"]["image"], **values).endswith(":1-gpu"),
        "memory": limits.get("memory") == "77Mi",
        "cores": limits.get("cpu") == "66" == container["resources"].get("requests", {}).get("cpu"),
    }


def weights(document: Document) -> Iterator[str]:
    """Every pod that has to know which models a unit uses is told where they are: what was pinned is recorded there."""
    place = "s3://lab/weights"
    for name, template in leaves(document).items():
        module = template["container"]["command"][-1]
        stage = next((stage for stage in STAGES if f"stages.{stage.name}" == module), None)
        concerned = stage.uses_models if stage is not None else module == "workflows"
        given = f"--weights={place}" in filled(document, template["container"]["args"], weights=place)
        if given != concerned:
            yield f"{name}: the place of the weights is {'given without need' if given else 'missing'}"


def security(document: Document) -> Iterator[str]:
    """The nine points, of every pod."""
    spec = document["spec"]
    for name, template in leaves(document).items():
        container = template["container"]
        pod = {**spec.get("securityContext", {}), **template.get("securityContext", {})}
        own = {**pod, **container.get("securityContext", {})}
        resources = container.get("resources", {})
        token = template.get("automountServiceAccountToken", spec.get("automountServiceAccountToken", True))
        executor = spec.get("executor", {}).get("serviceAccountName")
        points = {
            "runAsNonRoot": own.get("runAsNonRoot") is True,
            "runAsUser": isinstance(own.get("runAsUser"), int) and own["runAsUser"] > 0,
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "capabilities": own.get("capabilities") == {"drop": ["ALL"]},
            "readOnlyRootFilesystem": own.get("readOnlyRootFilesystem") is True,
            "seccompProfile": own.get("seccompProfile", {}).get("type") == "RuntimeDefault",
            "automountServiceAccountToken": token is False and executor not in (None, spec.get("serviceAccountName")),
            "resources": all({"cpu", "memory"} <= set(resources.get(kind, {})) for kind in ("requests", "limits")),
            "activeDeadlineSeconds": "activeDeadlineSeconds" in template,
        }
        yield from (f"{name}: {point} is not as it should be" for point, kept in points.items() if not kept)
        yield from (f"{name}: {field}" for field in ("hostNetwork", "hostPID", "privileged") if field in str(template))


def arguments(document: Document) -> Iterator[str]:
    """Every pod is a command of ours with arguments that it takes, and values reach it in no other way."""
    for name, template in templates(document).items():
        if set(template) & {"script", "containerSet", "steps", "resource", "data", "http"}:
            yield f"{name}: is neither a container nor a DAG"
    for name, template in leaves(document).items():
        container = template["container"]
        words = container["command"]
        if words[:2] != ["python3", "-m"] or len(words) != 3:
            yield f"{name}: runs {words}, expected python3 -m and a module"
            continue
        if TAG.search(json.dumps([container.get("env", []), container.get("envFrom", []), words])):
            yield f"{name}: a value reaches it otherwise than as an argument"
        try:
            parsed(words[2], filled(document, container["args"]))
        except (click.ClickException, StopIteration) as error:
            yield f"{name}: {words[2]} does not take its arguments: {getattr(error, 'message', error)}"


def parsed(module: str, given: list[str]) -> dict[str, Any]:
    """What a command of ours understands. Raises click.ClickException for what it does not take."""
    rest = list(given)
    command: click.Command = ghost
    if module.startswith("stages."):
        command = stage_command(next(stage for stage in STAGES if f"stages.{stage.name}" == module))
    while isinstance(command, click.Group):
        word = rest.pop(0) if rest else ""
        if word not in command.commands:
            raise click.UsageError(f"no command {word!r}")
        command = command.commands[word]
    with mock.patch.dict(os.environ):  # an option may be for the environment of the process
        return command.make_context(module, rest).params


def filled(document: Document, part: Any, *, failures: object = None, **values: str) -> Any:
    """A part of the document with every tag replaced, parameters by their values, failures as Argo writes them."""
    declared = {entry["name"]: entry.get("value", "") for entry in document["spec"]["arguments"]["parameters"]}
    scope = {f"workflow.parameters.{name}": value for name, value in {**declared, **EXAMPLES, **values}.items()}
    quoted = json.dumps(json.dumps(failures, ensure_ascii=False), ensure_ascii=False)
    scope |= {"workflow.status": "Succeeded", "workflow.failures": quoted, "retries": values.get("retries", "0")}
    return fill(part, {**scope, "inputs.parameters.video": values.get("video", "cam01")})

"""workflows/ghost.yaml, rendered from the stages' declarations: the DAG on Kubernetes with Argo Workflows 4.1.

How Argo's controller 4.1.2 behaves decides the form of the file; what is surprising stands where it is used. Two facts
shape the whole: the controller calls a run a success in which a camera was lost, so the exit handler judges and fails
the run; and it knows quantities only in the file or in a podSpecPatch, so resources that are parameters go there.
"""

from __future__ import annotations

from typing import Any

from common.stage import Unit
from workflows import pipeline
from workflows.argo_dag import END, MAIN, end_dag, main_dag, video_dag
from workflows.argo_expressions import computed, pasted, value_of
from workflows.argo_parameters import argo_parameters
from workflows.argo_pods import (
    CLAIM_FOLDER,
    CLAIM_VOLUME,
    CONTAINER,
    SCRATCH_SIZE,
    SCRATCH_VOLUME,
    SHARED_MEMORY_SIZE,
    SHARED_MEMORY_VOLUME,
    close_pod,
    leaf,
    stage_pod,
    weights_pod,
)
from workflows.argo_yaml import to_yaml
from workflows.parameters import Parameter

VIDEOS_AT_ONCE = 8
SERVICE_ACCOUNT = "ghost"
EXECUTOR_ACCOUNT = "ghost-executor"

_API_VERSION = "argoproj.io/v1alpha1"
_LABELS = {"app.kubernetes.io/name": "ghost"}
_DAY = 24 * 60 * 60
_RUN_DEADLINE = 3 * _DAY  # the controller takes no parameter for it
_USER = 1000
_COMMENT = """\
Rendered from the stages' declarations by `make render`: do not edit. What the cluster needs: workflows/README.md.
{use}
All parameters stand under spec.arguments; a second run of the same command continues where the first one ended."""
_SUBMIT = "argo submit workflows/ghost.yaml -p scene=take_01 -p data-root=/data/recordings -p output-root=/data/results"
_SUBMIT_INSTALLED = (
    "kubectl apply -f workflows/ghost-template.yaml && argo submit --from workflowtemplate/ghost -p scene=take_01"
)


def workflow(*, videos_at_once: int = VIDEOS_AT_ONCE) -> dict[str, Any]:
    """The Workflow that `argo submit` takes."""
    return {
        "apiVersion": _API_VERSION,
        "kind": "Workflow",
        "metadata": {"generateName": "ghost-", "labels": dict(_LABELS)},
        "spec": _spec(videos_at_once),
    }


def workflow_template(*, videos_at_once: int = VIDEOS_AT_ONCE) -> dict[str, Any]:
    """The same as a WorkflowTemplate, which an admin installs once: `argo submit --from workflowtemplate/ghost`."""
    return {
        "apiVersion": _API_VERSION,
        "kind": "WorkflowTemplate",
        "metadata": {"name": "ghost", "labels": dict(_LABELS)},
        "spec": _spec(videos_at_once),
    }


def rendered(*, videos_at_once: int = VIDEOS_AT_ONCE) -> dict[str, str]:
    """The files that are made from the declarations: path in the checkout -> content."""
    documents = {
        "workflows/ghost.yaml": (workflow(videos_at_once=videos_at_once), _SUBMIT),
        "workflows/ghost-template.yaml": (workflow_template(videos_at_once=videos_at_once), _SUBMIT_INSTALLED),
    }
    return {name: to_yaml(document, comment=_COMMENT.format(use=use)) for name, (document, use) in documents.items()}


def _spec(videos_at_once: int) -> dict[str, Any]:
    close = close_pod()
    # The exit handler writes what shows the history of a scene, also after a failure, a stop or a deadline.
    stages = [stage for stage in pipeline.STAGES if not stage.history]
    return {
        "entrypoint": MAIN,
        "onExit": END,
        # Pods run without a token; only Argo's own container in them gets one, of an account that may report results.
        "serviceAccountName": SERVICE_ACCOUNT,
        "automountServiceAccountToken": False,
        "executor": {"serviceAccountName": EXECUTOR_ACCOUNT},
        "activeDeadlineSeconds": _RUN_DEADLINE,
        "ttlStrategy": {"secondsAfterSuccess": 2 * _DAY, "secondsAfterFailure": 7 * _DAY},
        "podGC": {"strategy": "OnPodSuccess", "deleteDelayDuration": "600s"},
        "podMetadata": {"labels": dict(_LABELS)},
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "fsGroupChangePolicy": "OnRootMismatch",  # else every pod changes the owner of every file in the volume
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "arguments": {"parameters": [_argument(parameter) for parameter in argo_parameters()]},
        "volumes": [
            {"name": CLAIM_VOLUME, "persistentVolumeClaim": {"claimName": pasted("claim")}},
            {"name": SCRATCH_VOLUME, "emptyDir": {"sizeLimit": SCRATCH_SIZE}},
            {"name": SHARED_MEMORY_VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": SHARED_MEMORY_SIZE}},
        ],
        "podSpecPatch": _without_claim(),
        "templates": [
            main_dag(stages, videos_at_once=videos_at_once),
            video_dag([stage for stage in stages if stage.unit is Unit.VIDEO]),
            leaf(weights_pod()),
            *(leaf(stage_pod(stage)) for stage in stages),
            end_dag(close.name),
            leaf(close),
        ],
    }


def _argument(parameter: Parameter) -> dict[str, Any]:
    """A parameter of the workflow. Argo offers the choices in its pages and does not enforce them: the stages do."""
    argument: dict[str, Any] = {"name": parameter.name, "description": parameter.help}
    if parameter.default is not None:
        argument["value"] = parameter.default
    choices = ["true", "false"] if parameter.is_flag else list(_choices(parameter))
    return {**argument, "enum": choices} if choices else argument


def _choices(parameter: Parameter) -> tuple[str, ...]:
    return parameter.spec.choices if parameter.spec is not None else ()


def _without_claim() -> str:
    """A patch of every pod: with `claim=none` the shared folder is empty, and nothing can be lost by writing to it."""
    empty = (
        f'{{"volumes": [{{"name": "{CLAIM_VOLUME}", "persistentVolumeClaim": null, "emptyDir": {{}} }}], '
        f'"containers": [{{"name": "{CONTAINER}", "volumeMounts": '
        f'[{{"name": "{CLAIM_VOLUME}", "mountPath": "{CLAIM_FOLDER}", "readOnly": true}}]}}]}}'
    )
    return computed(f"{value_of('claim')} == \"none\" ? '{empty}' : '{{}}'")

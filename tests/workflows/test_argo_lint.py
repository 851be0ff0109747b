"""Nothing in the workflow files leads nowhere, and the check that says so finds every mistake that is planted."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.workflows.argo_lint import findings
from tests.workflows.argo_parts import document, task, templates

Doc = dict[str, Any]


@pytest.mark.parametrize("name", ["ghost.yaml", "ghost-template.yaml"])
def test_every_name_leads_somewhere_every_command_takes_its_arguments_every_pod_is_careful(name: str):
    assert findings(document(name)) == []


def plant_cycle(doc: Doc) -> None:
    task(doc, "video", "frames")["depends"] = "body"


def plant_second_parameter(doc: Doc) -> None:
    doc["spec"]["arguments"]["parameters"].append({"name": "vis", "value": "true"})


def container(doc: Doc, name: str) -> Doc:
    return templates(doc)[name]["container"]


def replace(doc: Doc, template: str, old: str, new: str) -> None:
    """Replaces a text in a template, wherever it is."""
    index = list(templates(doc)).index(template)
    text = json.dumps(doc["spec"]["templates"][index])
    assert old in text
    doc["spec"]["templates"][index] = json.loads(text.replace(old, new))


def drop(doc: Doc, template: str, argument: str) -> None:
    """Removes the arguments of a pod that begin like this."""
    given = container(doc, template)["args"]
    assert any(word.startswith(argument) for word in given)
    given[:] = [word for word in given if not word.startswith(argument)]


PLANTED: dict[str, tuple[Callable[[Doc], object], str]] = {
    "entrypoint": (lambda d: d["spec"].update(entrypoint="mian"), "entrypoint: no template 'mian'"),
    "exit handler": (lambda d: d["spec"].update(onExit="clos"), "onExit: no template 'clos'"),
    "exit handler with attempts": (lambda d: d["spec"].update(onExit="close"), "onExit: close is tried again itself"),
    "failures in a stage": (
        lambda d: replace(d, "sync", "--method=", "--method={{workflow.failures}}"),
        "names 'workflow.failures'",
    ),
    "template of a task": (lambda d: task(d, "main", "sync").update(template="snyc"), "main.sync: no template 'snyc'"),
    "argument of a task": (lambda d: task(d, "video", "body").pop("arguments"), "video.body: gives []"),
    "name in a condition": (lambda d: task(d, "main", "sync").update(depends="video2.Failed"), "no such task"),
    "state": (lambda d: task(d, "main", "sync").update(depends="video.Finished"), "video.Finished is no state"),
    "group state": (lambda d: task(d, "main", "sync").update(depends="ingest.AnySucceeded"), "not fanned out"),
    "cycle": (plant_cycle, "wait for each other"),
    "parameter": (lambda d: replace(d, "sync", "parameters.method", "parameters.methd"), "'workflow.parameters.methd'"),
    "input": (
        lambda d: replace(d, "body", "inputs.parameters.video", "inputs.parameters.vid"),
        "inputs.parameters.vid",
    ),
    "name in an expression": (lambda d: replace(d, "sync", "asInt(retries)", "asInt(retrys)"), "names 'retrys'"),
    "output of a later task": (
        lambda d: task(d, "main", "video").update(withParam="{{tasks.sync.outputs.result}}"),
        "'tasks.sync.outputs.result'",
    ),
    "item without a list": (lambda d: task(d, "main", "video").pop("withParam"), "names 'item'"),
    "list in the file": (lambda d: task(d, "main", "video").update(withParam='["a"]'), "withParam is not what"),
    "no limit": (lambda d: templates(d)["main"].pop("parallelism"), "fans out without a limit"),
    "unused parameter": (
        lambda d: d["spec"]["arguments"]["parameters"].append({"name": "speed", "value": "1"}),
        "parameter speed: nobody uses it",
    ),
    "parameter that hides another": (
        lambda d: d["spec"]["arguments"]["parameters"].append({"name": "smoothness", "value": "1"}),
        "parameter smooth: expressions cannot see it, smoothness begins with it",
    ),
    "parameter twice": (plant_second_parameter, "parameter vis: declared twice"),
    "missing value": (lambda d: d["spec"]["arguments"]["parameters"][1].pop("value"), "data-root: must have a value"),
    "failing fast": (lambda d: templates(d)["main"]["dag"].pop("failFast"), "failFast must be false"),
    "retried DAG": (
        lambda d: templates(d)["video"].update(retryStrategy=templates(d)["body"]["retryStrategy"]),
        "a DAG is tried again",
    ),
    "retry of bad input": (lambda d: replace(d, "body", "[75,", "[65, 75,"), "tried again after [65, 75,"),
    "retry after deadline": (
        lambda d: replace(d, "body", '\\"deadline\\"', '\\"dead\\"+\\"x\\"'),
        "after its deadline",
    ),
    "maxDuration": (
        lambda d: templates(d)["body"]["retryStrategy"]["backoff"].update(maxDuration="1h"),
        "backoff without maxDuration",
    ),
    "long pause": (
        lambda d: templates(d)["body"]["retryStrategy"]["backoff"].update(duration="10s"),
        "body: its first pause is long",
    ),
    "deadline": (lambda d: templates(d)["body"].pop("activeDeadlineSeconds"), "body: needs a deadline"),
    "deadline of a DAG": (lambda d: templates(d)["main"].update(activeDeadlineSeconds=9), "cannot have a deadline"),
    "volume": (lambda d: container(d, "body")["volumeMounts"][0].update(name="dta"), "no volume 'dta'"),
    "mount": (lambda d: container(d, "body")["volumeMounts"][1].update(mountPath="/data"), "two volumes in one place"),
    "image": (lambda d: replace(d, "body", "}body:", "}bodies:"), "ghost-bodies:0.1.0 is no image"),
    "latest": (lambda d: replace(d, "sync", "{{workflow.parameters.image-tag}}", "latest"), "pulled for every pod"),
    "GPU limit": (lambda d: replace(d, "segment", '\\"nvidia.com/gpu\\"', '\\"amd.com/gpu\\"'), "GPU limit missing"),
    "GPU for the CPU": (lambda d: replace(d, "segment", '[\\"cpu\\", ', "["), "GPU limit without need"),
    "GPU for any backend": (lambda d: replace(d, "segment", "] && ", "] || "), "segment: GPU limit without need"),
    "GPU not required": (
        lambda d: replace(d, "body", "GHOST_REQUIRE_GPU", "GHOST_GPU"),
        "body: GPU requirement missing",
    ),
    "GPU required on the CPU": (
        lambda d: replace(d, "segment", "> 0 ? 1 : 0", ">= 0 ? 1 : 1"),
        "segment: GPU requirement without need",
    ),
    "weights": (lambda d: drop(d, "close", "--weights="), "close: the place of the weights is missing"),
    "weights of a stage": (lambda d: drop(d, "body", "--weights="), "body: the place of the weights is missing"),
    "GPU memory": (
        lambda d: replace(d, "segment", "asInt(workflow.parameters['gpu-memory-segment'])", "1"),
        "GPU memory missing",
    ),
    "GPU toleration": (lambda d: templates(d)["segment"].pop("tolerations"), "GPU toleration missing"),
    "GPU image": (
        lambda d: replace(d, "segment", "parameters['gpu-image-tag']", "parameters['image-tag']"),
        "segment: GPU image missing",
    ),
    "GPU image without need": (
        lambda d: replace(d, "sync", "parameters.image-tag", "parameters.gpu-image-tag"),
        "sync: GPU image without need",
    ),
    "GPU without need": (
        lambda d: templates(d)["sync"].update(
            podSpecPatch=templates(d)["segment"]["podSpecPatch"].replace("] &&", "] ||")
        ),
        "sync: GPU limit without need",
    ),
    "root": (lambda d: d["spec"]["securityContext"].update(runAsUser=0), "runAsUser is not as it should be"),
    "writable root": (
        lambda d: container(d, "close")["securityContext"].update(readOnlyRootFilesystem=False),
        "close: readOnlyRootFilesystem",
    ),
    "capabilities": (lambda d: container(d, "close")["securityContext"].pop("capabilities"), "close: capabilities"),
    "seccomp": (lambda d: d["spec"]["securityContext"].pop("seccompProfile"), "close: seccompProfile"),
    "token": (lambda d: d["spec"].pop("automountServiceAccountToken"), "automountServiceAccountToken"),
    "limits": (lambda d: container(d, "close")["resources"].pop("limits"), "resources is not as it should be"),
    "script": (lambda d: templates(d)["sync"].update(script={"source": "x"}), "neither a container nor a DAG"),
    "shell": (lambda d: container(d, "sync").update(command=["sh", "-c"]), "expected python3 -m and a module"),
    "value in the environment": (
        lambda d: container(d, "sync")["env"].append({"name": "S", "value": "{{workflow.parameters.scene}}"}),
        "otherwise than as an argument",
    ),
    "option": (lambda d: replace(d, "sync", "--max-offset=", "--max-ofset="), "No such option"),
    "choice": (
        lambda d: replace(d, "sync", "--method={{workflow.parameters.method}}", "--method=dtv"),
        "'dtv' is not one of",
    ),
    "kept logs": (lambda d: d["spec"].update(archiveLogs=True), "archiveLogs"),
    "rubbish": (lambda d: d["spec"].pop("podGC"), "never cleaned up"),
}


@pytest.mark.parametrize("case", list(PLANTED))
def test_a_planted_mistake_is_found(case: str):
    plant, message = PLANTED[case]
    doc = document()
    plant(doc)
    found = findings(doc)
    assert any(message in line for line in found), found

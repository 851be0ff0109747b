"""What no schema sees in a workflow file: names that lead nowhere, tasks that wait for each other, unused parameters.

Reads nothing but the document; the renderer is not asked. The pods are looked at in argo_pod_lint.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from tests.workflows.argo_parts import EXAMPLES, TAG, Document, strings, tasks, templates
from tests.workflows.argo_pod_lint import pod_findings

_PARAMETER = re.compile(r"workflow\.parameters(?:\.([A-Za-z]\w*)|\['([^']+)'\])")
_STATES = {"Succeeded", "Failed", "Errored", "Skipped", "Omitted", "Daemoned", "AnySucceeded", "AllFailed"}
_FUNCTIONS = {"asInt", "asFloat", "fromJSON", "len"}


def findings(document: Document) -> list[str]:
    """Everything that is wrong with a Workflow or WorkflowTemplate, one line each."""
    checks = (names, end, depends, references, parameters, fan_outs, habits)
    return [message for check in checks for message in check(document)] + pod_findings(document)


def names(document: Document) -> Iterator[str]:
    """Entrypoint, exit handler and tasks name templates; every template is named; tasks give what templates ask for."""
    spec, known = document["spec"], templates(document)
    if len(known) != len(spec["templates"]):
        yield "two templates of one name"
    used = {"entrypoint": spec["entrypoint"], "onExit": spec.get("onExit", "")}
    used |= {f"{owner}.{task['name']}": task["template"] for owner, task in tasks(document)}
    yield from (f"{user}: no template {name!r}" for user, name in used.items() if name not in known)
    yield from (f"template {name}: nobody uses it" for name in known if name not in used.values())
    for owner, task in tasks(document):
        wanted = {entry["name"] for entry in known.get(task["template"], {}).get("inputs", {}).get("parameters", ())}
        given = {entry["name"] for entry in task.get("arguments", {}).get("parameters", ())}
        if wanted != given:
            yield f"{owner}.{task['name']}: gives {sorted(given)}, its template asks for {sorted(wanted)}"


def end(document: Document) -> Iterator[str]:
    """The exit handler is a DAG: Argo 4.1 does not know attempts of a handler that is a pod for a part of it."""
    name = document["spec"].get("onExit", "")
    if "retryStrategy" in templates(document).get(name, {}):
        yield f"onExit: {name} is tried again itself, and after the run's deadline Argo fails what is waiting of it"


def _handlers(document: Document) -> set[str]:
    """The exit handler's template and those of its tasks."""
    name = document["spec"].get("onExit", "")
    return {name} | {task["template"] for owner, task in tasks(document) if owner == name}


def ancestors(document: Document, owner: str) -> dict[str, set[str]]:
    """For every task of a DAG, the tasks named in its condition."""
    return {
        task["name"]: {word.split(".")[0] for word in re.findall(r"[A-Za-z][\w.-]*", task.get("depends", ""))}
        for task in templates(document)[owner]["dag"]["tasks"]
    }


def depends(document: Document) -> Iterator[str]:
    """Conditions name tasks of the same DAG and states that exist; nothing waits for itself."""
    fanned_out = {(owner, task["name"]) for owner, task in tasks(document) if "withParam" in task}
    for owner, template in templates(document).items():
        if "dag" not in template:
            continue
        before = ancestors(document, owner)
        for name, others in before.items():
            yield from (f"{owner}.{name}: depends on {other!r}, no such task" for other in others - set(before))
        for task in template["dag"]["tasks"]:
            for other, state in re.findall(r"([A-Za-z][\w-]*)\.(\w+)", task.get("depends", "")):
                if state not in _STATES:
                    yield f"{owner}.{task['name']}: {other}.{state} is no state"
                if state in ("AnySucceeded", "AllFailed") and (owner, other) not in fanned_out:
                    yield f"{owner}.{task['name']}: {other} is not fanned out"
        left = dict(before)
        while free := [name for name, others in left.items() if not others & set(left)]:
            left = {name: others for name, others in left.items() if name not in free}
        if left:
            yield f"{owner}: {', '.join(sorted(left))} wait for each other"


def references(document: Document) -> Iterator[str]:
    """Every tag means something where it stands."""
    spec = document["spec"]
    declared = {entry["name"] for entry in spec["arguments"]["parameters"]}
    everywhere = {f"workflow.parameters.{name}" for name in declared}
    outside = {key: value for key, value in spec.items() if key != "templates"}
    yield from _unknown("spec", outside, everywhere)
    for name, template in templates(document).items():
        inside = everywhere | {
            f"inputs.parameters.{entry['name']}" for entry in template.get("inputs", {}).get("parameters", ())
        }
        if "retryStrategy" in template:
            inside |= {"retries"}
        if name in _handlers(document):
            inside |= {"workflow.status", "workflow.failures"}
        rest = {key: value for key, value in template.items() if key != "dag"}
        yield from _unknown(name, rest, inside)
        for task in template.get("dag", {}).get("tasks", ()):
            before = _all_before(ancestors(document, name), task["name"])
            known = inside | {f"tasks.{other}.outputs.result" for other in before}
            known |= {"item"} if "withParam" in task else set()
            yield from _unknown(f"{name}.{task['name']}", task, known)


def _all_before(before: Mapping[str, set[str]], name: str) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        new = before.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def _unknown(where: str, part: object, known: set[str]) -> Iterator[str]:
    for text in strings(part):
        for tag in TAG.findall(text):
            wrong = _free_names(tag[1:]) - known - _FUNCTIONS if tag.startswith("=") else {tag} - known
            yield from (f"{where}: {{{{{tag}}}}} names {name!r}, which is nothing here" for name in sorted(wrong))


def _free_names(expression: str) -> set[str]:
    dotted = re.sub(r"\['([^']+)'\]", r".\1", expression)
    without_texts = re.sub(r'"[^"]*"|\'[^\']*\'', "", dotted)
    words = set(re.findall(r"[A-Za-z_][\w-]*(?:\.[\w-]+)*", without_texts))
    return words - {"true", "false", "in", "not", "contains"}


def parameters(document: Document) -> Iterator[str]:
    """Each parameter is declared once, has a value unless it must be given, and is used."""
    declared = [entry["name"] for entry in document["spec"]["arguments"]["parameters"]]
    yield from (f"parameter {name}: declared twice" for name in set(declared) if declared.count(name) > 1)
    text = json.dumps(document["spec"]["templates"]) + json.dumps(
        [document["spec"]["volumes"], document["spec"].get("podSpecPatch", "")]
    )
    used = {plain or quoted for plain, quoted in _PARAMETER.findall(text)}
    used |= set(re.findall(r"\{\{workflow\.parameters\.([\w-]+)\}\}", text))
    yield from (f"parameter {name}: nobody uses it" for name in sorted(set(declared) - used))
    # Argo drops a name from what expressions can see if a longer one begins with it, with or without a dot between.
    computed = {plain or quoted for plain, quoted in _PARAMETER.findall(" ".join(_expressions(document)))}
    for name in sorted(computed):
        longer = sorted(other for other in declared if other != name and other.startswith(name))
        if longer:
            yield f"parameter {name}: expressions cannot see it, {longer[0]} begins with it"
    for entry in document["spec"]["arguments"]["parameters"]:
        if ("value" in entry) == (entry["name"] in EXAMPLES):
            yield f"parameter {entry['name']}: must {'not ' if 'value' in entry else ''}have a value"
        if "enum" in entry and entry["value"] not in entry["enum"]:
            yield f"parameter {entry['name']}: its value is none of its choices"


def _expressions(document: Document) -> Iterator[str]:
    for text in strings(document["spec"]):
        yield from (tag[1:] for tag in TAG.findall(text) if tag.startswith("="))


def fan_outs(document: Document) -> Iterator[str]:
    """A fan-out reads the list that a stage prints, and its DAG says how many may run at once."""
    for owner, task in tasks(document):
        if "withParam" not in task:
            continue
        if not re.fullmatch(r"\{\{tasks\.[\w-]+\.outputs\.result\}\}", task["withParam"]):
            yield f"{owner}.{task['name']}: withParam is not what a task has printed"
        if "parallelism" not in templates(document)[owner]:
            yield f"{owner}: fans out without a limit"


def habits(document: Document) -> Iterator[str]:
    """What Argo's controller was seen to do badly with."""
    spec = document["spec"]
    if "archiveLogs" in json.dumps(document):
        yield "archiveLogs: without an artifact repository every pod ends in an error"
    if "templateDefaults" in spec:
        yield "templateDefaults: they apply to the DAGs, too"
    if spec.get("podGC", {}).get("strategy") != "OnPodSuccess" or "ttlStrategy" not in spec:
        yield "spec: pods and workflows are never cleaned up"
    yield from (
        f"{name}: failFast must be false, or one camera's failure stops the others"
        for name, template in templates(document).items()
        if "dag" in template and template["dag"].get("failFast") is not False
    )

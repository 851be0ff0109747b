"""The runner of workflow files, without a cluster: what it makes of expressions, tags, tasks, retries and handlers."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.engines.argo_runner.dag import dependencies, depends_met
from tests.engines.argo_runner.errors import UnknownName, Unsupported, WorkflowProblem
from tests.engines.argo_runner.expressions import evaluate, truth
from tests.engines.argo_runner.nodes import Node, Phase, PodResult
from tests.engines.argo_runner.retries import pause, seconds
from tests.engines.argo_runner.run import Result, WorkflowRun
from tests.engines.argo_runner.tags import fill
from tests.engines.argo_runner.templates import merged, with_defaults

OK = PodResult(Phase.SUCCEEDED, exit_code=0)


def failed(code: int) -> PodResult:
    return PodResult(Phase.FAILED, f"main: Error (exit code {code})", exit_code=code)


class Stand:
    """Pods that do nothing: what each comes to is decided by a function of its arguments; it notes what was asked."""

    def __init__(self, answer: Callable[[list[str]], PodResult] = lambda arguments: OK, *, takes_s: float = 0) -> None:
        self.answer, self.takes_s = answer, takes_s
        self.pods: list[dict[str, Any]] = []
        self.lock = threading.Lock()
        self.running = self.most = 0

    def patch(self, pod: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
        return {**pod, "patched": spec}

    def run(self, pod: dict[str, Any]) -> PodResult:
        with self.lock:
            self.pods.append(pod)
            self.running += 1
            self.most = max(self.most, self.running)
        time.sleep(self.takes_s)
        with self.lock:
            self.running -= 1
        return self.answer(pod["spec"]["containers"][0]["args"])

    def arguments(self) -> list[list[str]]:
        return [pod["spec"]["containers"][0]["args"] for pod in self.pods]


def container(name: str, *args: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "container": {"image": "image:1", "args": list(args)}, **fields}


def workflow(*templates: dict[str, Any], **spec: Any) -> dict[str, Any]:
    first = {"entrypoint": templates[0]["name"], "templates": list(templates)}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "spec": {**first, **spec}}


def dag(name: str, *tasks: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"name": name, "dag": {"failFast": False, "tasks": list(tasks)}, **fields}


def task(name: str, depends: str = "", *, template: str = "", **fields: Any) -> dict[str, Any]:
    return {"name": name, "template": template or name} | ({"depends": depends} if depends else {}) | fields


def parameters(**values: str) -> dict[str, Any]:
    return {"parameters": [{"name": name, "value": value} for name, value in values.items()]}


def run(document: dict[str, Any], stand: Stand, **given: str) -> Result:
    return WorkflowRun(document, pods=stand, parameters=given, name="wf", hurry=1e6).run()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"a" + "b"', "ab"),
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("7 - 2 - 1", 4),
        ("1 / 2", 0.5),
        ("-2 + 3", 1),
        ("!true || true", True),
        ("not (1 == 2) and 2 >= 2", True),
        ("true || false && false", True),
        ("1 == 1 ? 'yes' : 'no'", "yes"),
        ("false ? 1 : true ? 2 : 3", 2),
        ("75 in [75, 137]", True),
        ("'x' not in ['y']", True),
        ('"a deadline" contains "dead"', True),
        ("'abc' startsWith 'ab'", True),
        ("'abc' endsWith 'ab'", False),
        ("asInt('12') + asInt(3)", 15),
        ("fromJSON('[1, {\"a\": null}]')", [1, {"a": None}]),
        ("string(3) + toJSON('x')", '3"x"'),
        ("len('é\"') + len([7])", 3),
        (r'"a\"b"', 'a"b'),
        ("workflow.parameters['x-y'] + a.b", "12"),
        ("[]", []),
    ],
)
def test_an_expression_has_the_value_that_its_language_gives_it(text: str, value: object) -> None:
    assert evaluate(text, {"workflow.parameters.x-y": "1", "a.b": "2"}) == value


@pytest.mark.parametrize(
    "text",
    ["", "1 +", "(1", "[1, 2", "a.b(1)", "1 2", "x | y", "a ?? b", "sprig.trim(' ')", "asInt(1, 2)", "a.'b'", "a[0]"],
)
def test_what_is_not_known_of_the_language_is_refused(text: str) -> None:
    with pytest.raises(Unsupported):
        evaluate(text, {"a": "1", "b": "2", "x": "3", "y": "4"})


@pytest.mark.parametrize(
    "text", ["flag == true", "'1' + 1", "1 in ['1']", "1 && true", "asInt('one')", "'a' * 2", "len(1)"]
)
def test_values_of_two_kinds_are_not_compared_or_computed_with(text: str) -> None:
    with pytest.raises(WorkflowProblem):
        evaluate(text, {"flag": "true"})


def test_a_name_without_a_value_is_an_error_even_where_it_is_not_used() -> None:
    with pytest.raises(UnknownName, match=r"later is not known"):
        evaluate("true || later", {})


def test_in_a_condition_a_bare_word_stands_for_itself() -> None:
    assert truth("foo == foo", {}, bare_words=True)
    assert not truth("true == false", {}, bare_words=True)
    with pytest.raises(WorkflowProblem, match="neither true nor false"):
        truth("foo", {}, bare_words=True)


@pytest.mark.parametrize("value", ['ta"ke', "$(id) `id`", "a\\n\nb\t", "ünï", "{{x}}", "{}", "'"])
def test_a_value_stays_in_the_string_that_it_was_pasted_into(value: str) -> None:
    assert fill({"args": ["--scene={{s}}", "{{= s }}"]}, {"s": value}) == {"args": [f"--scene={value}", value]}


def test_an_expression_is_written_as_json_into_its_place() -> None:
    names = {"n": "2", "list": '[{"key": "gpu"}]'}
    assert (
        fill('{"a": {{=fromJSON(list)}}, "m": "{{=asInt(n) * 512}}Mi"}', names)
        == '{"a": [{"key":"gpu"}], "m": "1024Mi"}'
    )
    assert fill("{{=asFloat(n)}} {{=n == '2'}}", names) == "2 true"


def test_what_is_known_later_stays_a_tag() -> None:
    assert fill("{{a}} {{=a + retries}} {{item}}", {"a": "1"}) == "1 {{=a + retries}} {{item}}"


def test_an_output_that_will_never_come_is_an_error() -> None:
    with pytest.raises(WorkflowProblem, match="skipped or omitted"):
        fill("{{tasks.a.outputs.result}}", {"tasks.a.outputs.result": None})


def test_defaults_lie_behind_the_template_and_only_those_of_its_type() -> None:
    defaults = {
        "container": {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}], "args": ["x"]},
        "volumes": [{"name": "v", "emptyDir": {}}],
    }
    template = {"name": "t", "container": {"env": [{"name": "B", "value": "2"}], "args": ["y"]}}
    assert with_defaults(template, defaults) == {
        "name": "t",
        "container": {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], "args": ["y"]},
        "volumes": [{"name": "v", "emptyDir": {}}],
    }
    assert "container" not in with_defaults(dag("d"), defaults)
    assert merged({"a": {"b": 1, "c": 1}}, {"a": {"c": 2}}) == {"a": {"b": 1, "c": 2}}


S, F, E, K, O = Phase.SUCCEEDED, Phase.FAILED, Phase.ERROR, Phase.SKIPPED, Phase.OMITTED  # noqa: E741


def group(*phases: Phase) -> Node:
    items = tuple(Node(f"d.a({index})", "t", phase) for index, phase in enumerate(phases))
    return Node("d.a", "t", next((phase for phase in phases if phase.bad), S), items=items)


@pytest.mark.parametrize(
    ("depends", "node", "met"),
    [
        ("a", Node("d.a", "t", S), True),
        ("a", Node("d.a", "t", K), True),
        ("a", Node("d.a", "t", O), False),
        ("a", Node("d.a", "t", F), False),
        ("a.Failed || a.Errored", Node("d.a", "t", E), True),
        ("!a.Omitted", Node("d.a", "t", F), True),
        ("a.AnySucceeded", group(S, F), True),
        ("a.AnySucceeded", group(F, E), False),
        ("a.AllFailed", group(F, F), True),
        ("a.AllFailed", group(F, E), False),
        ("a.Skipped || a.AnySucceeded", Node("d.a", "t", K), True),
    ],
)
def test_depends_means_what_the_documentation_says(depends: str, node: Node, met: bool) -> None:
    assert depends_met(depends, {"a": node}) is met


def test_depends_takes_names_with_hyphens() -> None:
    assert dependencies("a-b.Succeeded && (c || a-b.Failed)") == ("a-b", "c")
    assert depends_met("a-b && !c.Failed", {"a-b": Node("d.a-b", "t", S), "c": Node("d.c", "t", S)})


def test_values_reach_the_container_as_they_are() -> None:
    stand = Stand()
    hostile = 'ta"ke $(id) {{x}} \\'
    document = workflow(
        dag("main", task("one", arguments=parameters(video="v-{{workflow.parameters.scene}}"))),
        container("one", "--scene={{workflow.parameters.scene}}", "{{inputs.parameters.video}}")
        | {"inputs": {"parameters": [{"name": "video"}]}},
        arguments={"parameters": [{"name": "scene"}]},
    )
    assert run(document, stand, scene=hostile).phase is S
    assert stand.arguments() == [[f"--scene={hostile}", f"v-{hostile}"]]


def test_a_value_that_looks_like_an_input_is_taken_for_one_as_in_argo() -> None:
    """So names must be checked at the door."""
    stand = Stand()
    document = workflow(
        container("one", "{{workflow.parameters.scene}}")
        | {"inputs": {"parameters": [{"name": "video", "value": "cam01"}]}},
        arguments={"parameters": [{"name": "scene"}]},
    )
    run(document, stand, scene="{{inputs.parameters.video}}")
    assert stand.arguments() == [["cam01"]]


def chain(*, video_fails: Callable[[list[str]], PodResult] | None = None) -> tuple[dict[str, Any], Stand]:
    """ingest -> a nested dag of two steps for each video -> sync, if any video went through."""

    def answer(arguments: list[str]) -> PodResult:
        if arguments == ["ingest"]:
            return PodResult(S, exit_code=0, stdout='["cam01", "cam02", "cam03"]\n')
        return video_fails(arguments) if video_fails else OK

    document = workflow(
        dag(
            "main",
            task("ingest"),
            task(
                "video",
                "ingest",
                withParam="{{tasks.ingest.outputs.result}}",
                arguments=parameters(video="{{item}}"),
            ),
            task("sync", "video.AnySucceeded"),
        ),
        container("ingest", "ingest"),
        dag(
            "video",
            task("frames", arguments=parameters(video="{{inputs.parameters.video}}")),
            task("body", "frames", arguments=parameters(video="{{inputs.parameters.video}}")),
            inputs={"parameters": [{"name": "video"}]},
        ),
        container("frames", "frames", "{{inputs.parameters.video}}", inputs={"parameters": [{"name": "video"}]}),
        container("body", "body", "{{inputs.parameters.video}}", inputs={"parameters": [{"name": "video"}]}),
        container("sync", "sync"),
    )
    return document, Stand(answer)


def test_a_list_on_standard_output_makes_a_dag_for_each_of_its_entries() -> None:
    document, stand = chain()
    result = run(document, stand)
    assert result.phase is S
    assert sorted(map(tuple, stand.arguments())) == sorted(
        [("ingest",), ("sync",), *((stage, f"cam{n:02}") for stage in ("frames", "body") for n in (1, 2, 3))]
    )
    assert stand.arguments()[0] == ["ingest"]
    assert stand.arguments()[-1] == ["sync"]
    assert result.node("video(1:cam02)").phase is S


def test_one_failing_video_leaves_the_others_and_the_workflow_succeeds_by_itself() -> None:
    document, stand = chain(video_fails=lambda arguments: failed(65) if arguments == ["frames", "cam02"] else OK)
    result = run(document, stand)
    assert result.phase is S, "what follows a failed task decides, as on the real controller"
    assert ["body", "cam02"] not in stand.arguments()
    assert ["sync"] in stand.arguments()
    assert (result.node("video").phase, result.node("video(1:cam02)").phase) == (F, F)


def test_when_every_video_fails_the_workflow_fails_although_its_last_task_was_omitted() -> None:
    document, stand = chain(video_fails=lambda arguments: failed(65))
    result = run(document, stand)
    assert (result.phase, result.node("sync").phase) == (F, O)


def test_no_video_skips_the_task_and_omits_what_needs_one() -> None:
    document, _ = chain()
    result = run(document, Stand(lambda arguments: PodResult(S, exit_code=0, stdout="[]")))
    assert (result.node("video").phase, result.node("sync").phase, result.phase) == (K, O, S)


def test_a_condition_that_is_false_skips() -> None:
    document = workflow(
        dag("main", task("a", when='{{=workflow.parameters.vis == "true"}}'), task("b", "a")),
        container("a", "a"),
        container("b", "b"),
        arguments=parameters(vis="false"),
    )
    stand = Stand()
    assert run(document, stand).node("a").phase is K
    assert stand.arguments() == [["b"]]
    run(document, stand, vis="true")
    assert stand.arguments() == [["b"], ["a"], ["b"]]


def test_parallelism_of_a_dag_counts_its_children_and_that_of_the_workflow_all_pods() -> None:
    document, stand = chain()
    stand.takes_s = 0.05
    run(document, stand)
    assert stand.most == 3
    document["spec"]["templates"][0]["parallelism"] = 1
    run(document, one_by_one := Stand(stand.answer, takes_s=0.02))
    assert one_by_one.most == 1
    order = [arguments[1] for arguments in one_by_one.arguments() if len(arguments) == 2]
    assert order[0::2] == order[1::2], "one whole video after the other"
    del document["spec"]["templates"][0]["parallelism"]
    pods = workflow(dag("main", *(task(name, template="one") for name in "abc"), parallelism=1), container("one"))
    run(pods, single := Stand(takes_s=0.02))
    assert single.most == 1
    document["spec"]["parallelism"] = 2
    run(document, two := Stand(stand.answer, takes_s=0.05))
    assert two.most == 2


RETRY: dict[str, Any] = {
    "limit": "2",
    "expression": '(asInt(lastRetry.exitCode) in [75, 137] || lastRetry.status == "Error")'
    ' && !(lastRetry.message contains "deadline")',
    "backoff": {"duration": "10s", "factor": "3", "cap": "1m"},
}


def retried(*results: PodResult) -> tuple[Result, Stand]:
    left = list(results)
    stand = Stand(lambda arguments: left.pop(0))
    memory = "{{=asInt(workflow.parameters.mib) * (asInt(retries) + 1)}}Mi"
    document = workflow(
        container(
            "one",
            "try {{retries}} after {{lastRetry.exitCode}}",
            retryStrategy=RETRY,
            podSpecPatch=f'{{"containers": [{{"name": "main", "memory": "{memory}"}}]}}',
        ),
        arguments=parameters(mib="16"),
    )
    return run(document, stand), stand


def test_an_attempt_that_may_help_is_made_with_more_memory() -> None:
    result, stand = retried(failed(75), failed(137), OK)
    assert result.phase is S
    assert stand.arguments() == [["try 0 after 0"], ["try 1 after 75"], ["try 2 after 137"]]
    assert [pod["patched"]["containers"][0]["memory"] for pod in stand.pods] == ["16Mi", "32Mi", "48Mi"]
    assert len({pod["metadata"]["name"] for pod in stand.pods}) == 3


@pytest.mark.parametrize(
    ("results", "attempts", "message"),
    [
        ([failed(65)], 1, "retryStrategy.expression evaluated to false"),
        ([failed(75)] * 3, 3, "No more retries left"),
        ([PodResult(E, "pod deleted"), failed(1)], 2, "retryStrategy.expression evaluated to false"),
        ([PodResult(F, "longer than the specified deadline", exit_code=137)], 1, "evaluated to false"),
    ],
)
def test_an_attempt_that_cannot_help_is_not_made(results: list[PodResult], attempts: int, message: str) -> None:
    result, stand = retried(*results)
    assert (result.phase, len(stand.pods)) == (F, attempts)
    assert message in result.message


def attempts(strategy: dict[str, Any], *results: PodResult) -> int:
    left = list(results)
    stand = Stand(lambda arguments: left.pop(0))
    run(workflow(container("one", retryStrategy={"limit": "2", **strategy})), stand)
    return len(stand.pods)


def test_without_an_expression_what_failed_is_tried_again_and_what_was_lost_is_not() -> None:
    assert attempts({}, failed(1), OK) == 2
    assert attempts({}, PodResult(E, "pod deleted")) == 1
    assert attempts({"retryPolicy": "OnError"}, PodResult(E, "pod deleted"), failed(1)) == 2
    with pytest.raises(Unsupported, match="OnTransientError"):
        attempts({"retryPolicy": "OnTransientError"}, failed(1))


def test_an_exit_code_that_nobody_knows_is_minus_one() -> None:
    unknown = {"expression": "asInt(lastRetry.exitCode) == -1"}
    assert attempts(unknown, PodResult(E, "pod deleted"), OK) == 2
    assert attempts(unknown, failed(1)) == 1


@pytest.mark.parametrize(("text", "value"), [("15s", 15), ("2m", 120), ("1h", 3600), (3, 3), ("0.5s", 0.5)])
def test_a_duration_has_a_unit_or_is_in_seconds(text: str | int, value: float) -> None:
    assert seconds(text) == value


def test_attempts_lie_further_and_further_apart_up_to_a_cap() -> None:
    assert [pause(RETRY["backoff"], tries) for tries in (1, 2, 3)] == [10, 30, 60]
    assert pause({}, 1) == 0


def handled(answer: Callable[[list[str]], PodResult]) -> tuple[Result, list[str]]:
    stand = Stand(answer)
    document = workflow(
        container("main", "main"),
        container("close", "{{workflow.status}}", "{{workflow.failures}}"),
        onExit="close",
    )
    return run(document, stand), stand.arguments()[-1]


def test_the_handler_learns_what_failed_as_a_list_inside_a_text() -> None:
    result, (status, failures) = handled(lambda arguments: failed(65) if arguments == ["main"] else OK)
    assert (result.phase, status) == (F, "Failed")
    (only,) = json.loads(json.loads(failures))
    assert only["message"] == "main: Error (exit code 65)"
    assert (only["templateName"], only["phase"], only["displayName"]) == ("main", "Failed", "wf")


def test_without_failures_the_handler_gets_null_inside_a_text() -> None:
    result, arguments = handled(lambda arguments: OK)
    assert (result.phase, arguments) == (S, ["Succeeded", '"null"'])


def test_a_handler_that_fails_makes_the_workflow_fail() -> None:
    result, _ = handled(lambda arguments: OK if arguments == ["main"] else failed(1))
    assert (result.phase, result.message) == (F, "main: Error (exit code 1)")


def ending(**fields: Any) -> dict[str, Any]:
    """A workflow whose exit handler is a dag of one task that may be tried again."""
    return workflow(
        container("main", "main"),
        dag("end", task("close")),
        container("close", "close {{retries}} {{workflow.status}}", retryStrategy=RETRY),
        onExit="end",
        **fields,
    )


def test_a_handler_that_is_a_dag_is_executed_tried_again_and_judges() -> None:
    left = [OK, failed(75), failed(1)]
    stand = Stand(lambda arguments: left.pop(0))
    result = run(ending(), stand)
    assert stand.arguments() == [["main"], ["close 0 Succeeded"], ["close 1 Succeeded"]]
    assert (result.phase, result.node("wf").phase) == (F, S)


def test_after_the_time_of_the_workflow_its_handler_has_one_attempt_without_a_deadline() -> None:
    stand = Stand(lambda arguments: failed(75))
    result = run(ending(activeDeadlineSeconds=0), stand)
    assert stand.arguments() == [["close 0 Failed"]]
    assert "activeDeadlineSeconds" not in stand.pods[0]["spec"]
    assert (result.phase, result.message) == (F, "Step exceeded its deadline")


def test_a_pod_has_what_template_and_workflow_ask_for() -> None:
    stand = Stand()
    document = workflow(
        container("one", "x", activeDeadlineSeconds="60", tolerations=[{"key": "gpu"}])
        | {"metadata": {"labels": {"stage": "one"}}},
        activeDeadlineSeconds=3600,
        serviceAccountName="ghost",
        securityContext={"runAsNonRoot": True},
        tolerations=[{"key": "other"}],
        volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "{{workflow.parameters.claim}}"}}],
        templateDefaults={
            "container": {"volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "tmp", "mountPath": "/t"}]},
            "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "unused", "emptyDir": {}}],
        },
        arguments=parameters(claim="mine"),
    )
    run(document, stand)
    pod = stand.pods[0]
    assert pod["spec"]["activeDeadlineSeconds"] == 60
    assert pod["spec"]["tolerations"] == [{"key": "gpu"}]
    assert (pod["spec"]["serviceAccountName"], pod["spec"]["securityContext"]) == ("ghost", {"runAsNonRoot": True})
    assert pod["spec"]["volumes"] == [
        {"name": "data", "persistentVolumeClaim": {"claimName": "mine"}},
        {"name": "tmp", "emptyDir": {}},
    ]
    assert pod["metadata"]["labels"] == {"workflows.argoproj.io/workflow": "wf", "stage": "one"}


def test_the_time_of_the_workflow_bounds_its_pods_but_not_its_handler() -> None:
    stand = Stand()
    document = workflow(container("one", "x"), container("close", "y"), onExit="close", activeDeadlineSeconds=100)
    run(document, stand)
    assert 90 <= stand.pods[0]["spec"]["activeDeadlineSeconds"] <= 100
    assert "activeDeadlineSeconds" not in stand.pods[1]["spec"]
    document["spec"]["activeDeadlineSeconds"] = 0
    result = run(document, stand)
    assert (result.phase, result.message) == (F, "Step exceeded its deadline")
    assert stand.arguments()[2:] == [["y"]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda spec: spec.update(entrypoint="absent"), "no template 'absent'"),
        (
            lambda spec: spec["templates"][0]["container"].update(args=["{{workflow.parameters.absent}}"]),
            "names nothing",
        ),
        (lambda spec: spec["templates"][0]["container"].update(args=["{{retries}}"]), "names nothing"),
        (lambda spec: spec["templates"][0].update(container=[]), "neither a dag nor a container"),
        (
            lambda spec: spec["templates"][0]["container"].update(volumeMounts=[{"name": "v", "mountPath": "/"}]),
            "'v' not",
        ),
        (lambda spec: spec["templates"][0].update(synchronization={}), "field 'synchronization'"),
        (lambda spec: spec["templates"].append({"name": "d", "dag": {"tasks": []}}), "failFast: false"),
        (lambda spec: spec.update(hooks={}), "field 'hooks'"),
        (lambda spec: spec.update(podSpecPatch="{{=absent}}"), "podSpecPatch"),
        (
            lambda spec: spec.update(
                onExit="close", templates=[*spec["templates"], container("close", retryStrategy=RETRY)]
            ),
            "onExit: close has a retryStrategy",
        ),
    ],
)
def test_a_workflow_that_cannot_be_run_as_it_is_written_is_refused(change: Callable[[Any], Any], message: str) -> None:
    document = workflow(container("one", "x"))
    change(document["spec"])
    if document["spec"]["templates"][0].get("container") == []:
        del document["spec"]["templates"][0]["container"]
    with pytest.raises(WorkflowProblem, match=message):
        run(document, Stand())


def test_a_parameter_must_have_a_value_and_be_declared() -> None:
    document = workflow(container("one", "x"), arguments={"parameters": [{"name": "scene"}]})
    with pytest.raises(UnknownName, match="give it with -p scene="):
        run(document, Stand())
    with pytest.raises(UnknownName, match="no parameter 'speed'"):
        run(document, Stand(), scene="a", speed="b")


def test_a_task_that_refers_to_what_is_not_before_it_is_refused() -> None:
    document = workflow(
        dag("main", task("a"), task("b", arguments=parameters(x="{{tasks.a.outputs.result}}"))),
        container("a", "a"),
        container("b", "b", inputs={"parameters": [{"name": "x"}]}),
    )
    with pytest.raises(UnknownName, match=r"wf\.b: .*tasks\.a\.outputs"):
        run(document, Stand())
    document["spec"]["templates"][0]["dag"]["tasks"][1]["depends"] = "absent"
    with pytest.raises(UnknownName, match="no task absent"):
        run(document, Stand())

"""The rendered workflow files: they say what the declarations say, and every parser and schema at hand takes them.

That nothing in them leads nowhere is in test_argo_lint; whether they run, in tests/engines.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from hera.workflows import Workflow, WorkflowTemplate

from common.artifacts import BODIES, FRAMES, MASKS, SCENE
from common.stage import Stage, Unit
from tests.engines.argo_runner.dag import depends_met
from tests.engines.argo_runner.errors import WorkflowProblem
from tests.engines.argo_runner.nodes import Node, Phase
from tests.workflows.argo_parts import FOLDER, document, leaves, task, templates
from tests.workflows.argo_pod_lint import filled, parsed
from workflows.argo import rendered
from workflows.argo_dag import video_dag
from workflows.argo_expressions import computed
from workflows.argo_yaml import to_yaml
from workflows.parameters import COMMON, option_parameters
from workflows.pipeline import STAGES, gpu_backends

ROOT = Path(__file__).parents[2]
FILES = ("ghost.yaml", "ghost-template.yaml")
SCHEMAS = Path(os.environ.get("GHOST_ARGO", ROOT.parent / "shared" / "argo"))
HOSTILE = "x'; echo $(id) {{y}} \" | \\ \n&"

Doc = dict[str, Any]


# The files


def test_the_files_are_what_the_declarations_render():
    done = subprocess.run([sys.executable, "tools/render_workflows.py", "--check"], cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_the_check_notices_a_file_that_was_edited(tmp_path: Path):
    command = [sys.executable, "tools/render_workflows.py", "--out", str(tmp_path)]
    subprocess.run([*command, "--videos-at-once", "2"], cwd=ROOT, check=True)
    assert templates(yaml.safe_load((tmp_path / "workflows" / "ghost.yaml").read_text()))["main"]["parallelism"] == 2
    done = subprocess.run([*command, "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("not as rendered: workflows/ghost.yaml, workflows/ghost-template.yaml.")


@pytest.mark.parametrize("name", FILES)
def test_a_file_says_on_top_what_it_is_and_how_to_use_it(name: str):
    comment = [line for line in (FOLDER / name).read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    assert len(comment) == 3
    assert "do not edit" in comment[0]
    assert "argo submit" in comment[1]


@pytest.mark.parametrize("name", FILES)
def test_argos_own_definitions_accept_the_file_and_know_every_field(name: str):
    checker = SCHEMAS / "check.py"
    if not checker.is_file():
        pytest.skip(f"SKIPPED Argo schema: no {checker}; set GHOST_ARGO to the folder that holds it")
    done = subprocess.run([sys.executable, str(checker), str(FOLDER / name)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("name", "kind"), [(FILES[0], Workflow), (FILES[1], WorkflowTemplate)])
def test_hera_reads_the_file_and_writes_the_same(name: str, kind: type[Workflow]):
    """Hera drops fields that Argo does not have, so they would show as a difference."""
    assert kind.from_dict(document(name)).to_dict() == document(name)


@pytest.mark.parametrize("name", ["accounts.yaml", "volume.yaml"])
def test_kubernetes_own_schemas_accept_what_an_admin_applies(name: str):
    command = [Path(sys.executable).with_name("kubernetes-validate"), "--strict", FOLDER / "cluster" / name]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_template_differs_from_the_workflow_in_kind_and_name_alone():
    first, second = (document(name) for name in FILES)
    assert first["spec"] == second["spec"]
    assert (second["kind"], second["metadata"]["name"]) == ("WorkflowTemplate", "ghost")


# What it means


def test_parameters_have_the_names_and_defaults_of_all_engines():
    declared = {entry["name"]: entry.get("value") for entry in document()["spec"]["arguments"]["parameters"]}
    shared = {parameter.name: parameter.default for parameter in (*COMMON, *option_parameters())}
    assert {name: declared[name] for name in shared} == shared


def test_argo_offers_true_and_false_where_a_parameter_is_one_of_them():
    entries = document()["spec"]["arguments"]["parameters"]
    flags = {entry["name"]: entry["enum"] for entry in entries if entry.get("value") in ("true", "false")}
    assert flags == {name: ["true", "false"] for name in ("vis", "jpeg", "smooth")}
    assert {parameter.name for parameter in (*COMMON, *option_parameters()) if parameter.is_flag} == set(flags)


def test_without_gpus_every_image_has_one_tag():
    doc = document()
    tags = {filled(doc, leaf["container"]["image"]).rpartition(":")[2] for leaf in leaves(doc).values()}
    assert len(tags) == 1


def test_the_dag_is_the_one_of_the_pipeline():
    doc = document()
    order = {name: [entry["name"] for entry in templates(doc)[name]["dag"]["tasks"]] for name in ("main", "video")}
    assert order == {"main": ["weights", "ingest", "video", "sync"], "video": ["frames", "segment", "body", "preview"]}
    assert task(doc, "video", "body")["depends"] == "frames && segment"


@pytest.mark.parametrize(
    ("template", "name", "phases", "starts"),
    [
        ("main", "video", {"ingest": "Succeeded", "weights": "Skipped"}, True),
        ("main", "video", {"ingest": "Succeeded", "weights": "Failed"}, True),
        ("main", "video", {"ingest": "Failed", "weights": "Succeeded"}, False),
        ("main", "sync", {"ingest": "Succeeded", "video": "Failed"}, True),
        ("main", "sync", {"ingest": "Succeeded", "video": "Error"}, True),
        ("main", "sync", {"ingest": "Succeeded", "video": "Succeeded"}, True),
        ("main", "sync", {"ingest": "Failed", "video": "Omitted"}, False),
        ("video", "body", {"frames": "Succeeded", "segment": "Failed"}, False),
        ("video", "preview", {"frames": "Succeeded", "segment": "Succeeded", "body": "Failed"}, True),
        ("video", "preview", {"frames": "Succeeded", "segment": "Failed", "body": "Omitted"}, False),
    ],
)
def test_a_task_starts_when_what_it_needs_succeeded_and_what_it_can_use_is_over(
    template: str, name: str, phases: dict[str, str], starts: bool
):
    before = {other: Node(other, other, Phase(phase)) for other, phase in phases.items()}
    assert depends_met(task(document(), template, name)["depends"], before) is starts


def stage(name: str, unit: Unit, **more: Any) -> Stage:
    fields = {"summary": name, "reads": (), "writes": (), "run": lambda workspace, options: None, **more}
    return Stage(name=name, unit=unit, **fields)


def test_a_new_stage_finds_its_place_by_what_it_reads():
    listing = stage("list", Unit.SCENE, writes=(SCENE,))
    first = stage("first", Unit.VIDEO, reads=(SCENE,), writes=(FRAMES,))
    second = stage("second", Unit.VIDEO, reads=(SCENE, FRAMES), writes=(MASKS,))
    third = stage("third", Unit.VIDEO, reads=(FRAMES,), may_read=(MASKS,), writes=(BODIES,))
    gather = stage("gather", Unit.SCENE, reads=(BODIES,))
    history = stage("history", Unit.SCENE, history=True)
    tasks = video_dag((listing, first, second, third, gather, history))["dag"]["tasks"]
    assert [entry.get("depends", "") for entry in tasks] == [
        "",
        "first",
        "first && (second.Succeeded || second.Failed || second.Errored || second.Skipped || second.Omitted)",
    ]


def test_pods_get_more_memory_at_each_attempt_and_what_the_user_says():
    doc = document()
    values = {"memory-sync": "1500", "cpu": "0.5"}
    for attempt, amount in enumerate(("1500Mi", "3000Mi", "4500Mi")):
        patch = json.loads(filled(doc, templates(doc)["sync"]["podSpecPatch"], retries=str(attempt), **values))
        resources = {"cpu": "0.5", "memory": amount}
        assert patch == {"containers": [{"name": "main", "resources": {"requests": resources, "limits": resources}}]}


def patch_of(name: str, **values: str) -> Doc:
    doc = document()
    return json.loads(filled(doc, templates(doc)[name]["podSpecPatch"], **values))


def test_a_backend_made_for_a_gpu_gets_gpus_their_nodes_and_its_own_cores_and_memory_at_each_attempt():
    values = {
        "segment-backend": "gdino-sam2",
        "gpus": "2",
        "cpu": "2",
        "gpu-cpu-segment": "12",
        "gpu-memory-segment": "9000",
        "node-selector": '{"gpu": "a100"}',
        "gpu-tolerations": '[{"key": "gpu", "operator": "Exists"}]',
    }
    for attempt, amount in enumerate(("9000Mi", "18000Mi", "27000Mi")):
        patch = patch_of("segment", retries=str(attempt), **values)
        limits = patch["containers"][0]["resources"]["limits"]
        assert limits == {"cpu": "12", "memory": amount, "nvidia.com/gpu": "2"}
        assert patch["containers"][0]["resources"]["requests"] == {"cpu": "12", "memory": amount}
        assert patch["nodeSelector"] == {"gpu": "a100"}
        assert patch["tolerations"] == [{"key": "gpu", "operator": "Exists"}]


@pytest.mark.parametrize(
    ("values", "gpus", "tag"),
    [
        ({}, "0", "1"),
        ({"segment-backend": "embedded", "gpus": "4"}, "0", "1"),
        ({"segment-backend": "gdino-sam2"}, "1", "1-gpu"),
        ({"segment-backend": "sam3"}, "1", "1-gpu"),
        ({"segment-backend": "sam3", "gpus": "0"}, "0", "1-gpu"),
        ({"segment-backend": "sam3", "device": "cpu", "segment-device": "cpu"}, "0", "1-gpu"),
        ({"segment-backend": "sam3", "device": "cuda:0", "segment-device": "cuda:0"}, "1", "1-gpu"),
        ({"body-backend": "sam3d-body"}, "0", "1"),
    ],
    ids=str,
)
def test_what_a_stage_gets_of_gpus_depends_on_its_own_backend(values: dict[str, str], gpus: str, tag: str):
    doc = document()
    patch = patch_of("segment", **values)
    assert patch["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == gpus
    required = {"name": "GHOST_REQUIRE_GPU", "value": "0" if gpus == "0" else "1"}
    assert required in patch["containers"][0]["env"], "who got a GPU does not work on the CPU instead"
    assert bool(patch["tolerations"]) == (
        values.get("segment-backend", "embedded") != "embedded" and "cpu" not in values.values()
    )
    image = filled(
        doc, leaves(doc)["segment"]["container"]["image"], **{"image-tag": "1", "gpu-image-tag": "1-gpu"}, **values
    )
    assert image == f"ghost-segment:{tag}"


@pytest.mark.parametrize("stage", [stage for stage in STAGES if gpu_backends(stage)], ids=lambda stage: stage.name)
def test_cores_are_what_the_stage_declares_for_the_kind_of_its_backend(stage: Stage):
    for backend, cores in [
        ("embedded", stage.resources.cpus),
        *((b, stage.resources.gpu_cpus) for b in gpu_backends(stage)),
    ]:
        resources = patch_of(stage.name, **{f"{stage.name}-backend": backend})["containers"][0]["resources"]
        assert [resources[kind]["cpu"] for kind in ("requests", "limits")] == [str(cores)] * 2


@pytest.mark.parametrize(
    ("values", "threads"),
    [
        ({}, "1"),
        ({"segment-backend": "sam3"}, "1"),  # the cores are for decoding and writing
        ({"segment-backend": "sam3", "device": "cpu"}, "3"),
        ({"segment-backend": "sam3", "gpus": "0"}, "3"),
        ({"segment-backend": "sam3", "gpus": "0", "gpu-cpu-segment": "2.5"}, "2"),
        ({"segment-backend": "sam3", "gpus": "0", "gpu-cpu-segment": "0.5"}, "1"),
        ({"gpus": "0", "cpu": "8"}, "1"),
    ],
    ids=str,
)
def test_only_a_model_that_has_to_do_without_its_gpu_has_a_thread_for_each_core(values: dict[str, str], threads: str):
    environment = patch_of("segment", **values)["containers"][0]["env"]
    assert [entry["value"] for entry in environment if entry["name"] == "OMP_NUM_THREADS"] == [threads]


@pytest.mark.parametrize("prompt", ["person. bicycle.", "", "a 'big' \"dog\".", "x --force", "$(id) {{y}}"])
def test_a_prompt_reaches_its_stage_and_the_close_as_it_is(prompt: str):
    doc = document()
    for name, module in (("segment", "stages.segment"), ("close", "workflows"), ("weights", "workflows")):
        told = parsed(module, filled(doc, leaves(doc)[name]["container"]["args"], prompt=prompt))
        assert told["prompt"] == prompt


@pytest.mark.parametrize("name", ["gpu-tolerations", "node-selector", "gpus", "gpu-cpu-segment", "gpu-memory-segment"])
def test_no_value_can_add_to_the_structure_of_a_pod(name: str):
    doc = document()
    inserted = '1"}}}], "hostNetwork": true, "x": [{"y": {"z": "'
    with pytest.raises((WorkflowProblem, ValueError)):  # no number, no JSON
        filled(doc, templates(doc)["segment"]["podSpecPatch"], **{"segment-backend": "sam3", name: inserted})


def test_without_a_claim_the_shared_folder_is_empty_and_nothing_can_be_lost_in_it():
    doc = document()
    patch = json.loads(filled(doc, doc["spec"]["podSpecPatch"], claim="none"))
    mount = {"name": "data", "mountPath": "/data", "readOnly": True}
    assert patch == {
        "volumes": [{"name": "data", "persistentVolumeClaim": None, "emptyDir": {}}],
        "containers": [{"name": "main", "volumeMounts": [mount]}],
    }
    assert json.loads(filled(doc, doc["spec"]["podSpecPatch"])) == {}


@pytest.mark.parametrize("name", list(leaves(document())))
def test_a_hostile_value_stays_one_argument(name: str):
    doc = document()
    template = leaves(doc)[name]["container"]
    names = [entry["name"] for entry in doc["spec"]["arguments"]["parameters"]]
    plain, hostile = (filled(doc, template, **values) for values in ({}, dict.fromkeys(names, HOSTILE)))
    assert len(plain["args"]) == len(hostile["args"])
    changed = [after for before, after in zip(plain["args"], hostile["args"], strict=True) if before != after]
    assert all(argument.partition("=")[2] == HOSTILE for argument in changed), changed
    keep = ("command", "env", "envFrom", "securityContext", "volumeMounts")
    assert {key: plain[key] for key in keep} == {key: hostile[key] for key in keep}


@pytest.mark.parametrize("value", ["yes", "1", "", "True", "--force"])
def test_a_flag_takes_true_and_false_and_the_stage_refuses_anything_else(value: str):
    doc = document()
    arguments = leaves(doc)["body"]["container"]["args"]
    for word, meaning in (("true", True), ("false", False)):
        assert parsed("stages.body", filled(doc, arguments, smooth=word))["smooth"] is meaning
    with pytest.raises(click.UsageError):
        parsed("stages.body", filled(doc, arguments, smooth=value))


def test_the_exit_handler_is_told_all_that_the_run_was_told_and_how_it_ended():
    doc = document()
    values = {"smooth": "true", "vis": "true", "max-offset": "7.5", "segment-backend": "fake"}
    told = parsed("workflows", filled(doc, leaves(doc)["close"]["container"]["args"], **values))
    assert (told["smooth"], told["vis"], told["max_offset"]) == (True, True, 7.5)
    assert (told["segment_backend"], told["body_backend"]) == ("fake", "embedded")
    assert (told["engine_status"], told["engine_failures"]) == ("Succeeded", '"null"')
    given = {parameter.name.replace("-", "_") for parameter in option_parameters()}
    assert given <= set(told)


ONE_FAILURE = {"displayName": "cam01", "message": 'says "no"', "templateName": "frames", "phase": "Failed"}


def test_the_exit_handler_is_told_which_pods_failed_as_long_as_argo_can_pass_that_in_one_argument():
    doc = document()
    arguments = leaves(doc)["close"]["container"]["args"]
    told = parsed("workflows", filled(doc, arguments, failures=[ONE_FAILURE]))["engine_failures"]
    assert json.loads(json.loads(told)) == [ONE_FAILURE]
    for text in ("a", '"', "é", "\U0001f600"):  # with what is put before some of them, and up to four bytes each
        for number in (7_000, 9_900, 14_900, 29_700, 33_000, 140_000):
            failures = [ONE_FAILURE | {"message": text * number}]
            longest = max(len(argument.encode()) for argument in filled(doc, arguments, failures=failures))
            assert longest < 128 * 1024
    given = parsed("workflows", filled(doc, arguments, failures=failures))["engine_failures"]
    assert given == "more failed pods than fit here: see argo get"


@pytest.mark.parametrize(
    ("segment", "body", "needed"),
    [("fake", "fake", "false"), ("fake", "embedded", "true"), ("sam3", "fake", "true"), ("embedded", "fake", "true")],
)
def test_models_are_fetched_unless_no_backend_has_any(segment: str, body: str, needed: str):
    condition = task(document(), "main", "weights")["when"]
    assert filled(document(), condition, **{"segment-backend": segment, "body-backend": body}) == needed


def test_the_models_of_the_chosen_options_are_fetched_and_only_that_pod_has_the_hubs_token():
    doc = document()
    values = {"segment-backend": "gdino-sam2", "tracker": "sam2.1-hiera-small"}
    told = parsed("workflows", filled(doc, leaves(doc)["weights"]["container"]["args"], **values))
    assert (told["segment_backend"], told["tracker"]) == ("gdino-sam2", "sam2.1-hiera-small")
    secrets = {
        name: [entry["secretRef"]["name"] for entry in leaf["container"]["envFrom"]]
        for name, leaf in leaves(doc).items()
    }
    assert secrets.pop("weights") == ["ghost-s3", "ghost-hub"]
    assert set(map(tuple, secrets.values())) == {("ghost-s3",)}


def test_each_stage_is_told_its_own_backend():
    doc = document()
    values = {"segment-backend": "sam3", "body-backend": "fake"}
    for stage, backend in (("segment", "sam3"), ("body", "fake")):
        told = parsed(f"stages.{stage}", filled(doc, leaves(doc)[stage]["container"]["args"], **values))
        assert told["backend"] == backend


def test_the_preview_is_drawn_when_asked_for():
    condition = task(document(), "video", "preview")["when"]
    assert filled(document(), condition) == "false"
    assert filled(document(), condition, vis="true") == "true"


# What an admin applies


def test_only_argos_container_has_rights_and_only_to_report_results():
    objects = list(yaml.safe_load_all((FOLDER / "cluster" / "accounts.yaml").read_text()))
    by_kind = {entry["kind"]: entry for entry in objects}
    spec = document()["spec"]
    executor = spec["executor"]["serviceAccountName"]
    accounts = [entry["metadata"]["name"] for entry in objects if entry["kind"] == "ServiceAccount"]
    assert accounts == [spec["serviceAccountName"], executor]
    assert by_kind["Role"]["rules"] == [
        {"apiGroups": ["argoproj.io"], "resources": ["workflowtaskresults"], "verbs": ["create", "patch"]}
    ]
    assert [entry["name"] for entry in by_kind["RoleBinding"]["subjects"]] == [executor]
    assert by_kind["RoleBinding"]["roleRef"]["name"] == by_kind["Role"]["metadata"]["name"]
    assert by_kind["Secret"]["metadata"]["name"] == f"{executor}.service-account-token"
    assert by_kind["Secret"]["metadata"]["annotations"] == {"kubernetes.io/service-account.name": executor}


def test_the_claim_is_the_default_one_and_many_nodes_can_mount_it():
    claim = yaml.safe_load((FOLDER / "cluster" / "volume.yaml").read_text())
    declared = {entry["name"]: entry.get("value") for entry in document()["spec"]["arguments"]["parameters"]}
    assert claim["metadata"]["name"] == declared["claim"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


def test_no_file_names_a_namespace_or_holds_a_credential():
    for path in (*FOLDER.glob("*.yaml"), *FOLDER.glob("cluster/*.yaml")):
        text = path.read_text(encoding="utf-8")
        assert "namespace:" not in text
        assert not re.search(r"AKIA|aws_secret|^data:|stringData", text, re.MULTILINE), path


# How it is written


def test_two_braces_inside_an_expression_are_refused():
    assert computed("a + 1") == "{{=a + 1}}"
    with pytest.raises(ValueError, match="two braces"):
        computed("'{\"a\": {}}' + b")


@pytest.mark.parametrize("text", ["y", "N", "no", "on", "0.1.0", "1e3", "0x1F", "1:30", ".5", "", "~", "{a}", "null"])
def test_texts_that_a_parser_could_take_for_something_else_are_quoted(text: str):
    assert to_yaml({"key": text}) == f"key: '{text}'\n"


def test_equal_parts_are_written_out_and_not_anchored():
    shared = {"a": ["b"]}
    assert to_yaml({"first": shared, "second": shared}) == "first:\n  a:\n  - b\nsecond:\n  a:\n  - b\n"


def test_rendering_twice_gives_the_same():
    assert rendered() == rendered()

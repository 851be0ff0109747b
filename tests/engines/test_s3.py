"""The pipeline on a real S3 server (SeaweedFS): the same results, and a resumed run does what is missing, no more."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from common.storage import s3_commit
from common.storage.s3_client import Client, Settings
from common.storage.s3_commit import put_if_absent
from stages.body.stage import STAGE as BODY
from stages.segment.stage import STAGE as SEGMENT
from tests.engines.conftest import ROOT, Scene

pytestmark = pytest.mark.engines
BUCKET = "ghost-engine-tests"


@dataclass(frozen=True)
class Run:
    """A data root and an output root on the server, and a run over them."""

    boto: Any
    environment: dict[str, str]
    data: str
    output: str

    def ghost(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """Exit code and all that was said."""
        command = [sys.executable, "-m", *arguments]
        variables = {**self.environment, **environment}
        done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=300)
        return done.returncode, done.stdout + done.stderr

    def run(self, **environment: str) -> tuple[int, str]:
        roots = (f"s3://{BUCKET}/{self.data}", f"s3://{BUCKET}/{self.output}")
        return self.ghost("workflows", "run", *roots, "--backend", "fake", "--vis", **environment)

    def objects(self, below: str) -> dict[str, Any]:
        pages = self.boto.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{self.output}/{below}")
        items = [item for page in pages for item in page.get("Contents", ())]
        return {item["Key"].removeprefix(f"{self.output}/"): item for item in items}

    def manifests(self) -> dict[str, str]:
        """Unit -> what identifies its manifest; a unit that ran again has another one."""
        found = self.objects("take_01/_manifests/")
        names = {key: re.fullmatch(r"take_01/_manifests/(\w+/\w+)\.json", key) for key in found}
        return {match[1]: found[key]["ETag"] for key, match in names.items() if match is not None}


@pytest.fixture(scope="module")
def run(s3: dict[str, str], scene: Scene, scratch: Path) -> Run:
    """A run of the scene, done once."""
    import botocore.session

    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {**s3, "GHOST_SCRATCH": str(scratch / "s3")}
    boto = botocore.session.get_session().create_client(
        "s3",
        endpoint_url=s3["AWS_ENDPOINT_URL"],
        region_name=s3["AWS_DEFAULT_REGION"],
        aws_access_key_id=s3["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=s3["AWS_SECRET_ACCESS_KEY"],
    )
    boto.create_bucket(Bucket=BUCKET)
    for path in sorted((scene.data / scene.name).iterdir()):
        boto.put_object(Bucket=BUCKET, Key=f"recordings/{scene.name}/{path.name}", Body=path.read_bytes())
    made = Run(boto, environment, "recordings", "results/deep")
    code, said = made.run()
    assert code == 0, said
    return made


@pytest.fixture
def settled(run: Run) -> Run:
    """The run when all is up to date, whatever the tests before have damaged: they come in any order."""
    code, said = run.run()
    assert code == 0, said
    return run


def fetch(run: Run, folder: Path) -> Path:
    for key in run.objects("take_01/"):
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(run.boto.get_object(Bucket=BUCKET, Key=f"{run.output}/{key}")["Body"].read())
    return folder / "take_01"


def test_the_results_are_those_of_a_local_run(settled: Run, compare: Callable[[Path], None], tmp_path: Path) -> None:
    compare(fetch(settled, tmp_path))


def test_a_second_run_runs_nothing(settled: Run) -> None:
    before = settled.manifests()
    code, said = settled.run()
    assert code == 0, said
    assert len(before) > 15
    assert settled.manifests() == before


def test_one_deleted_object_makes_exactly_its_unit_run_again(
    settled: Run, compare: Callable[[Path], None], tmp_path: Path
) -> None:
    before = settled.manifests()
    settled.boto.delete_object(Bucket=BUCKET, Key=f"{settled.output}/take_01/cam02/mask_data.npz")
    code, said = settled.run()
    assert code == 0, said
    after = settled.manifests()
    # Its result is the same as before, so nothing that was made from it is out of date; the report tells of all runs.
    assert {unit for unit in before | after if before.get(unit) != after.get(unit)} == {"segment/cam02", "report/scene"}
    compare(fetch(settled, tmp_path))


def test_a_corrupted_object_is_detected_and_named_and_made_again_by_force(settled: Run) -> None:
    key = f"{settled.output}/take_01/cam03/mask_data.npz"
    body = settled.boto.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    settled.boto.put_object(Bucket=BUCKET, Key=key, Body=body[:-100] + bytes([body[-100] ^ 1]) + body[-99:])
    roots = (f"--output-root=s3://{BUCKET}/{settled.output}", f"--data-root=s3://{BUCKET}/{settled.data}")
    unit = ("--scene=take_01", "--video=cam03", "--backend=fake", "--force")
    of = {f"stages.{stage.name}": (*roots[: 2 if stage.source else 1], *unit) for stage in (SEGMENT, BODY)}
    code, said = settled.ghost("stages.body", *of["stages.body"], GHOST_SCRATCH="")
    assert code == 65, said
    assert f"BadInput: s3://{BUCKET}/{key}: its sha256 is " in said
    assert "Run the stage that made it again, with --force." in said
    for stage in ("stages.segment", "stages.body"):
        code, said = settled.ghost(stage, *of[stage], GHOST_SCRATCH="")
        assert code == 0, said
    assert settled.boto.get_object(Bucket=BUCKET, Key=key)["Body"].read() == body


def test_a_wrong_secret_ends_with_78_and_is_not_told(run: Run) -> None:
    code, said = run.run(AWS_SECRET_ACCESS_KEY="hunter2hunter2")  # noqa: S106 - wrong on purpose
    assert code == 78, said
    assert "AWS_SECRET_ACCESS_KEY" in said
    assert "hunter2" not in said


def test_a_server_that_is_stopped_ends_with_75(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    started = time.monotonic()
    code, said = run.run(AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}")
    assert code == 75, said
    assert time.monotonic() - started < 120


def test_of_sixteen_conditional_puts_one_wins(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    winners = race(run.environment, monkeypatch)
    assert [len(found) for found in winners] == [1] * 10
    assert list(s3_commit._ignorant.values()) == [False]


def race(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Who believes to have been first, in each of ten rounds."""
    monkeypatch.setattr(s3_commit, "_ignorant", {})
    for name, value in environment.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    clients, rounds = [Client(BUCKET, Settings()) for _ in range(16)], []
    for client in clients:
        client.head("race")  # makes the client, which takes longer than the race
    for number in range(10):
        won: list[int] = []
        gate = threading.Barrier(16)

        def put(writer: int, key: str = f"race/{number}", won: list[int] = won, gate: Any = gate) -> None:
            gate.wait()
            if put_if_absent(clients[writer], key, b"%d" % writer) is not None:
                won.append(writer)

        writers = [threading.Thread(target=put, args=(writer,)) for writer in range(16)]
        for thread in writers:
            thread.start()
        for thread in writers:
            thread.join()
        rounds.append(won)
    return rounds


def test_a_server_that_ignores_conditions_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rclone = shutil.which("rclone")
    if rclone is None:
        pytest.skip("S3 without conditions: no rclone here. Install its package to run this")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / BUCKET).mkdir()
        command = [rclone, "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", "key,secret", folder]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
            try:
                for name, value in {
                    "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
                    "AWS_ACCESS_KEY_ID": "key",
                    "AWS_SECRET_ACCESS_KEY": "secret",
                    "AWS_DEFAULT_REGION": "us-east-1",
                }.items():
                    monkeypatch.setenv(name, value)
                monkeypatch.setattr(s3_commit, "_ignorant", {})
                client = Client(BUCKET, Settings())
                assert put_if_absent(client, "manifest", b"one") is not None
                assert "ignores conditional puts" in caplog.text
                assert client.read("manifest") == b"one"
            finally:
                server.terminate()

import ast
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from common import fingerprint
from common.errors import BadInput

ROOT = Path(__file__).parent.parent.parent
STAGES = sorted(path.parent.name for path in (ROOT / "stages").glob("*/stage.py"))
MIB = 1 << 20


def test_a_recording_is_told_apart_by_size_and_by_either_end(tmp_path: Path) -> None:
    base = bytes(6 * MIB)
    variants = {
        "base": base,
        "first byte": b"x" + base[1:],
        "last byte": base[:-1] + b"x",
        "longer": base + b"\0",
        "shorter": base[:-1],
        "within the first MiB": base[: MIB - 1] + b"x" + base[MIB:],
        "another take": bytes([1]) * len(base),
    }
    digests = {}
    for name, content in variants.items():
        (tmp_path / "video").write_bytes(content)
        digests[name] = fingerprint.of_recording(tmp_path / "video")
    assert len(set(digests.values())) == len(variants), digests


def test_of_a_small_recording_every_byte_counts(tmp_path: Path) -> None:
    digests = set()
    for place in range(0, 1000, 37):
        (tmp_path / "video").write_bytes(bytes(place) + b"x" + bytes(999 - place))
        digests.add(fingerprint.of_recording(tmp_path / "video"))
    assert len(digests) == len(range(0, 1000, 37))


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "cam01.mp4")
    with pytest.raises(BadInput, match=r"cam01\.mp4: not a regular file"):
        fingerprint.of_recording(tmp_path / "cam01.mp4")


def test_values_are_equal_whatever_the_order_of_their_keys() -> None:
    assert fingerprint.of_value({"a": 1, "b": [2]}) == fingerprint.of_value({"b": [2], "a": 1})
    assert fingerprint.of_value({"a": 1}) != fingerprint.of_value({"a": 1.5})
    with pytest.raises(ValueError, match="Out of range"):
        fingerprint.of_value(float("nan"))


def test_an_entry_has_a_digest_of_its_own() -> None:
    one, two = b'{"videos": {"a": 1, "b": 2}}', b'{"videos": {"a": 1, "b": 3}}'

    def digest(content: bytes, name: str) -> str | None:
        return fingerprint.of_json_entry(content, section="videos", name=name)

    assert digest(one, "a") == digest(two, "a")
    assert digest(one, "b") != digest(two, "b")
    assert digest(one, "c") is None
    assert digest(b"[]", "a") is None


def imported(path: Path) -> Iterator[str]:
    """Names of all modules of `common` that a file may import, by Python's own parser."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "common":
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "common")


@pytest.mark.parametrize("stage", STAGES)
def test_the_code_of_a_stage_is_all_that_it_can_import(stage: str) -> None:
    expected = {
        path
        for path in (ROOT / "stages" / stage).rglob("*")
        if path.suffix in (".py", ".json", ".html", ".css", ".svg")
    }
    fresh = list(expected)
    while fresh:
        path = fresh.pop()
        for name in imported(path) if path.suffix == ".py" else ():
            parts = name.split(".")
            packages = [ROOT.joinpath(*parts[: i + 1], "__init__.py") for i in range(len(parts))]
            for file in (*packages, ROOT.joinpath(*parts).with_suffix(".py")):
                if file.is_file() and file not in expected:
                    expected.add(file)
                    fresh.append(file)
    assert fingerprint.code_of(stage) == sorted(expected)
    assert ROOT / "common" / "harness.py" in expected


def test_models_of_one_stage_do_not_concern_another() -> None:
    assert not [path for path in fingerprint.code_of("ingest") if "models" in path.parts]


def test_a_changed_file_changes_the_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "stages/a/stage.py": "from common.x import (  # a comment\n    one,\n    two,\n)\n",
        "stages/a/page.html": "<p>",
        "stages/b/stage.py": "def f():\n    import common.z\n",
        "common/__init__.py": "",
        "common/x/__init__.py": "",
        "common/x/one.py": "from common import y",
        "common/x/other.py": "",
        "common/y.py": "",
        "common/z.py": "",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(fingerprint, "_ROOT", tmp_path)

    def digest(stage: str) -> str:
        for cached in (fingerprint.of_code, fingerprint._imported_by, fingerprint._modules, fingerprint._of_source):
            cached.cache_clear()
        return fingerprint.of_code(stage)

    try:
        before = {stage: digest(stage) for stage in "ab"}
        woken = {}
        for name, content in files.items():
            (tmp_path / name).write_text(f"{content}\n# changed")
            woken[name] = "".join(stage for stage in "ab" if digest(stage) != before[stage])
            (tmp_path / name).write_text(content)
    finally:
        monkeypatch.undo()
        digest("ingest")
    assert woken == {
        "stages/a/stage.py": "a",
        "stages/a/page.html": "a",
        "stages/b/stage.py": "b",
        "common/__init__.py": "ab",
        "common/x/__init__.py": "a",
        "common/x/one.py": "a",
        "common/x/other.py": "",
        "common/y.py": "a",
        "common/z.py": "b",
    }


def test_a_distribution_that_is_not_installed_has_no_version() -> None:
    assert fingerprint.version("no-such-distribution") == ""
    assert fingerprint.version("numpy")[0].isdecimal()


def test_a_model_is_known_by_its_content_wherever_it_lies(tmp_path):
    (tmp_path / "a.pt").write_bytes(b"weights")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "b.pt").write_bytes(b"weights")
    first = fingerprint.of_model(tmp_path / "a.pt")
    assert first == fingerprint.of_model(tmp_path / "elsewhere" / "b.pt") == hashlib.sha256(b"weights").hexdigest()
    (tmp_path / "a.pt").write_bytes(b"other weights")
    assert fingerprint.of_model(tmp_path / "a.pt") != first


def test_of_a_checkout_the_code_counts_and_nothing_else(tmp_path):
    code = tmp_path / "sam_3d_body" / "model.py"
    code.parent.mkdir()
    code.write_text("depth = 1")
    first = fingerprint.of_model(tmp_path)
    (tmp_path / "notes.txt").write_text("nothing")
    for folder in (".git", "env"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "other.py").write_text("nothing")
    (tmp_path / "env" / "pyvenv.cfg").write_text("an environment")
    assert fingerprint.of_model(tmp_path) == first
    code.write_text("depth = 2")
    second = fingerprint.of_model(tmp_path)
    (tmp_path / "model.yaml").write_text("width: 3")
    assert len({first, second, fingerprint.of_model(tmp_path)}) == 3

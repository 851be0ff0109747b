from __future__ import annotations

import dataclasses
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest

from common.errors import ModelUnavailable
from common.stage import Stage, option, option_specs
from common.weights import contents
from common.weights.hub_lock import HubFile, HubModel
from common.weights.lock import LockedFile, weights_lock
from common.weights.pins import PINS, Pin, render
from tests.sample_stages import CHAIN, MARKS, Bench
from workflows import run_needs
from workflows.pipeline import STAGES
from workflows.run_needs import check_models, check_run, missing_models
from workflows.units import Asked, stage_options

GDINO = {"segment.backend": "gdino-sam2", "body.backend": "fake"}


@pytest.fixture(autouse=True)
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of weights, as if it were the usual one."""
    monkeypatch.delenv("GHOST_WEIGHTS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ghost" / "weights"


def put(path: Path, size: int) -> None:
    """A file of that size that takes no room."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as handle:
        handle.truncate(size)


def store(weights: Path, *names: str) -> None:
    """Models that look whole; files that the lock leaves open have three bytes, and are recorded."""
    pins = {}
    for name in names:
        entry = weights_lock().find(name)
        if isinstance(entry, LockedFile):
            put(weights / entry.file, entry.size)
        if isinstance(entry, HubModel):
            files = {path: file or HubFile(3, "0" * 64) for path, file in entry.files.items()}
            pins[name] = Pin(entry.repository, entry.revision or "1" * 40, "2026-11-21", files)
            for path, file in files.items():
                put(weights / "models" / name / path, file.size)
    weights.mkdir(parents=True, exist_ok=True)
    (weights / PINS).write_bytes(render(pins))


def lacking(options: dict[str, object]) -> str:
    """What is said about a run with these options."""
    with pytest.raises(ModelUnavailable) as error:
        check_models(STAGES, options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_models_that_are_missing_are_named_together_with_the_one_command_that_brings_them(weights: Path):
    assert lacking(GDINO) == (
        "segment with the backend gdino-sam2: grounding-dino-tiny and sam2.1-hiera-large are not in "
        f"{weights}. Run `ghost weights fetch --backend gdino-sam2`."
    )


def test_models_that_a_backend_does_not_use_by_default_are_named_in_the_command():
    said = lacking({**GDINO, "tracker": "sam2.1-hiera-small"})
    assert said.endswith(
        "`ghost weights fetch --backend gdino-sam2 --model grounding-dino-tiny --model sam2.1-hiera-small`."
    )


def test_the_place_that_was_chosen_is_the_commands_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GHOST_WEIGHTS", str(tmp_path / "my weights"))
    assert f"--backend gdino-sam2 '--weights={tmp_path / 'my weights'}'`." in lacking(GDINO)


def test_stages_that_need_the_same_command_need_it_once():
    said = lacking({})
    assert "segment with the backend embedded: " in said
    assert "; body with the backend embedded: blazepose-heavy is not in" in said
    assert said.count("ghost weights fetch") == 1


@pytest.mark.parametrize(
    "options",
    [{}, GDINO, {**GDINO, "tracker": "sam2.1-hiera-small"}, {"segment.backend": "sam3", "body.backend": "fake"}],
    ids=str,
)
def test_nothing_is_said_where_all_is_there(weights: Path, options: dict[str, object]):
    chosen = [(stage, stage.make_options(stage_options(stage, options))) for stage in STAGES]
    names = list(dict.fromkeys(name for stage, values in chosen for name in stage.weights(values)))
    store(weights, *names)
    check_models(STAGES, options, quick=True)
    assert missing_models(names) == ()
    for entry in (weights_lock().find(name) for name in names):
        file = (
            weights / entry.file if isinstance(entry, LockedFile) else next((weights / "models" / entry.name).glob("*"))
        )
        put(file, 1)
        assert missing_models(names) == (entry.name,), "half a download"
        store(weights, *names)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, weights: Path) -> dict[str, Path]:
    """Two models of a few bytes in the place of the real ones, pinned and whole: the file of each that matters."""
    single = dataclasses.replace(weights_lock().find("blazepose-heavy"), size=5, sha256=sha256(b"heavy").hexdigest())
    files = {"config.json": HubFile(2, sha256(b"{}").hexdigest()), "sam.bin": HubFile(6, sha256(b"follow").hexdigest())}
    folder = dataclasses.replace(weights_lock().find("sam3"), files=files)
    known = {"blazepose-heavy": single, "sam3": folder}
    for module in (run_needs, contents):
        monkeypatch.setattr(module, "weights_lock", lambda: SimpleNamespace(find=known.__getitem__))
    places = {
        weights / single.file: b"heavy",
        weights / "models/sam3/config.json": b"{}",
        weights / "models/sam3/sam.bin": b"follow",
    }
    for path, content in places.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return {"blazepose-heavy": weights / single.file, "sam3": weights / "models/sam3/sam.bin"}


@pytest.mark.parametrize("name", ["blazepose-heavy", "sam3"])
def test_a_flipped_byte_is_found_unless_the_look_is_to_be_quick(small: dict[str, Path], name: str):
    options = {"segment.backend": "sam3", "body.backend": "embedded"}
    check_models(STAGES, options)
    path = small[name]
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    said = lacking(options)
    stage = "segment" if name == "sam3" else "body"
    assert said.startswith(f"{stage} with the backend ")
    assert f"{name} in " in said
    assert f"is not what it has to be (damaged: {path.name})" in said
    assert said.endswith(f"Run `ghost weights fetch --backend {'sam3' if name == 'sam3' else 'embedded'}`.")
    check_models(STAGES, options, quick=True)


def test_what_a_loader_would_read_beside_a_model_is_found_too(small: dict[str, Path]):
    (small["sam3"].parent / "adapter_config.json").write_text("{}")
    assert "move away: adapter_config.json" in lacking({"segment.backend": "sam3", "body.backend": "fake"})


def test_what_is_missing_and_what_is_damaged_are_said_together(small: dict[str, Path]):
    small["sam3"].unlink()
    small["blazepose-heavy"].write_bytes(b"havey")
    said = lacking({"segment.backend": "sam3", "body.backend": "embedded"})
    assert "sam3 is not in" in said
    assert "blazepose-heavy in" in said


def test_a_model_without_its_record_is_not_whole(weights: Path):
    names = [name for name in ("sam3", "sam2.1-hiera-large") if not weights_lock().find(name).is_pinned]
    assert names, "all are pinned by now: this test can go"
    store(weights, *names)
    (weights / PINS).unlink()
    assert missing_models(names) == tuple(names)


# A local run


@dataclasses.dataclass(frozen=True)
class Options:
    backend: str = option("nlf", help="models", choices=("nlf", "none"))
    nlf_model: str = option("", help="a model of the user's own", get="Download one")


def stage(**more: object) -> Stage:
    fields = {"options": Options, "weights": lambda options: (), "model_packages": lambda options: (),
              "model_paths": lambda options: (), "without_effect": lambda options: ()}  # fmt: skip
    return dataclasses.replace(MARKS, **(fields | more))


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr("common.plan._weight_digests", lambda names: dict.fromkeys(names, "digest"))
    bench = Bench(tmp_path)
    bench.record(cam01="one", cam02="two")
    return bench


def check(bench: Bench, declared: Stage, *, force: bool = False, **options: object) -> str:
    """What stands against the run; "" if nothing."""
    asked = Asked(bench.task(CHAIN[0]).data, bench.output, options, (*CHAIN[:2], declared))
    try:
        check_run(asked, ["take"], force=force)
    except ModelUnavailable as error:
        return str(error)
    return ""


def test_packages_and_models_are_asked_for_in_one_sentence_in_the_order_that_works(bench: Bench, weights: Path):
    declared = stage(model_packages=lambda options: ("numpy", "no-such-torch"), weights=lambda options: ("sam3",))
    assert check(bench, declared) == (
        "marks with the backend nlf: no-such-torch is not installed here, and sam3 is not in "
        f"{weights}. Run `make setup GPU=1` (in containers: images of the GPU flavour), "
        "then `ghost weights fetch --backend nlf`."
    )


def test_the_authors_own_sam_2_is_known_by_both_names(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    declared = stage(model_packages=lambda options: ("SAM-2", "sam2"))
    monkeypatch.setattr(run_needs.importlib.util, "find_spec", lambda name: None)
    assert check(bench, declared).startswith(
        "marks with the backend nlf: sam2 is not installed here. Run `pip install`"
    )
    monkeypatch.setattr(run_needs.importlib.util, "find_spec", lambda name: name == "sam2" or None)
    assert check(bench, declared) == ""


def test_a_model_of_the_users_own_is_looked_for(bench: Bench, tmp_path: Path):
    declared = stage(model_paths=lambda options: ("nlf_model",))
    assert check(bench, declared) == "marks with the backend nlf: --nlf-model is not given. Download one."
    assert check(bench, declared, nlf_model="/nowhere").endswith("there is no --nlf-model /nowhere. Download one.")
    more = stage(model_paths=lambda options: ("nlf_model",), model_packages=lambda options: ("no-such-torch",))
    assert check(bench, more).endswith("(in containers: images of the GPU flavour). Download one.")
    assert check(bench, declared, nlf_model=str(tmp_path)) == ""


def test_every_model_of_the_users_own_comes_with_a_way_to_get_it():
    named = {
        (stage.name, name)
        for stage in STAGES
        for backend in next((spec.choices for spec in option_specs(stage.options) if spec.name == "backend"), ())
        for name in stage.model_paths(stage.make_options({"backend": backend}))
    }
    assert named == {("body", "sam3d_path"), ("body", "nlf_model")}
    specs = {(stage.name, spec.name): spec for stage in STAGES for spec in option_specs(stage.options)}
    for one in named:
        assert specs[one].flag in specs[one].get, "it says what to do with what it got"


def test_results_that_are_up_to_date_need_no_models(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run_needs, "missing_models", lambda names: ("sam3",) if names else ())
    missing = "sam3 is not in"
    assert missing in check(bench, MARKS)
    bench.run()
    assert check(bench, MARKS) == ""
    assert missing in check(bench, MARKS, force=True)
    assert missing in check(bench, MARKS, times=2)
    bench.record(cam02="another")
    bench.execute(CHAIN[0])
    bench.execute(CHAIN[1], "cam02")
    assert missing in check(bench, MARKS)

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from common.errors import ModelUnavailable
from common.stage import Stage, option
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
    check_models(STAGES, options)
    assert missing_models(names) == ()
    for entry in (weights_lock().find(name) for name in names):
        file = (
            weights / entry.file if isinstance(entry, LockedFile) else next((weights / "models" / entry.name).glob("*"))
        )
        put(file, 1)
        assert missing_models(names) == (entry.name,), "half a download"
        store(weights, *names)


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
    nlf_model: str = option("", help="a model of the user's own")


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
    assert check(bench, declared) == "marks with the backend nlf: --nlf-model is not given. Name what is there."
    assert "there is no --nlf-model /nowhere" in check(bench, declared, nlf_model="/nowhere")
    assert check(bench, declared, nlf_model=str(tmp_path)) == ""


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

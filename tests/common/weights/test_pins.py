"""Who says what a model's files have to be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.errors import BadInput
from common.weights.hub_lock import HubFile, HubModel
from common.weights.pins import Pin, parse, pin_of, render, with_pin

ONE, TWO = HubFile(3, "1" * 64), HubFile(4, "2" * 64)
LION = HubModel(
    name="lion",
    repository="owner/lion",
    revision="a" * 40,
    backends=("zoo",),
    is_default=True,
    is_gated=False,
    licence="MIT",
    notice="Somebody",
    files={"config.json": None, "model.safetensors": ONE},
)
RECORD = Pin("owner/lion", "a" * 40, "2026-11-21", {"config.json": TWO, "model.safetensors": TWO})


def test_the_record_fills_what_the_lock_leaves_open_and_nothing_else() -> None:
    pin = pin_of(LION, {"lion": RECORD})
    assert pin is not None
    assert pin.files == {"config.json": TWO, "model.safetensors": ONE}
    assert pin.origin == "pinned here on 2026-11-21"
    assert pin_of(with_pin(LION, pin), {}) == Pin("owner/lion", "a" * 40, "", pin.files)


@pytest.mark.parametrize(
    "record",
    [
        None,
        replace(RECORD, revision="b" * 40),
        replace(RECORD, repository="other/lion"),
        replace(RECORD, files={"model.safetensors": ONE}),
    ],
    ids=["none", "of another revision", "of another repository", "of other files"],
)
def test_without_a_record_that_fits_a_model_is_not_pinned(record: Pin | None) -> None:
    assert pin_of(LION, {} if record is None else {"lion": record}) is None


def test_a_model_that_the_lock_pins_needs_no_record() -> None:
    whole = replace(LION, files={"config.json": ONE, "model.safetensors": ONE})
    pin = pin_of(whole, {"lion": RECORD})
    assert pin is not None
    assert (pin.origin, pin.files) == ("pinned by ghost", whole.files)


def test_the_digest_depends_on_names_and_content_alone() -> None:
    other = replace(RECORD, revision="b" * 40, recorded="", files=dict(reversed(RECORD.files.items())))
    assert other.digest == RECORD.digest
    assert replace(RECORD, files={**RECORD.files, "config.json": ONE}).digest != RECORD.digest
    assert replace(RECORD, files={"c.json": TWO, "model.safetensors": TWO}).digest != RECORD.digest


def test_a_record_is_read_back_as_it_was_written() -> None:
    pins = {"lion": RECORD, "bear": replace(RECORD, repository="owner/bear")}
    assert parse(render(pins), "pins.json") == pins
    assert parse(None, "pins.json") == {}


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b'{"format": 2, "models": {}}',
        b'{"format": 1}',
        b'{"format": 1, "models": {"lion": {"revision": "main", "files": {}}}}',
        b'{"format": 1, "models": {"lion": {"revision": "%s", "files": {"a": {"bytes": 1, "sha256": "x"}}}}}'
        % (b"a" * 40),
        b'{"format": 1, "models": {"lion": {"revision": "%s", "files": []}}}' % (b"a" * 40),
    ],
)
def test_what_is_no_record_is_refused_with_its_place(content: bytes) -> None:
    with pytest.raises(BadInput, match=r"weights/pins\.json: not a record of pinned models"):
        parse(content, "weights/pins.json")

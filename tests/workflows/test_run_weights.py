from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from workflows import run_weights
from workflows.pipeline import STAGES
from workflows.run_weights import fetch_for


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """What is asked for, backend and models of the Hub, instead of fetching it."""
    asked: list[tuple[str, list[str]]] = []

    def fetch(backend: str, models: Sequence[str]) -> list[str]:
        asked.append((backend, list(models)))
        return [f"weights/{backend}"]

    monkeypatch.setattr(run_weights, "fetch", fetch)
    return asked


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"segment.backend": "fake", "body.backend": "fake"}, []),
        ({"segment.backend": "fake"}, [("embedded", [])]),
        ({"body.backend": "fake"}, [("embedded", [])]),
        (
            {"segment.backend": "gdino-sam2", "body.backend": "fake"},
            [("gdino-sam2", ["grounding-dino-tiny", "sam2.1-hiera-large"])],
        ),
        (
            {
                "segment.backend": "gdino-sam2",
                "tracker": "sam2.1-hiera-small",
                "detector": "grounding-dino-base",
                "body.backend": "fake",
            },
            [("gdino-sam2", ["grounding-dino-base", "sam2.1-hiera-small"])],
        ),
        ({"segment.backend": "sam3", "body.backend": "fake"}, [("sam3", ["sam3"])]),
    ],
    ids=str,
)
def test_what_the_chosen_models_need_is_fetched_and_no_more(
    fetched: list[tuple[str, list[str]]], options: dict[str, Any], expected: list[tuple[str, list[str]]]
):
    fetch_for(STAGES, options)
    assert fetched == expected


def test_a_place_that_two_stages_need_is_named_once(fetched: list[tuple[str, list[str]]]):
    assert fetch_for(STAGES, {}) == ["weights/embedded"]
    assert [backend for backend, _ in fetched] == ["embedded", "embedded"]

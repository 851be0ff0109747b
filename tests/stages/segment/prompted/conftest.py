from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def sam2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved SAM 2 that sees everybody."""
    from tests import tiny_models

    return tiny_models.save_sam2_video(tmp_path_factory.mktemp("sam2"))


@pytest.fixture(scope="session")
def flickering_sam2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved SAM 2 that takes people for hidden in about half of the frames."""
    from tests import tiny_models

    return tiny_models.save_sam2_video(tmp_path_factory.mktemp("sam2"), presence=0.5)


@pytest.fixture
def unrounded() -> Iterator[None]:
    """See `sam2_reference.unrounded_memories`."""
    from tests.stages.segment.prompted.sam2_reference import unrounded_memories

    with unrounded_memories():
        yield

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def imported_once() -> None:
    """The garbage collector no longer looks at what imports have made, which stays anyhow.

    With torch and transformers it takes 0.2 s each time, and models that are loaded make it look.
    """
    gc.freeze()


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

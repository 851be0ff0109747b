import pytest

from tests.media_zoo import make_zoo


@pytest.fixture(scope="session")
def zoo(tmp_path_factory):
    """Name -> path of every file of the zoo; made once, never written to."""
    return make_zoo(tmp_path_factory.mktemp("zoo"))

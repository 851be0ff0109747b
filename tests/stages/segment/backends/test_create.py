import pytest

from common.errors import ModelUnavailable, UsageError
from stages.segment.backends import create


def test_an_unknown_backend_is_a_usage_error_that_lists_the_known_ones():
    with pytest.raises(UsageError, match="embedded, fake"):
        create("sam9")


def test_a_step_below_one_is_a_usage_error():
    with pytest.raises(UsageError, match="at least 1, got 0"):
        create("fake", detection_step=0)


def test_a_gpu_that_cannot_be_used_is_said_so():
    with pytest.raises(ModelUnavailable, match="CPU only"):
        create("embedded", device="cuda")

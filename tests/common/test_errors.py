import errno
import os
import re
from pathlib import Path

import pytest

from common import errors
from common.errors import DiskError, ExitCode, GhostError, InputMissing, TemporaryFailure, from_os_error


def leaves() -> list[type[GhostError]]:
    return [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, GhostError)]


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = dict(re.findall(r"^ +(?:[├└]── )?(\w+) +(\d+)", errors.__doc__ or "", re.MULTILINE))
    assert drawn == {leaf.__name__: str(leaf.exit_code.value) for leaf in leaves()}


def test_no_two_errors_share_an_exit_code_and_every_code_says_what_it_means() -> None:
    codes = [leaf.exit_code for leaf in leaves()]
    assert len(codes) == len(set(codes))
    assert set(ExitCode) - set(codes) == {ExitCode.DONE, ExitCode.SOME_FAILED}
    assert all(code.meaning for code in ExitCode)
    assert [code for code in ExitCode if code.retry] == [ExitCode.TEMPORARY, ExitCode.TERMINATED]


@pytest.mark.parametrize(
    ("number", "reading", "writing"),
    [
        (errno.ENOSPC, DiskError, DiskError),
        (errno.EDQUOT, DiskError, DiskError),
        (errno.EFBIG, DiskError, DiskError),
        (errno.EROFS, DiskError, DiskError),
        (errno.EACCES, DiskError, DiskError),
        (errno.EIO, DiskError, DiskError),
        (errno.ESTALE, TemporaryFailure, TemporaryFailure),
        (errno.ENOENT, InputMissing, DiskError),
        (errno.ENOTDIR, InputMissing, DiskError),
        (errno.EEXIST, DiskError, DiskError),
    ],
)
def test_what_the_system_refuses_becomes_an_error_with_a_place(number: int, reading: type, writing: type) -> None:
    error = OSError(number, os.strerror(number), "/some/where")
    assert type(from_os_error(error)) is reading
    assert type(from_os_error(error, writing=True)) is writing
    assert str(from_os_error(error)).startswith(f"/some/where: {os.strerror(number)}")


def test_an_error_without_a_file_name_names_the_place_of_work_and_what_is_free(tmp_path: Path) -> None:
    message = str(from_os_error(OSError(errno.ENOSPC, "No space left on device"), place=str(tmp_path / "not" / "yet")))
    assert message.startswith(f"{tmp_path}/not/yet: No space left on device (")
    assert "GB free)" in message

import random
from pathlib import Path

import pytest

from common.errors import BadInput, UsageError
from common.names import check_distinct, check_name
from common.storage.local import LocalStorage

BAD = [
    "", ".", "..", "a..b", "../a", "/etc", "a/b", "a b", " a", "a'", 'a"', "$(reboot)", "`x`", "a;b", "a\n", "a\tb",
    "a\0", "-rf", "--help", ".hidden", "_manifests", "{{x}}", "a*", "ａ", "é", "x" * 64, "x" * 300,
]  # fmt: skip


@pytest.mark.parametrize("name", ["cam01", "aria01_214-1", "0", "A.b", "x" * 63])
def test_ordinary_names_pass_unchanged(name: str) -> None:
    assert check_name(name, kind="video") == name


@pytest.mark.parametrize("name", BAD)
def test_other_names_are_refused_in_one_line_that_shows_the_rule(name: str) -> None:
    with pytest.raises(UsageError, match=r"scene name .* is not accepted: use letters, digits") as caught:
        check_name(name, kind="scene")
    assert "\n" not in str(caught.value)


def test_no_accepted_name_leaves_the_root(tmp_path: Path) -> None:
    """Ten thousand strings made of what does harm in paths, shells and YAML."""
    pieces, draw = [*"ab0._-/\\ '\"$(){}*~:;|&<>\n\0é", "..", "a"], random.Random(3)  # noqa: S311
    storage, accepted = LocalStorage(tmp_path), 0
    for _ in range(10_000):
        name = "".join(draw.choices(pieces, k=draw.randint(0, 5)))
        try:
            check_name(name, kind="scene")
        except UsageError:
            continue
        accepted += 1
        path = storage.localize(f"{name}/scene.json")
        assert path.resolve().parent.parent == tmp_path.resolve(), name
        assert path.parent.name == name
    assert accepted > 100


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["cam01", "a", "cam01"], "the same name"),
        (["CAM01", "cam01"], "differ only in the case of letters"),
        (["cam01", "CAM01"], "differ only in the case of letters"),
    ],
)
def test_names_that_share_a_file_are_refused(names: list[str], reason: str) -> None:
    with pytest.raises(BadInput, match=f"two videos have .*{reason}"):
        check_distinct(names, kind="video")


def test_distinct_names_pass() -> None:
    check_distinct(["cam01", "cam02"], kind="video")

import json

import pytest

from common.artifacts.json_files import read_json, write_json
from common.errors import BadInput


def test_what_is_written_is_read_and_ends_with_a_newline(tmp_path):
    content = {"b": [1, 2.5, None], "a": "Zürich"}
    write_json(tmp_path / "x.json", content)
    text = (tmp_path / "x.json").read_bytes()
    assert json.loads(text) == content == read_json(tmp_path / "x.json")
    assert text.endswith(b"}\n")
    assert "Zürich".encode() in text
    assert text.index(b'"b"') < text.index(b'"a"')


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_json_does_not_know_are_not_written(tmp_path, number):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"score": number})
    assert not (tmp_path / "x.json").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"a": NaN}', b"[" * 100_000])
def test_what_is_no_json_is_bad_input_that_names_the_file(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(BadInput, match=r"x\.json: not a JSON file") as caught:
        read_json(tmp_path / "x.json")
    assert "\n" not in str(caught.value)

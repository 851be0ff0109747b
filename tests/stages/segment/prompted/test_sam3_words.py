from pathlib import Path

import pytest
import torch

from common.errors import ModelUnavailable, UsageError
from stages.segment.prompted.sam3_words import read
from tests.stages.segment.prompted.sam3_reference import CPU, save_words

PIECES = {letter: index for index, letter in enumerate([chr(code) for code in range(33, 127)])}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_words(tmp_path_factory.mktemp("words"))


def test_phrases_are_spelled_between_start_and_end_and_filled_up(folder: Path) -> None:
    first, second = read(folder, ("red car", "dog"), device=CPU)
    start, end = 512, 513  # after 256 letters and 256 letters that end a word
    letters = [PIECES[letter] for letter in "redcar"]
    for last in (2, 5):
        letters[last] += 256
    assert first.text == "red car"
    assert first.pieces.tolist() == [[start, *letters, end] + [end] * 24]
    assert first.mask.tolist() == [[1] * 8 + [0] * 24]
    assert second.pieces[0, 1:4].tolist() == [PIECES["d"], PIECES["o"], PIECES["g"] + 256]
    assert second.mask.sum() == 5
    assert first.pieces.dtype == first.mask.dtype == torch.int64


def test_as_many_pieces_as_the_model_takes_and_not_one_more(folder: Path) -> None:
    assert read(folder, ("a" * 30,), device=CPU)[0].mask.sum() == 32
    with pytest.raises(UsageError, match=r"--prompt: SAM 3 reads 32 word pieces, 'a+' has 33\. Name it shorter"):
        read(folder, ("person", "a" * 31), device=CPU)


def test_a_folder_without_words_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"the tokenizer is missing.*weights fetch"):
        read(tmp_path, ("person",), device=CPU)


def test_words_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ModelUnavailable, match=r"the tokenizer cannot be read.*weights fetch"):
        read(tmp_path, ("person",), device=CPU)

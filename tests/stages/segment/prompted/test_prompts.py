import pytest

from common.errors import UsageError
from stages.segment.prompted.prompts import as_caption, phrases_of


@pytest.mark.parametrize(
    ("prompt", "caption"),
    [
        ("person", "person."),
        ("Person.", "person."),
        ("  person , bicycle", "person. bicycle."),
        ("a person. bicycle", "person. bicycle."),
        ("A person; the  traffic   light!", "person. traffic light."),
        ("person.person. a Person", "person."),
        ("apple", "apple."),
        ("t-shirt\ndog", "t-shirt. dog."),
    ],
)
def test_a_prompt_has_one_spelling(prompt: str, caption: str) -> None:
    assert as_caption(phrases_of(prompt)) == caption


@pytest.mark.parametrize("prompt", ["", "  ", ".", ". , ;", "?!"])
def test_a_prompt_that_names_nothing_is_refused(prompt: str) -> None:
    with pytest.raises(UsageError, match=r'^--prompt: .* names nothing to look for\. .*"person"'):
        phrases_of(prompt)


@pytest.mark.parametrize("prompt", ["7", "person. --", "@@"])
def test_something_without_a_letter_is_refused(prompt: str) -> None:
    with pytest.raises(UsageError, match="is no word"):
        phrases_of(prompt)

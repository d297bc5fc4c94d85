"""Sentences with numbers in them read as a person would say them."""

import pytest

from shadows.amounts import counted


@pytest.mark.parametrize(
    ("count", "one", "many", "words"),
    [
        (1, "task", None, "1 task"),
        (0, "task", None, "0 tasks"),
        (32, "task", None, "32 tasks"),
        (1, "entry is", "entries are", "1 entry is"),
        (2, "entry is", "entries are", "2 entries are"),
    ],
)
def test_a_number_has_the_form_of_its_noun(count: int, one: str, many: str | None, words: str) -> None:
    """The log of a daemon whose worker died with one task spoke of `The 1 tasks`."""
    assert counted(count, one, many) == words

"""One word for one idea: the word list explains the words that people meet in the public names."""

import re

import pytest

from tests.contracts.sources import ROOT

WORDS = ["task", "execution", "key", "attempt", "worker", "child", "master", "lease", "strike"]


@pytest.mark.parametrize("word", WORDS)
def test_the_word_list_explains(word: str) -> None:
    explained = (ROOT / "docs" / "words.md").read_text().lower()
    assert re.search(rf"^[-#|* `]*{word}\b", explained, re.MULTILINE), (
        f"docs/words.md has no line that begins with {word!r}"
    )

"""Every command of these tests finds a private server and a name of its own by the environment, as users' do."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from shadows.sync import Shadow


@pytest.fixture(autouse=True)
def environment(shadows_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the commands go. Wide enough that no help text is broken into lines."""
    monkeypatch.setenv("SHADOWS_URL", shadows_url)
    monkeypatch.setenv("SHADOWS_NAME", f"test-{uuid4()}")
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def shadow(environment: None) -> Iterator[Shadow]:
    """The shadow that the commands speak of."""
    with Shadow() as shadow:
        yield shadow
        shadow.clear()

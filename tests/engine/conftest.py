"""What the tests of the engine share: the lines of a log, and a list of what ran that begins empty."""

import logging
import re
from collections.abc import Callable

import pytest

from . import limited


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    limited.ran.clear()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What the worker said of the key "the key", with INFO on: the times left out, errors as their levels."""
    caplog.set_level(logging.INFO, "shadows.worker")

    def said() -> list[str]:
        messages = [record.getMessage() for record in caplog.records if "'the key'" in record.getMessage()]
        return [re.sub(r"\b\d+ ms", "some ms", message).replace(" with key 'the key'", "") for message in messages]

    return said

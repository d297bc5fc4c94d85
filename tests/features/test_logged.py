"""The log tells of each run, with the arguments that are marked for it, and no others."""

import logging
from typing import Annotated

import pytest

from shadows import Logged, Shadow

from .workers import finish


@pytest.fixture(autouse=True)
def reads_info(caplog: pytest.LogCaptureFixture) -> None:
    """As `shadows worker` does by default, and `logging` does not."""
    caplog.set_level(logging.INFO, "shadows.worker")


async def test_the_log_names_marked_arguments_and_hides_the_others(
    shadows: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever is not marked may be a password."""

    async def charge(
        customer: Annotated[int, Logged], card: str, items: Annotated[list[str], Logged(length_only=True)]
    ) -> None: ...

    await shadows.add(charge)(7, "4111 1111", ["a", "b"])
    await finish(shadows)
    assert "customer=7" in caplog.text
    assert "items=[len 2]" in caplog.text
    assert "4111 1111" not in caplog.text


async def test_the_log_names_the_marked_arguments_of_a_plain_function(
    shadows: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """By keyword, too, and whatever else its signature asks for."""

    def charge(customer: Annotated[int, Logged], *, card: str = "none", note: Annotated[str, Logged] = "") -> None: ...

    await shadows.add(charge)(customer=7, card="4111 1111")
    await finish(shadows)
    assert "charge(customer=7, card=...) with key" in caplog.text
    assert "4111 1111" not in caplog.text


async def test_a_run_is_a_line_when_it_starts_and_a_line_when_it_ends(
    shadows: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """With the same key in both, to find one by the other."""

    async def greet(name: str) -> None: ...

    await shadows.add(greet, key="greet-7")("Jane")
    await finish(shadows)
    started, ended = (record.getMessage() for record in caplog.records if "greet-7" in record.getMessage())
    assert started == "greet with key 'greet-7' started."
    assert ended.startswith("greet with key 'greet-7' completed after ")
    assert ended.endswith(" ms.")

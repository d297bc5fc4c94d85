"""An outage is told once at its beginning and once at its end, whoever notices it how often."""

import asyncio
import logging
from datetime import timedelta
from time import monotonic

import pytest

from shadowsd.engine.events import OutageBegan, OutageEnded

from .parts import Recorded, outage_of


async def test_many_failures_are_one_outage(caplog: pytest.LogCaptureFixture) -> None:
    """Each part of a worker fails by itself, again and again."""
    recorded = Recorded()
    outage = outage_of(recorded, timedelta(milliseconds=1))
    assert not outage.ongoing
    with caplog.at_level(logging.WARNING, "shadows.worker"):
        for part in ("reading", "settling", "reading"):
            await outage.failed(part, ConnectionError("gone"))
        assert outage.ongoing
        assert outage.lasts_seconds is not None
        assert outage.lasts_seconds > 0
        outage.worked("reading")
        assert outage.ongoing
        outage.worked("settling")
    assert not outage.ongoing
    assert outage.lasts_seconds is None
    assert [type(event) for event in recorded.events] == [OutageBegan, OutageEnded]
    assert recorded.events[0] == OutageBegan("gone")
    began, ended = caplog.messages
    assert began == "Redis can't be used now, and is tried again until it can. gone"
    assert ended.startswith("Redis can be used again after 0.0 s")


async def test_what_works_without_an_outage_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    """It is called after every single call."""
    recorded = Recorded()
    outage_of(recorded).worked("reading")
    assert recorded.events == []
    assert caplog.messages == []


async def test_a_part_that_never_failed_does_not_end_another_parts_outage() -> None:
    """All have to work again."""
    recorded = Recorded()
    outage = outage_of(recorded)
    outage.note("reading", ConnectionError("gone"))
    outage.worked("beating")
    assert outage.ongoing


async def test_pauses_get_longer_up_to_the_reconnection_delay() -> None:
    """A short restart is over at once, a long outage is not hammered."""
    outage = outage_of(Recorded(), timedelta(milliseconds=120))
    pauses = []
    for _ in range(3):
        began = monotonic()
        await outage.failed("reading", ConnectionError("gone"))
        pauses.append(monotonic() - began)
    assert [round(pause, 2) >= least for pause, least in zip(pauses, (0.05, 0.1, 0.12), strict=True)] == [True] * 3
    assert pauses[0] < pauses[1] < pauses[2] + 0.05


async def test_the_next_outage_begins_with_a_short_pause_again() -> None:
    """Each is one of its own."""
    outage = outage_of(Recorded(), timedelta(seconds=60))
    for _ in range(10):
        outage.note("reading", ConnectionError("gone"))
    outage.worked("reading")
    await asyncio.wait_for(outage.failed("reading", ConnectionError("gone")), 5)

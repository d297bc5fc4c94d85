"""What a child sends to a master that does not read."""

from collections.abc import Iterator

import msgspec
import pytest

from shadowsd.engine.events import OutcomesFenced
from shadowsd.master.assignment import Assignment, Client, Engine
from shadowsd.master.channel import Channel
from shadowsd.master.page import Page
from shadowsd.master.serve import Service
from shadowsd.observe.tally import Delta


@pytest.fixture
def page() -> Iterator[Page]:
    page = Page.make(10)
    yield page
    page.close()


async def test_what_a_held_up_master_does_not_take_goes_with_the_next(page: Page) -> None:
    """Else a counter would miss what was done while its master was stopped."""
    master, given = Channel.pair()
    given.setblocking(False)
    child = Channel(given)
    assignment = Assignment(
        1, 1, 1, False, 1, "node", "node", Client("s", "redis://127.0.0.1:1"), Engine(), None, True, "info", "plain"
    )
    service = Service(assignment, page, child, None)
    while child.send({"full": "x" * 1000}):
        pass
    service._tally.observe(OutcomesFenced(3))
    service._push()
    assert len(list(master.messages())) > 10
    service._tally.observe(OutcomesFenced(4))
    service._push()
    (message,) = [each for each in master.messages() if each is not None]
    assert msgspec.msgpack.decode(message["tally"], type=Delta).fenced_outcomes == 7
    master.close()
    child.close()

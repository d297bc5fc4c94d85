"""Messages between the master and its processes: whole, with their descriptors, and never waited for."""

import os
from collections.abc import Iterator

import pytest

from shadowsd.master.channel import MOST_DESCRIPTORS, Channel

type Pair = tuple[Channel, Channel]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, end = Channel.pair()
    theirs = Channel(end)
    end.setblocking(False)
    yield ours, theirs
    ours.close()
    theirs.close()


def test_messages_keep_their_bounds_and_their_order(pair: Pair) -> None:
    ours, theirs = pair
    sent = [{"number": n, "text": "x" * n} for n in range(20)]
    assert all(ours.send(message) for message in sent)
    assert list(theirs.messages()) == sent
    assert list(theirs.messages()) == []


def test_descriptors_travel_beside_a_message_and_are_not_inherited(pair: Pair) -> None:
    ours, theirs = pair
    reading, writing = os.pipe()
    assert ours.send({"take": "it"}, [writing] * MOST_DESCRIPTORS)
    os.close(writing)
    received = theirs.receive()
    assert received is not None
    message, descriptors = received
    assert message == {"take": "it"}
    assert len(descriptors) == MOST_DESCRIPTORS
    assert not any(map(os.get_inheritable, descriptors))
    os.write(descriptors[0], b"through")
    assert os.read(reading, 10) == b"through"
    for descriptor in (reading, *descriptors):
        os.close(descriptor)


def test_what_was_said_before_the_end_is_heard_and_then_the_end(pair: Pair) -> None:
    ours, theirs = pair
    ours.send({"last": "words"})
    ours.close()
    assert list(theirs.messages()) == [{"last": "words"}, None]
    assert list(theirs.messages()) == [None]
    assert not theirs.send({"is": "anybody there"})


def test_a_sender_never_waits_for_one_who_does_not_listen(pair: Pair) -> None:
    ours, theirs = pair
    sent = 0
    while ours.send({"number": sent, "text": "x" * 1000}):
        sent += 1
        assert sent < 100_000
    assert [message["number"] for message in theirs.messages() if message] == list(range(sent))
    assert ours.send({"number": sent})


def test_a_message_that_is_too_long_is_not_sent_in_pieces(pair: Pair) -> None:
    ours, theirs = pair
    assert not ours.send({"text": "x" * 10_000_000})
    assert list(theirs.messages()) == []

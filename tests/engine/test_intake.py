"""Where a worker takes new work from."""

from shadows.keys import HIGH, LOW, RETURNED, STREAM, SUSPECTS, Keys
from shadowsd.engine.intake import PAUSE_SECONDS, Intake

KEYS = Keys("orders")
ALL = ["low", "normal", "high"]


def test_a_read_that_ended_without_entries_has_none() -> None:
    """Its time was over, or it was unblocked."""
    intake = Intake(KEYS, ["normal"])
    assert intake.rows(None) == []
    assert intake.rows([]) == []


def test_each_entry_has_the_place_of_its_stream() -> None:
    """A read of several brings some of each."""
    entries = [(b"1-0", [b"k", b"v"]), (b"2-0", [b"k", b"w"])]
    reply = [[KEYS.streams[LOW - 1].encode(), entries[:1]], [KEYS.stream.encode(), entries]]
    rows = Intake(KEYS, ALL).rows(reply)  # type: ignore[arg-type] # its members are what it expects
    assert rows == [("1", [b"k", b"v"], LOW, 1), ("1", [b"k", b"v"], STREAM, 1), ("2", [b"k", b"w"], STREAM, 1)]


def test_one_stream_is_read_for_as_many_as_have_room_until_there_are_more() -> None:
    """Who never uses priorities pays nothing for them."""
    intake = Intake(KEYS, ALL)  # type: ignore[arg-type] # its members are what it expects
    assert not intake.dedicated
    assert intake.read("w#1", 7, 100)[4:] == ["COUNT", 7, "BLOCK", 100, "STREAMS", KEYS.stream, ">"]
    assert intake.asked("p:", "w#1", 7) == ["p:", "w#1", 7, "", "-", -STREAM, RETURNED]
    intake.in_use = True
    high, low = KEYS.streams[HIGH - 1], KEYS.streams[LOW - 1]
    assert intake.read("w#1", 7, 100)[4:] == [
        "COUNT", 1, "BLOCK", 100, "STREAMS", high, KEYS.stream, low, ">", ">", ">",
    ]  # fmt: skip
    assert intake.asked("p:", "w#1", 7) == ["p:", "w#1", 7, "", "-", RETURNED, HIGH, STREAM, LOW]
    assert intake.asked("p:", "w#1", 1, SUSPECTS) == ["p:", "w#1", 1, "", "-", SUSPECTS]


def test_a_dedicated_worker_says_what_it_serves() -> None:
    """What came back or is suspect lies in one stream for all priorities."""
    intake = Intake(KEYS, ["low", "high", "low"])
    assert (intake.dedicated, intake.in_use) == (True, True)
    assert intake.asked("p:", "w#1", 7) == ["p:", "w#1", 7, "high low", "-", RETURNED, HIGH, LOW]


def test_a_look_at_what_lies_together_goes_on_where_it_was_and_begins_again_when_something_was_left_since() -> None:
    """Thousands that a worker does not serve would be looked at with each call, or keep it from what is behind them."""
    now = 100.0
    intake = Intake(KEYS, ["low"], lambda: now)

    def after(*places: int) -> object:
        return intake.asked("p:", "w#1", 7, *places)[4]

    assert (after(), after(SUSPECTS)) == ("-", "-")
    assert intake.given([[LOW, b"5-0", [b"k", b"v"], 1], b"(9-0", 1]) == ([("5", [b"k", b"v"], LOW, 1)], True)
    intake.look_anew()
    assert (after(), after(SUSPECTS)) == ("(9-0", "-")
    intake.given([b"", 0])
    intake.given([b"", 0], SUSPECTS)
    assert (after(), after(SUSPECTS)) == ("", "-")  # it took two calls, so the next one is not at once
    now += PAUSE_SECONDS
    assert after() == "-"
    intake.given([b"", 0])
    assert after() == ""
    intake.given([b"", 0], SUSPECTS)
    assert after(SUSPECTS) == ""

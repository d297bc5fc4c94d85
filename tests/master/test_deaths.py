"""What deaths lead to: backoff, the breaker, the diagnosis of silence, and blame."""

import pytest

from shadowsd.master.backoff import FIRST_SECONDS, LONGEST_SECONDS, counting, loops, pause
from shadowsd.master.blame import blamed, line_of
from shadowsd.master.hangs import QUIET, SILENT_SECONDS, Kind, Silence, classify, state_of
from shadowsd.master.history import KEPT_EXITS, Ending, History
from shadowsd.master.page import InFlight

HALF = 0.5
STACK = """Thread 0x0000000000000001 (most recent call first):
  File "/usr/lib/python3.12/selectors.py", line 468 in select

Current thread 0x0000000000000002 (most recent call first):
  File "/usr/lib/python3.12/json/decoder.py", line 337 in decode
  File "/srv/shadows/app/tasks.py", line 88 in parse
  File "/lib/shadowsd/engine/attempt.py", line 95 in _run
  File "/lib/shadowsd/master/serve.py", line 92 in run
  File "/lib/shadowsd/master/serve.py", line 57 in serve
"""


def in_flight(*functions: str) -> list[InFlight]:
    return [InFlight(str(n), function, f"k{n}", float(n)) for n, function in enumerate(functions, 1)]


def ending(cause: str) -> Ending:
    return Ending(0.0, 1, 1, 0.0, cause, "", 0, (), "")


@pytest.mark.parametrize(
    ("deaths", "seconds"),
    [
        ([], 0.0),
        ([1.0], 0.0),
        ([1.0, 2.0], FIRST_SECONDS),
        ([1.0, 2.0, 3.0], FIRST_SECONDS * 2),
        ([1.0] * 5, FIRST_SECONDS * 8),
        ([1.0] * 20, LONGEST_SECONDS),
        ([1.0] * 5000, LONGEST_SECONDS),
    ],
)
def test_the_first_death_is_made_good_at_once_and_then_pauses_double(deaths: list[float], seconds: float) -> None:
    assert pause(deaths, lambda: 1.0) == seconds
    assert pause(deaths, lambda: 0.0) == 0.0


def test_deaths_count_while_each_follows_the_one_before_soon_enough() -> None:
    """A pause of a minute between two deaths must not make the second one the first again."""
    assert counting([], 100.0) == []
    assert counting([0.0, 50.0, 99.0], 100.0) == [0.0, 50.0, 99.0]
    assert counting([0.0, 121.0], 200.0) == [121.0]
    assert counting([0.0, 119.0], 500.0) == []


def test_a_crash_loop_is_three_deaths_a_slot_in_a_minute_without_a_healthy_worker() -> None:
    assert loops([1.0] * 6, 60.0, slots=2, healthy=0)
    assert not loops([1.0] * 5, 60.0, slots=2, healthy=0)
    assert not loops([1.0] * 6, 60.0, slots=2, healthy=1)
    assert not loops([1.0] * 6, 62.0, slots=2, healthy=0)


def test_a_slot_waits_after_its_second_death_and_no_other_does() -> None:
    history = History()
    assert history.died(1, 10.0, 0.0) == 0.0
    assert history.held(2, 10.0) == frozenset()
    wait = history.died(1, 11.0, 0.0)
    assert 0.0 <= wait <= FIRST_SECONDS
    assert history.held(2, 11.0 + wait + 0.001) == frozenset()
    history._not_before[1] = 20.0
    assert history.held(2, 19.9) == {1}


def test_a_worker_that_was_healthy_has_its_slot_begin_anew() -> None:
    history = History()
    for now in (1.0, 2.0, 3.0):
        history.died(1, now, 0.0)
    assert history.died(1, 30.0, 25.0) == 0.0


def test_in_a_crash_loop_one_slot_probes_until_a_worker_is_healthy() -> None:
    history = History()
    for slot in (1, 2, 1, 2, 1):
        history.died(slot, 5.0, 0.0)
    assert history.judge(5.0, 2, 0) is None
    history.died(2, 5.0, 0.0)
    assert history.judge(5.0, 2, 0) is True
    assert history.judge(5.0, 2, 0) is None
    assert 2 in history.held(3, 1000.0)
    assert history.held(3, 1000.0) == {2, 3}
    assert history.judge(1000.0, 2, 0) is None
    assert history.judge(1000.0, 2, 1) is False
    assert history.held(3, 1000.0) == frozenset()


def test_the_last_ends_of_a_slot_are_kept_newest_first() -> None:
    history = History()
    for number in range(KEPT_EXITS + 5):
        history.note(1, ending(str(number)))
    kept = history.endings(1)
    assert len(kept) == KEPT_EXITS
    assert kept[0]["cause"] == str(KEPT_EXITS + 4)
    assert history.endings(2) == []


@pytest.mark.parametrize(
    ("loop", "thread", "state", "found"),
    [
        (SILENT_SECONDS - 0.1, 99.0, "T", QUIET),
        (5.0, 0.1, "S", Silence(Kind.LOOP_BLOCKED, 5.0)),
        (5.0, 5.0, "R", Silence(Kind.GIL_HELD, 5.0)),
        (5.0, 5.0, "T", Silence(Kind.STOPPED, 5.0)),
        (5.0, 0.1, "t", Silence(Kind.TRACED, 5.0)),
        (5.0, 5.0, "D", Silence(Kind.WAITS_FOR_DISK, 5.0)),
        (5.0, 5.0, "", Silence(Kind.GIL_HELD, 5.0)),
    ],
)
def test_silence_is_told_by_two_stamps_and_the_kernel(loop: float, thread: float, state: str, found: Silence) -> None:
    assert classify(loop, thread, state) == found


def test_the_kernel_knows_nothing_of_a_process_that_is_gone() -> None:
    assert state_of(1) in "SRD"
    assert state_of(2**22 + 1) == ""


def test_at_a_death_everybody_is_blamed_and_at_a_hang_those_whose_function_hung() -> None:
    tasks = in_flight("fetch", "parse", "orders.parse")
    assert blamed(tasks, STACK, hung=False) == ("1", "2", "3")
    assert blamed(tasks, STACK, hung=True) == ("2", "3")
    assert blamed(tasks[:1], STACK, hung=True) == ("1",)
    assert blamed(tasks, "", hung=True) == ("1", "2", "3")
    assert blamed([], STACK, hung=True) == ()


def test_a_function_whose_name_was_cut_in_the_page_is_blamed_all_the_same() -> None:
    long = "parse_the_very_long_statements_of_all_the_banks"
    tasks = in_flight("fetch", long.encode()[:40].decode())
    assert blamed(tasks, STACK.replace("in parse", f"in {long}"), hung=True) == ("2",)


def test_the_last_dump_counts_and_the_users_innermost_line_is_named() -> None:
    both = STACK.replace("line 88", "line 1") + "\n" + STACK
    assert line_of(both, ("/usr/lib/python3.12/", "/lib/shadowsd/")) == "/srv/shadows/app/tasks.py:88 in parse"
    assert line_of(both, ("/usr/lib/", "/srv/", "/lib/")) == ""
    assert line_of("", ()) == ""

"""`shadows why`: where an execution is that has not ended, why, and what to do."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from shadows.sync import Shadow
from tests.commands.commands import Worker, output_of, run, task_file
from tests.waiting import wait_for

TASKS = """
import asyncio
import os
import signal
from datetime import timedelta
from pathlib import Path

from shadows import ConcurrencyLimit, Debounce, Perpetual, Progress, RateLimit, Retry

HOUR = timedelta(hours=1)


async def holds(file: str, progress: Progress = Progress()) -> None:
    await progress.set_total(3)
    await progress.increment(2)
    await progress.set_message("coun\\nting")
    while not Path(file).exists():
        await asyncio.sleep(0.005)


async def alone(file: str, limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
    await holds(file)


async def seldom(limit: RateLimit = RateLimit(1, HOUR)) -> None: ...


async def settles(wait: Debounce = Debounce(HOUR)) -> None: ...


async def regular(perpetual: Perpetual = Perpetual(every=HOUR)) -> None: ...


async def fails(retry: Retry = Retry(attempts=3, delay=HOUR)) -> None:
    raise ValueError("no luck")


async def kills() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


collection = [holds, alone, seldom, settles, regular, fails, kills]
"""
BRIEF = ["--heartbeat-interval", "50ms", "--missed-heartbeats", "20"]


class Place:
    """A directory with the tasks, and with the file for which some of them wait."""

    def __init__(self, directory: Path) -> None:
        self.file = str(directory / "go")
        self.options = ["--tasks", f"{task_file(directory, TASKS, 'explained')}:collection", "--app-dir", directory]

    @contextmanager
    def working(self, *options: str) -> Iterator[Worker]:
        with Worker(*self.options, "--name", "anna", *options) as worker:
            worker.says("begins")
            yield worker


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def why(key: str = "k") -> tuple[list[str], str]:
    """The reasons, as data, and all that is said."""
    return json.loads(output_of("why", key, "--json"))["reasons"], output_of("why", key)


def wait_for_reasons(*reasons: str, key: str = "k") -> str:
    """Waits until these are the reasons; what is said then."""
    wait_for(lambda: why(key)[0] == [*reasons], f"{key} is where it is because of {reasons}")
    return why(key)[1]


def test_what_was_added_for_later_waits_for_its_time(shadow: Shadow) -> None:
    shadow.add("holds", when=timedelta(hours=1), key="k")("")
    reasons, said = why()
    assert reasons == ["when"]
    head, line = said.splitlines()
    assert head == f"holds with key 'k' in {shadow.name} at {shadow.url} is scheduled."
    assert line.startswith("It waits until 20")
    assert line.endswith("): that time was given when it was added.")


def test_the_next_run_of_a_perpetual_task_says_so_and_how_the_last_one_ended(shadow: Shadow, place: Place) -> None:
    shadow.add("regular", key="k")()
    with place.working():
        said = wait_for_reasons("next_run")
    assert "It is the next run of a perpetual task, which is due at 20" in said
    assert "The one before it with this key completed at 20" in said


def test_a_retry_says_which_attempt_waits(shadow: Shadow, place: Place) -> None:
    shadow.add("fails", key="k")()
    with place.working():
        assert "for attempt 2, since attempt 1 failed." in wait_for_reasons("retry")


@pytest.mark.parametrize("function", ["seldom", "settles"])
def test_what_a_rate_limit_or_a_debounce_put_off_says_so(shadow: Shadow, place: Place, function: str) -> None:
    shadow.add(function, key="first")()
    with place.working():
        wait_for(lambda: why("first")[0] != ["soon"], "the first one was looked at")
        shadow.add(function, key="k")()
        assert "for a rate limit or a debounce: these put it off until 20" in wait_for_reasons("put_off")


def test_what_is_due_waits_for_a_worker_to_move_it(shadow: Shadow) -> None:
    shadow.add("holds", when=timedelta(milliseconds=1), key="k")("")
    said = wait_for_reasons("due", "no_worker")
    assert "It is due since 20" in said
    assert f"No worker of {shadow.name} lives. Start one: `shadows worker --tasks ...`" in said


def test_without_a_worker_it_says_how_to_start_one(shadow: Shadow) -> None:
    shadow.add("holds", key="k")("")
    reasons, said = why()
    assert reasons == ["no_worker"]
    assert f"No worker of {shadow.name} lives. Start one: " in said


def test_a_function_that_no_living_worker_knows_is_parked(shadow: Shadow, place: Place) -> None:
    shadow.add("nobody_knows", key="k")("")
    with place.working(*BRIEF) as worker:
        wait_for(lambda: "It is parked since 20" in why()[1], "it is parked")
        reasons, said = why()
        assert reasons == ["unknown_function"]
        assert "No living worker knows the function 'nobody_knows': 1 worker lives. It is parked since 20" in said
        worker.kill()
        assert "No living worker knows the function 'nobody_knows': 0 workers live. It is parked since 20" in (
            wait_for_reasons("unknown_function", "no_worker")
        )


def test_a_priority_that_nobody_serves_says_how_to_start_who_does(shadow: Shadow, place: Place) -> None:
    shadow.add("holds", key="k", priority="low")(place.file)
    with place.working("--priorities", "high,normal"):
        said = wait_for_reasons("unserved_priority")
        assert "No living worker that knows the function 'holds' serves the priority 'low': 1 worker lives." in said


def test_what_is_paused_says_how_to_resume_it(shadow: Shadow, place: Place) -> None:
    output_of("pause", "holds")
    shadow.add("holds", key="k")("")
    assert why()[0] == ["paused", "no_worker"]
    with place.working():
        said = wait_for_reasons("paused")
        wait_for(lambda: shadow.snapshot().paused_count, "it is set aside")
        assert "The function 'holds' is paused: `shadows resume holds` lets it run again. It waits since 20" in said
        output_of("pause")
        assert "All functions are paused: `shadows resume` lets them run again." in why()[1]


def test_what_is_struck_says_by_which_strike(shadow: Shadow) -> None:
    shadow.add("holds", key="k")(file="a")
    output_of("strike", "holds", "file", "==", "b")
    assert why()[0] == ["no_worker"]
    output_of("strike", "holds", "file", "==", "a")
    reasons, said = why()
    assert reasons == ["no_worker", "struck"]
    assert "It is struck (holds where file == 'a'): the worker that takes it cancels it." in said
    output_of("restore", "holds", "file", "==", "a")
    output_of("restore", "holds", "file", "==", "b")


def test_when_all_slots_are_busy_it_counts_who_waits_before_it(shadow: Shadow, place: Place) -> None:
    for key in ("one", "two", *(f"k{n}" for n in range(250)), "k", "behind"):
        shadow.add("holds", key=key)(place.file)
    with place.working("--concurrency", "2"):
        said = wait_for_reasons("busy")
        assert "All slots are busy: 1 worker lives, slots taken: 2 of 2. 250 executions wait before it." in said
        assert "0 executions wait before it." in why("k0")[1]
        assert "1 execution waits before it." in why("k1")[1]


def test_with_a_slot_free_it_begins_in_a_moment(shadow: Shadow, place: Place) -> None:
    """The worker is held up: its lease still holds, and of two only one can have been pushed to it."""
    with place.working() as worker:
        worker.pause()
        for key in ("pushed", "k"):
            shadow.add("holds", key=key)(place.file)
        reasons, said = why()
        worker.resume()
    assert reasons == ["soon"]
    assert "It begins in a moment: 1 worker lives, " in said


def test_at_a_gate_it_names_the_limit_and_who_has_the_places(shadow: Shadow, place: Place) -> None:
    with place.working():
        for key in ("runs", "first", "k"):
            shadow.add("alone", key=key)(place.file)
            wait_for(lambda: why(key)[0] in (["running"], ["gate"]), f"{key} was looked at")  # noqa: B023
        said = wait_for_reasons("gate")
        (seen,) = [json.loads(output_of("why", "k", "--json"))["gate"]]
    assert (
        "It waits at the limit 'alone', which lets 1 execution run at a time; of 2 that wait there, 1 waits before"
        in said
    )
    assert "The places are held by 'runs' on worker anna." in said
    assert seen["holders"] == [{"key": "runs", "worker": "anna"}]


def test_a_suspect_waits_to_run_alone(shadow: Shadow, place: Place) -> None:
    shadow.add("kills", key="k")()
    for _ in range(2):
        with place.working(*BRIEF) as worker:
            assert worker.wait() == -signal.SIGKILL
    shadow.add("holds", key="other")(place.file)
    with place.working(*BRIEF):
        said = wait_for_reasons("suspect")
    assert "It was running at 2 deaths of the process that ran it, and was lost beside others 0 times" in said


def test_what_runs_says_where_since_when_and_how_far_it_is(shadow: Shadow, place: Place) -> None:
    shadow.add("holds", key="k")(place.file)
    with place.working() as worker:
        wait_for(lambda: "2 of 3" in why()[1], "it says how far it is")
        reasons, said = why()
        assert reasons == ["running"]
        assert "It runs on worker anna (host " in said
        assert f"pid {worker.pid}) since 20" in said
        assert r"at attempt 1. It says that it is at 2 of 3: coun\nting. The last beat of its worker was at 20" in said
        assert "handed to a worker before" not in said


def test_what_its_dead_worker_held_says_that_it_runs_again(shadow: Shadow, place: Place) -> None:
    shadow.add("holds", key="k")(place.file)
    with place.working(*BRIEF) as worker:
        wait_for_reasons("running")
        worker.kill()
        said = wait_for_reasons("lost_worker", "no_worker")
    assert "and its lease has ended: it is taken for dead" in said
    with place.working(*BRIEF):
        assert "It was handed to a worker before" in wait_for_reasons("running")


@pytest.mark.parametrize("key", ['it\'s "quoted"', "two\nlines", "a\0b", "\x1b[31mred", "", "schlüssel"])
def test_a_key_can_neither_break_the_lines_nor_command_the_terminal(shadow: Shadow, key: str) -> None:
    """Neither the key that is asked for, nor those of others that it names."""
    shadow.add("ho\nlds", key=key)("")
    said = output_of("why", key)
    assert said.startswith(rf"ho\nlds with key {key!r} in ")
    assert len(said.splitlines()) == 2
    assert all(line.isprintable() for line in said.splitlines())
    assert json.loads(output_of("why", key, "--json"))["key"] == key
    unknown = run("why", f"{key}?")
    assert all(line.isprintable() for line in unknown.stderr.splitlines())


def everything(shadow: Shadow) -> dict[bytes, Any]:
    """All that Redis has of the shadow; a hash may give its fields in another order each time."""
    with Redis.from_url(shadow.url) as redis:
        names = redis.keys(f"{{{shadow.name}}}*")
        return {name: redis.hgetall(name) if redis.type(name) == b"hash" else redis.dump(name) for name in names}


def test_asking_changes_nothing(shadow: Shadow, place: Place) -> None:
    output_of("pause", "seldom")
    for key in ("runs", "first", "k"):
        shadow.add("alone", key=key)(place.file)
    with place.working() as worker:
        shadow.add("seldom", key="paused")()
        shadow.add("unknown", key="parked")()
        wait_for_reasons("gate")
        worker.kill()
    shadow.add("alone", key="queued")(place.file)
    shadow.add("alone", when=timedelta(hours=1), key="later")(place.file)
    before = everything(shadow)
    for key in ("runs", "k", "paused", "parked", "queued", "later"):
        why(key)
    assert run("why", "nothing").exit_code == 1
    assert everything(shadow) == before

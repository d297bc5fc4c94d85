"""`shadows watch`: following one execution from a terminal, to its end."""

import json
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shadows.execution import Execution, ProgressEvent
from shadows.following import state_event
from shadows.sync import Shadow
from shadows.testing import RedisServer
from shadowsd.commands.watch import is_news, show_event
from tests.commands.commands import Command, Worker, output_of, run, task_file

WATCHED = """
from shadows import Progress, Retry
from pathlib import Path
import asyncio


async def counts(file: str, progress: Progress = Progress()) -> None:
    await progress.set_total(3)
    await progress.increment(2)
    await progress.set_message("coun\\nting")
    while not Path(file).exists():
        await asyncio.sleep(0.005)


async def fails(retry: Retry = Retry(attempts=2)) -> None:
    raise ValueError("no\\nluck")


collection = [counts, fails]
"""
HOSTILE = ['it\'s "quoted"', "two\nlines", "a\0b", "\x1b[31mred", "", "schlüssel"]


def watching(*arguments: str) -> Command:
    return Command("shadowsd.commands.shadows", "watch", *arguments)


def cells(output: str) -> list[list[str]]:
    """The cells of each line, without its time."""
    return [line.split("\t")[1:] for line in output.splitlines()]


@pytest.fixture
def tasks(tmp_path: Path) -> list[str | Path]:
    return ["--tasks", f"{task_file(tmp_path, WATCHED, 'watched')}:collection", "--app-dir", tmp_path]


def test_each_change_is_a_line_and_the_end_ends_it(shadow: Shadow, tasks: list[str | Path], tmp_path: Path) -> None:
    shadow.add("counts", key="k")(str(tmp_path / "go"))
    with watching("k") as watch:
        watch.says("queued")
        with Worker(*tasks, "--name", "anna"):
            watch.says("2/3 coun")
            (tmp_path / "go").touch()
            assert watch.wait() == 0
    first, *middle, last = cells(watch.output)
    assert first == ["queued", "-", "attempt 1"]
    assert last == ["completed", "anna", "attempt 1"]
    assert ["running", "anna", "attempt 1"] in middle
    assert ["progress", r"2/3 coun\nting"] in middle


def test_what_fails_is_followed_through_its_retries_and_ends_it_with_1(shadow: Shadow, tasks: list[str | Path]) -> None:
    shadow.add("fails", key="k")()
    with watching("k") as watch, Worker(*tasks, "--name", "anna"):
        assert watch.wait() == 1
    assert cells(watch.output)[-1] == ["failed", "anna", "attempt 2", r"ValueError: no\nluck"]


def test_a_cancel_ends_it_with_1(shadow: Shadow) -> None:
    shadow.add("greet", when=timedelta(hours=1), key="k")("Jane")
    with watching("k") as watch:
        watch.says("due in ")
        shadow.cancel("k")
        assert watch.wait() == 1
    scheduled, cancelled = cells(watch.output)
    assert scheduled[:3] == ["scheduled", "-", "attempt 1"]
    assert cancelled == ["cancelled", "-", "attempt 1", "cancelled"]


def test_json_is_one_object_a_line(shadow: Shadow, tasks: list[str | Path]) -> None:
    """A program reads it as it comes."""
    shadow.add("fails", key="k")()
    with Worker(*tasks, "--until-finished") as worker:
        assert worker.wait() == 0
    result = run("watch", "k", "--json")
    assert result.exit_code == 1
    progress, ended = map(json.loads, result.stdout.splitlines())
    assert (progress["type"], progress["key"]) == ("progress", "k")
    assert (ended["state"], ended["attempt"], ended["error"]) == ("failed", 2, "ValueError: no\nluck")
    assert ended["at"] >= ended["completed_at"]


@pytest.mark.parametrize("key", HOSTILE)
def test_a_key_can_neither_break_the_lines_nor_command_the_terminal(shadow: Shadow, key: str) -> None:
    shadow.add("greet", key=key)("Jane")
    shadow.cancel(key)
    assert [json.loads(line)["key"] for line in run("watch", key, "--json").stdout.splitlines()] == [key] * 2
    assert len(run("watch", key).stdout.splitlines()) == 1
    unknown = run("watch", key + "?")
    assert unknown.stderr.removesuffix("\n").isprintable()


def test_a_key_of_which_nothing_is_kept_fails_and_says_where_to_look(shadow: Shadow) -> None:
    result = run("watch", "k")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: Nothing is kept of 'k' in {shadow.name} at {shadow.url}: ")
    assert "`shadows snapshot` lists what is there" in result.stderr


def test_an_interrupt_ends_it_in_silence(shadow: Shadow) -> None:
    shadow.add("greet", key="k")("Jane")
    with watching("k") as watch:
        watch.says("queued")
        watch.signal(signal.SIGINT)
        assert watch.wait() == 130
    assert cells(watch.output) == [["queued", "-", "attempt 1"]]


def test_it_goes_on_after_a_short_outage_and_ends_with_a_sentence_after_a_long_one(
    durable_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHADOWS_URL", durable_redis.url)
    with Shadow() as shadow:
        shadow.add("greet", when=timedelta(hours=1), key="k")("Jane")
        with watching("k") as watch:
            watch.says("scheduled")
            durable_redis.stop()
            durable_redis.start()
            shadow.cancel("k")
            assert watch.wait() == 1
    assert cells(watch.output)[-1][-1] == "cancelled"
    with Shadow() as shadow:
        shadow.add("greet", when=timedelta(hours=1), key="again")("Jane")
    with watching("again") as watch:
        watch.says("scheduled")
        durable_redis.stop()
        assert watch.wait(20) == 1
    assert watch.output.splitlines()[-1].startswith(f"Error: Redis at {durable_redis.url} could not be reached")


def test_at_a_terminal_the_cells_stand_below_each_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    now = datetime(2031, 5, 1, 12, tzinfo=UTC)
    execution = Execution(None, None, "f", (), {}, "k", when=now)  # type: ignore[arg-type] # it is not asked
    progress = ProgressEvent(type="progress", key="k", current=2, total=None, message=None)
    show_event(execution, progress, now)
    show_event(execution, state_event(execution), now)
    told, state = capsys.readouterr().out.splitlines()
    assert told[12:] == "  progress     2"
    assert state[12:] == "  queued       -  attempt 1"


def test_progress_that_says_nothing_is_no_news() -> None:
    progress = ProgressEvent(type="progress", key="k", current=0, total=None, message=None)
    assert not is_news(progress)
    for said in ({"current": 1}, {"total": 1}, {"message": "begins"}):
        assert is_news(ProgressEvent(**{**progress, **said}))  # type: ignore[typeddict-item] # of one kind each


def test_it_shows_what_it_can_of_an_execution_that_has_ended(shadow: Shadow) -> None:
    shadow.register_collection("shadows.tasks")
    shadow.add("trace", key="k")("fine")
    with Worker("--tasks", "shadows.tasks", "--until-finished", "--name", "anna") as worker:
        assert worker.wait() == 0
    assert cells(output_of("watch", "k")) == [["completed", "anna", "attempt 1"]]

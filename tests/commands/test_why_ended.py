"""`shadows why`: how an execution has ended, and what nothing is known of."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis

from shadows.sync import Shadow
from tests.commands.commands import Worker, output_of, run, task_file
from tests.waiting import wait_for

TASKS = """
from shadows import Retry


async def works() -> None: ...


async def fails(words: str) -> None:
    raise ValueError(words)


async def persists(retry: Retry = Retry(attempts=2)) -> None:
    raise ValueError("no luck")


collection = [works, fails, persists]
"""


@pytest.fixture
def options(tmp_path: Path) -> list[str | Path]:
    return ["--tasks", f"{task_file(tmp_path, TASKS, 'ends')}:collection", "--app-dir", tmp_path, "--name", "anna"]


def finish(options: list[str | Path]) -> None:
    """Runs what waits."""
    with Worker(*options, "--until-finished") as worker:
        assert worker.wait() == 0, worker.output


def why(key: str = "k") -> tuple[list[str], str]:
    """The reasons, as data, and all that is said after the head."""
    return json.loads(output_of("why", key, "--json"))["reasons"], output_of("why", key).partition("\n")[2]


def quarantined_id() -> str:
    (entry,) = json.loads(output_of("quarantine", "ls", "--json"))
    id: str = entry["id"]
    return id


def forget(shadow: Shadow, key: str) -> None:
    """As when its execution_ttl is over."""
    with Redis.from_url(shadow.url) as redis:
        assert redis.delete(f"{{{shadow.name}}}:task:{key}") == 1


def test_what_completed_says_where_and_how_long_it_took(shadow: Shadow, options: list[str | Path]) -> None:
    shadow.add("works", key="k")()
    finish(options)
    reasons, said = why()
    assert reasons == ["completed"]
    assert said.startswith("It completed at 20")
    assert " on worker anna, at attempt 1 after " in said


def test_what_failed_says_its_error(shadow: Shadow, options: list[str | Path]) -> None:
    shadow.add("fails", key="k")("no\nluck.")
    finish(options)
    reasons, said = why()
    assert reasons == ["failed"]
    assert r"on worker anna, at attempt 1 after " in said
    assert r": ValueError: no\nluck. Nothing of it is kept in the quarantine: add it again when the cause" in said


def test_what_used_up_its_retries_says_where_it_is_kept(shadow: Shadow, options: list[str | Path]) -> None:
    for key in ("other", "k", "another"):
        shadow.add("persists", key=key)()
    finish(options)
    kept = {entry["key"]: entry["id"] for entry in json.loads(output_of("quarantine", "ls", "--json"))}
    reasons, said = why()
    assert reasons == ["failed"]
    assert ", at attempt 2 after " in said
    assert f"ValueError: no luck. It is kept in the quarantine. `shadows quarantine show {kept['k']}` shows" in said
    output_of("quarantine", "drop", kept["k"])
    assert "Nothing of it is kept in the quarantine" in why()[1]


def test_what_was_cancelled_says_how(shadow: Shadow, options: list[str | Path]) -> None:
    shadow.add("works", key="k")()
    shadow.cancel("k")
    assert why()[1].endswith(": somebody cancelled it, as by `shadows cancel`.\n")
    shadow.add("works", key="k")()
    shadow.clear()
    assert why()[0] == ["cancelled"]
    assert why()[1].endswith(": it had not started when the whole shadow was cleared, as by `shadows clear`.\n")
    shadow.add("works", key="k")()
    shadow.strike("works")
    finish(options)
    assert why()[1].endswith(": a strike held it back: `shadows restore` lifts one.\n")
    shadow.restore("works")


def test_what_took_the_place_of_another_says_so(shadow: Shadow) -> None:
    shadow.add("works", when=timedelta(hours=1), key="k")()
    shadow.replace("works", timedelta(hours=2), "k")()
    reasons, said = why()
    assert reasons == ["when"]
    *_, last = said.splitlines()
    assert last.startswith("The one before it with this key was cancelled at 20")
    assert last.endswith(": another one took its place, by `replace`.")


def quarantine_one(shadow: Shadow, options: list[str | Path]) -> str:
    """An execution whose arguments nobody can read; its id in the quarantine."""
    shadow.add("works", key="k")()
    shadow.ask(lambda inner: damage(inner.keys.stream, shadow.url))
    finish(options)
    return quarantined_id()


async def damage(stream: str, url: str) -> None:
    """Makes an entry one that can't be decoded, in its own place."""
    with Redis.from_url(url) as redis:
        ((id, fields),) = redis.xrange(stream)
        redis.delete(stream)
        redis.xadd(stream, fields | {b"p": b"\x01\x00\xc1"}, id)


def test_what_is_quarantined_says_why_and_what_can_be_done(shadow: Shadow, options: list[str | Path]) -> None:
    id = quarantine_one(shadow, options)
    reasons, said = why()
    assert reasons == ["quarantined"]
    assert said.startswith("It was set aside at 20")
    assert f"`shadows quarantine retry {id}` gives it back to the workers" in said
    forget(shadow, "k")
    for key in ("more", "and more"):
        shadow.add("works", key=key)()
    assert why() == (reasons, said)
    output_of("quarantine", "drop", id)
    assert run("why", "k").exit_code == 1


def test_what_was_dropped_from_the_quarantine_says_so(shadow: Shadow, options: list[str | Path]) -> None:
    output_of("quarantine", "drop", quarantine_one(shadow, options))
    assert "It is not in the quarantine any more: somebody dropped it." in why()[1]


@pytest.mark.parametrize("when", [None, timedelta(hours=1)])
def test_a_record_without_its_execution_says_that_it_will_never_run(shadow: Shadow, when: timedelta | None) -> None:
    shadow.add("works", when=when, key="k")()
    with Redis.from_url(shadow.url) as redis:
        assert redis.delete(*(f"{{{shadow.name}}}:{name}" for name in ("stream", "schedule"))) == 1
    reasons, said = why()
    assert reasons == ["lost"]
    assert "It will never run. Its key is free: add it again." in said


def test_of_what_was_never_added_or_expired_nothing_is_known(shadow: Shadow, options: list[str | Path]) -> None:
    shadow.add("works", key="k")()
    finish(options)
    forget(shadow, "k")
    result = run("why", "k")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Nothing is known of the key 'k' in {shadow.name} at {shadow.url}.\nIt was never")
    as_json = run("why", "k", "--json")
    assert as_json.exit_code == 1
    seen = json.loads(as_json.stdout)
    assert (seen["shadows"], seen["url"], seen["key"]) == (shadow.name, shadow.url, "k")
    assert (seen["reasons"], seen["state"]) == (["nothing_known"], None)


def test_an_expired_record_is_one_that_nothing_is_known_of(shadow: Shadow) -> None:
    with Shadow(shadow.name, execution_ttl=timedelta(milliseconds=1)) as brief:
        brief.add("works", key="k")()
        brief.cancel("k")
    wait_for(lambda: run("why", "k").exit_code == 1, "its record has expired")

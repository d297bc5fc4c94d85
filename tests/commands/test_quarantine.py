"""`shadows quarantine`: seeing what was set aside, and deciding."""

import asyncio
import json

import pytest

from shadows import ExecutionState, Shadow, Worker
from shadows.sync import Shadow as SyncShadow
from tests.commands.commands import output_of, run
from tests.proxy import Proxy


def run_worker(shadow: SyncShadow) -> None:
    """Runs what waits, in a loop of its own."""

    async def work() -> None:
        async with Shadow(shadow.name) as inner, Worker(inner) as worker:
            await worker.run_until_finished()

    asyncio.run(work())


@pytest.fixture
def entry(shadow: SyncShadow) -> str:
    """The id of an entry whose arguments nobody can read."""
    return quarantined(shadow, b"\x01\x00\xc1")


def quarantined(shadow: SyncShadow, payload: bytes | None) -> str:
    """Has a worker set an entry aside, for its id; returns the id that it has there."""
    shadow.add("trace", key="k")("fine")
    stream = shadow.ask(lambda inner: inner.queries.call("XRANGE", inner.keys.stream, "-", "+"))
    ((id, fields),) = stream
    if payload is not None:
        fields[fields.index(b"p") + 1] = payload
    shadow.ask(lambda inner: inner.queries.call("XDEL", inner.keys.stream, id))
    shadow.ask(lambda inner: inner.queries.call("XADD", inner.keys.stream, id.replace(b"-0", b"-1"), *fields))
    shadow.register_collection("shadows.tasks")
    run_worker(shadow)
    (found,) = json.loads(output_of("quarantine", "ls", "--json"))
    assert found["key"] == "k"
    id_text: str = found["id"]
    return id_text


def test_an_empty_one_says_so(shadow: SyncShadow) -> None:
    result = run("quarantine", "ls")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"The quarantine of {shadow.name} is empty.\n"


def test_entries_are_listed_and_shown_with_their_cause(shadow: SyncShadow, entry: str) -> None:
    header, row = output_of("quarantine", "ls").splitlines()
    assert header.split("\t") == ["ID", "Since", "Function", "Key", "Cause"]
    assert row.split("\t")[0] == entry
    shown = output_of("quarantine", "show", entry)
    assert "Function:  trace" in shown
    assert "Arguments: unreadable: " in shown
    assert json.loads(output_of("quarantine", "show", entry, "--json"))["payload"] == "AQDB"


@pytest.mark.parametrize("command", ["show", "retry", "drop"])
def test_what_is_done_to_one_entry_reads_no_other(shadow: SyncShadow, entry: str, proxy: Proxy, command: str) -> None:
    """`show` read the newest ten thousand with all their payloads, gigabytes perhaps, to pick one of them."""
    assert entry in output_of("quarantine", command, entry, "--url", proxy.url)
    assert proxy.commands["XREVRANGE"] == 0
    assert proxy.commands["XRANGE"] <= 1


def test_an_error_that_nobody_can_read_says_so(shadow: SyncShadow) -> None:
    fields = ["k", "k", "f", "trace", "p", b"", "v", "failed", "c", "used up", "t", 3, "e", b"\x01\x00\xc1"]
    id = shadow.ask(lambda inner: inner.queries.call("XADD", inner.keys.quarantine, "*", *fields)).decode()
    assert "unreadable: " in output_of("quarantine", "show", id).partition("Arguments")[2].partition("\n")[2]


def test_arguments_that_can_be_read_are_shown(shadow: SyncShadow) -> None:
    assert "Arguments: 'fine'" in output_of("quarantine", "show", quarantined(shadow, None))


def test_retry_gives_it_back_and_drop_deletes_it(shadow: SyncShadow, entry: str) -> None:
    assert output_of("quarantine", "retry", entry) == f"The entry {entry} waits for a worker again.\n"
    execution = shadow.get_execution("k")
    assert execution is not None
    assert execution.state is ExecutionState.QUEUED
    run_worker(shadow)
    (again,) = json.loads(output_of("quarantine", "ls", "--json"))
    assert output_of("quarantine", "drop", again["id"]) == f"The entry {again['id']} is deleted.\n"
    assert output_of("quarantine", "ls", "--json") == "[]\n"


@pytest.mark.parametrize("command", ["show", "retry", "drop"])
def test_an_unknown_id_fails_and_says_where_the_ids_are(shadow: SyncShadow, command: str) -> None:
    result = run("quarantine", command, "1-1")
    assert result.exit_code == 1
    assert "There is no entry '1-1' in the quarantine. See the ids with `shadows quarantine ls`." in result.stderr

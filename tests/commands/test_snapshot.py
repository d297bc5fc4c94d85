"""`shadows snapshot` and `shadows clear`."""

import json
from datetime import timedelta

import pytest
from redis import Redis

from shadows.sync import Shadow
from shadowsd.commands.depths import Depths
from tests.commands.commands import output_of, run


def test_it_counts_and_lists_what_waits(shadow: Shadow) -> None:
    shadow.add("greet", key="one")("Jane")
    shadow.add("greet", when=timedelta(hours=1), key="two")("John")
    counts, header, *rows = output_of("snapshot").splitlines()
    assert counts.startswith(f"{shadow.name} at {shadow.url}: 1 scheduled, 1 waiting or running, 0 ")
    assert header.split("\t")[:4] == ["State", "Function", "Key", "Due"]
    queued, scheduled = (row.split("\t") for row in rows)
    assert queued[:3] == ["queued", "greet", "one"]
    assert scheduled[:3] == ["scheduled", "greet", "two"]
    assert scheduled[3].startswith(("in 59m5", "in 1h"))


def test_it_tells_how_many_of_them_wait_at_limits(shadow: Shadow) -> None:
    """More workers would not help these."""
    with Redis.from_url(shadow.url) as redis:
        for number in range(3):
            redis.xadd(f"{{{shadow.name}}}:waiting", {"k": f"k{number}", "f": "greet", "p": "", "n": "1"})
    shadow.add("greet")("Jane")
    counts, _, *rows = output_of("snapshot").splitlines()
    assert "0 scheduled, 4 waiting or running (3 of them waiting at limits), 0 " in counts
    assert [row.split("\t")[0] for row in rows] == ["queued"] * 4
    with Depths(shadow.name, shadow.url, shadow.url) as depths:
        assert depths.line.startswith("In Redis: 4 waiting (3 at limits), 0 scheduled")


def test_an_empty_shadow_has_no_table(shadow: Shadow) -> None:
    assert len(output_of("snapshot").splitlines()) == 1


def test_limit_cuts_the_list_and_not_the_counts(shadow: Shadow) -> None:
    shadow.add_many(shadow.call("greet")("Jane") for _ in range(5))
    counts, _, *rows = output_of("snapshot", "--limit", "2").splitlines()
    assert "5 waiting or running" in counts
    assert len(rows) == 2


def test_json_has_everything(shadow: Shadow) -> None:
    shadow.add("greet", key="one")("Jane")
    seen = json.loads(output_of("snapshot", "--json"))
    assert (seen["shadows"], seen["ready_count"], seen["queued"][0]["key"]) == (shadow.name, 1, "one")


def test_a_key_can_neither_break_the_lines_nor_command_the_terminal(shadow: Shadow) -> None:
    """Keys are users' data, and this is an operator's terminal."""
    shadow.add("greet", key="a\nb\x1b[31m[red]\tc")("Jane")
    row = output_of("snapshot").splitlines()[-1]
    assert row.split("\t")[2] == r"a\nb\x1b[31m[red]\tc"


def test_clear_says_how_much_it_removed(shadow: Shadow) -> None:
    shadow.add("greet")("Jane")
    assert output_of("clear") == f"Removed 1 execution from {shadow.name}.\n"
    assert output_of("clear") == f"Removed 0 executions from {shadow.name}.\n"


@pytest.mark.parametrize("command", [["snapshot"], ["clear"], ["workers", "ls"], ["tasks", "trace", "x"]])
def test_without_redis_a_command_fails_with_one_sentence(command: list[str]) -> None:
    result = run(*command, "--url", "redis://:geheim@127.0.0.1:1/0")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: Redis at redis://:***@127.0.0.1:1/0 could not be reached within 5 s: ")
    assert result.stderr.count("\n") == result.stderr.count("could not be reached") == 1


def test_what_redis_itself_refuses_is_an_error_in_one_sentence(shadow: Shadow) -> None:
    """Somebody else's data under one of our names."""
    shadow.ask(lambda inner: inner.queries.call("SET", inner.keys.schedule, "mine"))
    result = run("snapshot")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: Redis answered: ")
    shadow.ask(lambda inner: inner.queries.call("DEL", inner.keys.schedule))

"""What the doctor says of a Redis, by what the server says of itself."""

from pathlib import Path
from typing import Any

import pytest

from shadows import Shadow
from shadowsd.commands.doctor.finding import Level
from shadowsd.commands.doctor.server import Seen, findings, look
from shadowsd.master.assignment import Client
from shadowsd.master.settings import Settings

SETTINGS = Settings(shadow="orders", name="node", app_dir="/", control=Path("/c"), client=Client("orders"), workers=4)
GOOD: dict[str, Any] = {
    "redis_version": "7.0.15", "role": "master", "maxmemory_policy": "noeviction", "maxmemory": 1 << 30,
    "used_memory": 1 << 20, "aof_enabled": 1, "aof_last_write_status": "ok", "rdb_last_bgsave_status": "ok",
    "maxclients": 10_000, "connected_clients": 3,
}  # fmt: skip


def levels(seen: Seen) -> dict[str, Level]:
    return {finding.check: finding.level for finding in findings(seen, "redis://host", SETTINGS)}


def test_a_good_server_passes_each_check() -> None:
    assert set(levels(Seen(GOOD, 0.3, 0.01, "")).values()) == {Level.OK}


@pytest.mark.parametrize(
    ("check", "level", "info"),
    [
        ("role", Level.FAIL, {"role": "slave"}),
        ("eviction", Level.FAIL, {"maxmemory_policy": "allkeys-lru"}),
        ("eviction", Level.WARN, {"maxmemory_policy": "volatile-lru"}),
        ("maxmemory", Level.WARN, {"maxmemory": 0}),
        ("maxmemory", Level.WARN, {"maxmemory": 100, "used_memory": 85}),
        ("maxmemory", Level.FAIL, {"maxmemory": 100, "used_memory": 100}),
        ("persistence", Level.WARN, {"aof_enabled": 0}),
        ("persistence", Level.FAIL, {"aof_last_write_status": "err"}),
        ("persistence", Level.FAIL, {"rdb_last_bgsave_status": "err"}),
        ("clients", Level.WARN, {"maxclients": 60}),
    ],
)
def test_what_is_wrong_with_a_server_is_one_finding(check: str, level: Level, info: dict[str, Any]) -> None:
    found = levels(Seen(GOOD | info, 0.3, 0.01, ""))
    assert {name: each for name, each in found.items() if each is not Level.OK} == {check: level}


def test_a_server_far_away_and_a_clock_that_is_off_are_warnings() -> None:
    found = levels(Seen(GOOD, 80.0, -2.5, ""))
    assert (found["redis"], found["clock"]) == (Level.WARN, Level.WARN)


@pytest.mark.parametrize(("saves", "words"), [("", "every task"), ("60 1", "last minutes"), (None, "may not be read")])
def test_without_an_append_only_file_it_says_what_a_restart_costs(saves: str | None, words: str) -> None:
    found = findings(Seen(GOOD | {"aof_enabled": 0}, 0.3, 0.01, saves), "redis://host", SETTINGS)
    assert next(words in finding.words for finding in found if finding.check == "persistence")


async def test_a_real_server_tells_all_of_it(shadows: Shadow) -> None:
    async with shadows.redis() as redis:
        seen = await look(redis)
    assert {*levels(seen)} == {"redis", "role", "eviction", "maxmemory", "persistence", "clock", "clients"}
    assert abs(seen.clock_seconds) < 1
    assert seen.saves is not None

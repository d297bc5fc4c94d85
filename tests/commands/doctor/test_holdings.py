"""What the doctor says of what a shadow holds: dead workers, parked and quarantined entries, suspects, nodes."""

from datetime import UTC, datetime

import pytest

from shadows import Shadow, __version__
from shadows.keys import GROUP
from shadows.snapshot import WorkerInfo
from shadowsd.commands.doctor.finding import Finding, Level
from shadowsd.commands.doctor.holdings import findings, versions
from shadowsd.engine import Worker


async def looked_at(shadows: Shadow) -> dict[str, Finding]:
    return {finding.check: finding async for finding in findings(shadows, None)}


async def test_an_empty_shadow_has_nothing_to_say(shadows: Shadow) -> None:
    assert {finding.level for finding in (await looked_at(shadows)).values()} == {Level.OK}


async def test_entries_of_a_dead_worker_wait_for_the_living_if_there_are_any(shadows: Shadow) -> None:
    keys = shadows.keys
    async with shadows.redis() as redis:
        await redis.xgroup_create(keys.stream, GROUP, "0", mkstream=True)
        await redis.xadd(keys.stream, {"k": "a", "f": "greet", "p": ""})
        await redis.xreadgroup(GROUP, "orders-1#dead", {keys.stream: ">"})
        alone = (await looked_at(shadows))["dead workers"]
        assert (alone.level, alone.words.startswith("Dead workers hold 1 entry: orders-1#dead.")) == (
            Level.FAIL,
            True,
        )
        async with Worker(shadows):
            # It is taken over after a lease, which is much longer than this.
            assert (await looked_at(shadows))["dead workers"].level is Level.WARN


async def test_what_was_set_aside_is_counted_and_named(shadows: Shadow) -> None:
    keys = shadows.keys
    async with shadows.redis() as redis:
        await redis.zadd(keys.unknown, {f"task_{number}": 1 for number in range(7)})
        await redis.xadd(keys.quarantine, {"k": "a", "f": "greet", "p": "", "c": "broken"})
        await redis.xadd(keys.suspects, {"k": "a", "f": "greet", "p": ""})
    found = await looked_at(shadows)
    assert "task_0, task_1, task_2, task_3, task_4 and 2 more;" in found["unknown functions"].words
    assert found["quarantine"].words == "1 entry is in the quarantine: what could not run."
    assert found["suspects"].words.startswith("1 task was in flight at two deaths")
    assert {found[name].level for name in ("unknown functions", "quarantine", "suspects")} == {Level.WARN}


@pytest.mark.parametrize(
    ("releases", "running", "level"),
    [
        ((), None, Level.OK),
        (("0.2.0", "0.2.0"), None, Level.OK),
        (("0.2.0", "0.3.0"), None, Level.WARN),
        ((), "0.1.0", Level.WARN),
        ((), __version__, Level.OK),
    ],
)
def test_releases_that_differ_are_a_warning(releases: tuple[str, ...], running: str | None, level: Level) -> None:
    masters = [WorkerInfo("node", datetime.now(UTC), kind="master", version=release) for release in releases]
    assert versions(masters, running).level is level

"""Redis under a daemon: down, flushed, killed, or cut off from one worker only; no worker is stopped for it."""

import asyncio
from pathlib import Path

import pytest

from shadows.testing import RedisServer
from tests.daemon import Daemon, kill, lives
from tests.faults.conftest import LEASE_SECONDS, brief_shadow
from tests.faults.running import running_daemon
from tests.faults.test_outages import Load
from tests.proxy import Proxy
from tests.recorded import Journal, hold, rest
from tests.waiting import wait_for, wait_until

BEGAN, ENDED = "Redis can't be used now", "Redis can be used again after"


@pytest.mark.slow
@pytest.mark.parametrize(("how", "spawn"), [("stopped", "fork"), ("killed", "exec"), ("paused", "fork")])
async def test_an_outage_longer_than_every_lease_stops_nobody_and_loses_nothing(
    tmp_path: Path, durable_redis: RedisServer, journal: Journal, spawn: str, how: str
) -> None:
    durable_redis.config("appendfsync", "always")
    async with brief_shadow(durable_redis.url) as shadow:
        with Daemon(tmp_path, shadow, spawn=spawn) as daemon:
            daemon.wait_ready()
            before = daemon.serving()
            async with Load(shadow, journal).running() as load:
                await load.grows()
                {"stopped": durable_redis.stop, "killed": durable_redis.kill, "paused": durable_redis.pause}[how]()
                await wait_until(lambda: not daemon.ready, "it says that it can't be counted on")
                await asyncio.sleep(4 * LEASE_SECONDS)
                (durable_redis.resume if how == "paused" else durable_redis.start)()
                await wait_until(lambda: daemon.ready, "it can be counted on again", 20)
                await load.grows()
            await wait_until(lambda: load.accepted <= set(journal.count("end")), "everything is done", 30)
            assert daemon.serving() == before
            assert daemon.logged(BEGAN) == daemon.logged(ENDED) == 1
            assert daemon.logged("is gone") == 0
            assert set(journal.count("start").values()) == set(journal.count("end").values()) == {1}
            assert daemon.stop() == 0


async def test_a_flush_under_it_is_survived(tmp_path: Path, own_redis: RedisServer, journal: Journal) -> None:
    async with brief_shadow(own_redis.url) as shadow:
        with Daemon(tmp_path, shadow) as daemon:
            daemon.wait_ready()
            before = daemon.serving()
            await (await shadow.add(rest, key="k")(str(journal), "k")).get_result(timeout=10)
            own_redis.command("FLUSHALL")
            own_redis.command("SCRIPT", "FLUSH")
            added = await shadow.add(rest, key="again")(str(journal), "again")
            assert await added.get_result(timeout=10) == "again"
            await wait_until(lambda: daemon.ready, "it is ready")
            assert daemon.serving() == before
            assert daemon.stop() == 0


async def test_it_stops_while_redis_is_down(tmp_path: Path, own_redis: RedisServer, journal: Journal) -> None:
    async with brief_shadow(own_redis.url) as shadow:
        with Daemon(tmp_path, shadow, drain_timeout="500ms") as daemon:
            daemon.wait_ready()
            await shadow.add(hold, key="k")(str(journal), "k", "gate")
            await wait_until(lambda: journal.count("start")["k"] == 1, "it runs")
            family = daemon.pids
            own_redis.stop()
            assert daemon.stop(15) == 0
            assert not any(map(lives, family))
            own_redis.start()


async def test_a_death_while_redis_is_down_is_made_good_when_it_is_back(
    tmp_path: Path, durable_redis: RedisServer, journal: Journal
) -> None:
    durable_redis.config("appendfsync", "always")
    async with brief_shadow(durable_redis.url) as shadow:
        with Daemon(tmp_path, shadow, workers="1") as daemon:
            daemon.wait_ready()
            await shadow.add(hold, key="k")(str(journal), "k", "gate")
            await wait_until(lambda: journal.count("start")["k"] == 1, "it runs")
            durable_redis.stop()
            victim = daemon.serving()[1]
            kill(victim)
            await wait_until(lambda: daemon.slots(state="waiting for redis"), "a new worker waits")
            assert not lives(victim)
            durable_redis.start()
            await wait_until(lambda: journal.count("start")["k"] == 2, "it runs again")
            journal.open_gate("gate")
            await wait_until(lambda: journal.count("end")["k"] == 1, "it ends")
            assert journal.count("start") == {"k": 2}
            assert daemon.stop() == 0


@pytest.mark.slow
async def test_a_worker_that_alone_is_cut_off_is_replaced_and_not_killed_while_it_works(
    tmp_path: Path, own_redis: RedisServer, journal: Journal
) -> None:
    """Its task runs twice: what became of the first run can't be written by who is cut off."""
    async with brief_shadow(own_redis.url) as shadow:
        with (
            Proxy(own_redis.url) as proxy,
            running_daemon(tmp_path, shadow, journal, workers="1", url=proxy.url) as daemon,
        ):
            (added,) = await daemon.holds("k")
            cut = daemon.serving()[1]
            proxy.cut_off(cut)
            daemon.wait_logged("has not been heard in Redis for .* it is told to reconnect")
            daemon.wait_logged("is replaced: it is cut off from Redis while the master is not")
            wait_for(lambda: daemon.serving().get(1, cut) != cut, "another serves in its slot")
            await daemon.proves_itself()
            assert lives(cut)
            assert journal.count("start")["k"] == 1  # nobody has taken it: its master renews the lease
            journal.open_gate("gate")
            assert await added.get_result(timeout=20) == "k"
            wait_for(lambda: not lives(cut), "the one that was cut off has ended")
            assert journal.count("start") == journal.count("end") == {"k": 2, "proof": 1}
            assert daemon.logged("is gone") == 0


async def test_a_worker_that_was_cut_off_for_a_while_reconnects_and_keeps_its_task(
    tmp_path: Path, own_redis: RedisServer, journal: Journal
) -> None:
    async with brief_shadow(own_redis.url) as shadow:
        with (
            Proxy(own_redis.url) as proxy,
            running_daemon(tmp_path, shadow, journal, spawn="exec", workers="1", url=proxy.url) as daemon,
        ):
            (added,) = await daemon.holds("k")
            before = daemon.serving()
            proxy.cut_off(before[1])
            daemon.wait_logged("has not been heard in Redis for .* it is told to reconnect")
            proxy.let_in(before[1])
            journal.open_gate("gate")
            assert await added.get_result(timeout=10) == "k"
            await daemon.proves_itself()
            assert daemon.serving() == before
            assert journal.count("start") == {"k": 1, "proof": 1}

"""Is the Redis fit for it: reachable, keeping what it is given, never dropping keys by itself, and on time?"""

from collections.abc import Iterator
from time import monotonic, time
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shadows.amounts import counted
from shadowsd.master.settings import Settings

from .finding import Finding, fail, megabytes, ok, warn

# A due time that a client gives as a moment is off by as much; the library warns from here on, too.
CLOCK_SECONDS = 1.0
# Further away than this, round trips decide how fast a worker is.
FAR_MS = 10.0
FULL = 0.8
# Reader, settler, control, beats, pub/sub, and what tasks open by `CurrentShadow`.
CONNECTIONS_A_WORKER = 8


class Seen(NamedTuple):
    """What the server says of itself. `saves` is its `save` setting, None when it may not be read."""

    info: dict[str, Any]
    trip_ms: float
    clock_seconds: float
    saves: str | None


async def look(redis: Redis) -> Seen:
    """Asks the server; raises RedisError."""
    info = await redis.info()
    began, wall = monotonic(), time()
    seconds, micros = await redis.time()
    trip = monotonic() - began
    try:
        saves = (await redis.config_get("save")).get("save")
    except RedisError:
        saves = None  # an ordinary user may not read settings
    return Seen(info, trip * 1000, seconds + micros / 1e6 - (wall + trip / 2), saves)


def findings(seen: Seen, url: str, settings: Settings) -> Iterator[Finding]:
    """One for each thing that was looked at."""
    yield reached(seen, url)
    yield role(seen)
    yield eviction(seen)
    yield memory(seen)
    yield persistence(seen)
    yield clock(seen)
    yield connections(seen, settings)


def reached(seen: Seen, url: str) -> Finding:
    """That it is there, and how far away."""
    product = "Valkey" if "valkey_version" in seen.info else "Redis"
    version = seen.info.get("valkey_version", seen.info["redis_version"])
    words = f"{product} {version} answers at {url}, {seen.trip_ms:.1f} ms away."
    if seen.trip_ms > FAR_MS:
        return warn("redis", words, "Workers are much faster beside their Redis: in one network, or on one machine.")
    return ok("redis", words)


def role(seen: Seen) -> Finding:
    """A replica takes no writes."""
    if seen.info.get("role") == "slave":
        return fail("role", "This server is a replica: it refuses every add.", "Point SHADOWS_URL at its primary.")
    return ok("role", "It is a primary.")


def eviction(seen: Seen) -> Finding:
    """What it drops when its memory is full."""
    policy = str(seen.info.get("maxmemory_policy", "?"))
    if policy == "noeviction":
        return ok("eviction", "Its maxmemory-policy is noeviction: it drops nothing by itself.")
    remedy = "Set maxmemory-policy noeviction."
    if policy.startswith("allkeys"):
        return fail("eviction", f"Its maxmemory-policy is {policy}: when memory is full, waiting tasks vanish.", remedy)
    return warn(
        "eviction", f"Its maxmemory-policy is {policy}: when memory is full, outcomes and leases vanish, and what runs "
        "is taken for dead.", remedy,
    )  # fmt: skip


def memory(seen: Seen) -> Finding:
    """How near the limit is."""
    used, limit = seen.info["used_memory"], seen.info.get("maxmemory", 0)
    if not limit:
        return warn(
            "maxmemory", f"It has no maxmemory, and uses {megabytes(used)}: when the machine is out of memory, the "
            "kernel kills it.", "Set maxmemory below what the machine has, so that adds are refused before.",
        )  # fmt: skip
    words = f"It uses {megabytes(used)} of {megabytes(limit)}"
    remedy = "Raise maxmemory, or see what fills it: shadows snapshot."
    if used >= limit:
        return fail("maxmemory", f"{words}: it refuses every add now.", remedy)
    if used > FULL * limit:
        return warn("maxmemory", f"{words}: soon it refuses every add.", remedy)
    return ok("maxmemory", f"{words}.")


def persistence(seen: Seen) -> Finding:
    """What a restart of the server costs."""
    broken = [name for name in ("rdb_last_bgsave_status", "aof_last_write_status") if seen.info.get(name) == "err"]
    if broken:
        return fail(
            "persistence", f"Its last write to disk failed ({', '.join(broken)}): soon it refuses every add, and a "
            "restart loses tasks.", "Look into its log: mostly the disk is full.",
        )  # fmt: skip
    if seen.info.get("aof_enabled"):
        return ok("persistence", "It writes an append-only file: a restart loses a second at most.")
    remedy = "Set appendonly yes."
    if seen.saves is None:
        return warn("persistence", "It writes no append-only file, and its save setting may not be read: a restart "
                    "loses what came since its last snapshot, if it makes any.", remedy)  # fmt: skip
    if seen.saves:
        return warn("persistence", "It writes snapshots only: a restart loses the tasks of the last minutes.", remedy)
    return warn("persistence", "It writes nothing to disk: a restart loses every task.", remedy)


def clock(seen: Seen) -> Finding:
    """How far this machine's clock is from the server's."""
    apart = abs(seen.clock_seconds)
    if apart > CLOCK_SECONDS:
        return warn(
            "clock", f"This machine's clock and Redis's are {apart:.1f} s apart: a `when` that is given as a moment "
            "comes by as much too early or too late.", "Synchronise both (chrony, systemd-timesyncd).",
        )  # fmt: skip
    return ok("clock", "This machine's clock and Redis's agree to the second.")


def connections(seen: Seen, settings: Settings) -> Finding:
    """Whether it takes as many connections as the workers of this node open, during a reload twice of them."""
    most, there = seen.info.get("maxclients", 0), seen.info.get("connected_clients", 0)
    needed = 2 * CONNECTIONS_A_WORKER * settings.workers
    if most and there + needed > most:
        return warn(
            "clients", f"It takes {most} connections and has {there}; {counted(settings.workers, 'worker')} may open "
            f"{needed} during a reload.", "Raise maxclients, and the open files that the server may have.",
        )  # fmt: skip
    return ok("clients", f"It takes {most or 'enough'} connections, and has {there}.")

"""Looking at a whole shadow at one moment: what waits, what runs, and who works."""

from datetime import datetime
from typing import Any, NamedTuple

from redis.exceptions import ResponseError

from . import lazy
from .connection import Link
from .keys import GROUP, RECLAIMED, Keys
from .priorities import PRIORITIES
from .records import moment, pairs, text, worker_of
from .scripts import FUNCTIONS
from .states import ExecutionState

# How many records one script looks at.
PAGE = 200


class TaskRow(NamedTuple):
    """One execution in a snapshot; a damaged entry has "?" where something is missing."""

    key: str
    function_name: str
    state: ExecutionState
    when: datetime
    worker: str | None = None
    started_at: datetime | None = None
    deliveries: int = 0


class WorkerInfo(NamedTuple):
    """One worker, as its last beat told. `kind` is "worker", or "child" for one that a master started: then `node`,
    `slot` and `generation` say which. A master has the kind "master", and tells its `version`. `priorities` are those
    that the worker serves."""

    name: str
    last_seen: datetime
    host: str = "?"
    pid: int = 0
    concurrency: int = 0
    running: int = 0
    done: int = 0
    tasks: tuple[str, ...] = ()
    kind: str = "worker"
    node: str = ""
    slot: int = 0
    generation: int = 0
    version: str = ""
    priorities: tuple[str, ...] = tuple(PRIORITIES)


class Snapshot(NamedTuple):
    """What a shadow held at the moment `taken`; the lists are cut at the limit, the counts are whole."""

    taken: datetime
    scheduled_count: int
    ready_count: int
    unknown_count: int
    quarantined_count: int
    scheduled: list[TaskRow]
    queued: list[TaskRow]
    running: list[TaskRow]
    workers: list[WorkerInfo]
    # Of those that are ready: they wait at a limit, and for no worker.
    waiting_at_limits: int
    # Set aside while their functions are paused.
    paused_count: int

    @property
    def total(self) -> int:
        """How many executions are scheduled, waiting, running, parked or paused."""
        return self.scheduled_count + self.ready_count + self.unknown_count + self.paused_count


async def server_now(link: Link) -> float:
    """Redis's clock in ms."""
    seconds, micros = await link.ask("TIME")
    return int(seconds) * 1000 + int(micros) / 1000


async def read_snapshot(link: Link, keys: Keys, limit: int) -> Snapshot:
    """Reads at most `limit` rows of each kind, a page at a time, so that Redis is never held up."""
    now = await server_now(link)
    rows = await scheduled_rows(link, keys, limit)
    held: list[TaskRow] = []
    ready = 0
    for stream in (*keys.streams, keys.waiting):
        ready += await link.ask("XLEN", stream)
        held += await entry_rows(link, stream, limit, now)
    return Snapshot(
        moment(now),
        await link.ask("ZCARD", keys.schedule),
        ready,
        await parked_count(link, keys.unknown, limit),
        await link.ask("XLEN", keys.quarantine),
        rows,
        [row for row in held if row.state is ExecutionState.QUEUED],
        [row for row in held if row.state is ExecutionState.RUNNING],
        await read_workers(link, keys),
        await link.ask("XLEN", keys.waiting),
        await parked_count(link, keys.paused, limit),
    )


async def parked_count(link: Link, index: str, limit: int) -> int:
    """How many entries wait under the names of an index."""
    names = await link.ask("ZRANGE", index, 0, limit - 1)
    return sum([await link.ask("XLEN", index.encode() + b":" + name) for name in names])


async def scheduled_rows(link: Link, keys: Keys, limit: int) -> list[TaskRow]:
    """The next executions of the schedule."""
    flat = await link.ask("ZRANGE", keys.schedule, 0, limit - 1, "WITHSCORES")
    names: list[bytes] = []
    for at in range(0, len(flat), 2 * PAGE):
        page = [keys.task.encode() + key for key in flat[at : at + 2 * PAGE : 2]]
        names += await link.repeat(FUNCTIONS, page, [])
    return [
        TaskRow(text(key), text(name), ExecutionState.SCHEDULED, moment(float(due)))
        for key, due, name in zip(flat[::2], flat[1::2], names, strict=True)
    ]


async def entry_rows(link: Link, stream: str, limit: int, now: float) -> list[TaskRow]:
    """The oldest entries of a stream, with who holds them."""
    holders: dict[bytes, Any] = {}
    entries = await link.ask("XRANGE", stream, "-", "+", "COUNT", limit)
    try:
        groups = await link.ask("XINFO", "GROUPS", stream) if entries else []
        pending = await link.ask("XPENDING", stream, GROUP, "-", "+", limit) if groups else []
    except ResponseError:
        # Its last entry has gone since, and the stream with it.
        return []
    if pending:
        holders = {id: (text(consumer), idle, count) for id, consumer, idle, count in pending}
    return [entry_row(id, fields, holders.get(id), now) for id, fields in entries]


def entry_row(id: bytes, fields: list[bytes], held: tuple[str, float, int] | None, now: float) -> TaskRow:
    """One row; whatever the entry lacks is shown as "?"."""
    values = dict(zip(fields[::2], fields[1::2], strict=False))
    when = moment(int(id.partition(b"-")[0]) / 1000)
    running = held is not None and held[0] != RECLAIMED
    return TaskRow(
        text(values.get(b"k", b"?")),
        text(values.get(b"f", b"?")),
        ExecutionState.RUNNING if running else ExecutionState.QUEUED,
        when,
        worker_of(held[0]) if held and running else None,
        moment(now - held[1]) if held and running else None,
        held[2] if held else 0,
    )


async def read_workers(link: Link, keys: Keys) -> list[WorkerInfo]:
    """The workers whose lease has not ended."""
    alive = await living(link, keys)
    beats = await link.ask("HGETALL", keys.workers)
    functions = pairs(await link.ask("HGETALL", keys.functions))
    rows = []
    for consumer, beat in zip(beats[::2], beats[1::2], strict=True):
        if consumer in alive:
            name = text(consumer)
            rows.append(worker_info(name, beat, functions.get(name, b"\x90")))
    return sorted(rows, key=lambda row: row.name)


async def read_masters(link: Link, keys: Keys) -> tuple[list[WorkerInfo], list[WorkerInfo]]:
    """The masters whose lease has not ended, and those that went without signing off."""
    alive = await living(link, keys)
    rows = await link.ask("HGETALL", keys.nodes)
    there: list[WorkerInfo] = []
    gone: list[WorkerInfo] = []
    for consumer, row in zip(rows[::2], rows[1::2], strict=True):
        name = text(consumer)
        found = worker_info(name, row, b"\x90")._replace(kind="master", node=worker_of(name))
        (there if consumer in alive else gone).append(found)
    return sorted(there), sorted(gone)


async def living(link: Link, keys: Keys) -> set[bytes]:
    """The consumers whose lease has not ended."""
    return {*await link.ask("ZRANGEBYSCORE", keys.leases, await server_now(link), "+inf")}


def worker_info(consumer: str, beat: bytes, functions: bytes) -> WorkerInfo:
    """One worker from its beat; what can't be read of it is left out."""
    said, names = lazy.told().read(beat, functions)
    return WorkerInfo(
        worker_of(consumer), moment(said.at), said.host, said.pid, said.concurrency, said.running, said.done, names,
        said.kind, said.node, said.slot, said.generation, said.version,
        said.priorities,
    )  # fmt: skip


async def read_task_workers(link: Link, keys: Keys, name: str) -> list[WorkerInfo]:
    """The living workers that know the function `name`."""
    return [worker for worker in await read_workers(link, keys) if name in worker.tasks]

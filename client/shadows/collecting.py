"""A `Shadow` without Redis, for tests: what is added to it is checked as always, and kept here."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn, Self

from .adding import Adder
from .connection import Server
from .errors import ShadowsError
from .execution import Execution, ExecutionProgress, TaskCall
from .keys import Keys
from .registry import Registry
from .shadow import Shadow
from .snapshot import Snapshot, TaskRow
from .states import Disposition, ExecutionState
from .submissions import Submission

WAITING = (ExecutionState.SCHEDULED, ExecutionState.QUEUED)


class NoServer(Server):
    """Stands where Redis would be, and says that it is not there."""

    async def connect(self, role: str) -> NoReturn:
        """Always refuses, at once."""
        raise ShadowsError(
            f"A CollectingShadow has no Redis, and was asked for something that only Redis knows ({role}). Test this "
            "with the fixture `shadows`, which has a real one."
        )

    async def client(self) -> NoReturn:
        """Always refuses, at once."""
        await self.connect("client")


class Answers:
    """What the submissions' script would answer; `Adder` asks it in place of Redis."""

    def __init__(self, keys: Keys, kept: dict[str, Execution], server: Server) -> None:
        self.server = server
        self._prefix = keys.task
        self._kept = kept
        self._number = 0

    def put(self, items: Sequence[Submission]) -> asyncio.Future[list[bytes]]:
        """Each is answered by itself, in order."""
        replies: asyncio.Future[list[bytes]] = asyncio.get_running_loop().create_future()
        taken: set[str] = set()
        replies.set_result(
            [self._answer(record.removeprefix(self._prefix), mode, taken) for record, _, _, mode in items]
        )
        return replies

    def _answer(self, key: str, mode: str, taken: set[str]) -> bytes:
        present = self._kept.get(key)
        busy = key in taken or (present is not None and present.state in WAITING)
        if busy and mode.startswith("a"):
            return b"=%d" % (present.submission if present is not None else self._number)
        taken.add(key)
        self._number += 1
        return b"%s%d" % (b"s" if is_later(mode[1:]) else b"q", self._number)


def is_later(due: str) -> bool:
    """Whether a due time, as a submission carries it, is still to come."""
    if due.startswith("+"):
        return int(due) > 0
    return bool(due) and int(due) > datetime.now(UTC).timestamp() * 1000


class CollectingShadow(Shadow):
    """Keeps what is added: `added` has it in order, and the assertions of `shadows.testing` work on it.

    Nothing runs, so a result is never there. `add`, `replace`, their bulk forms, `call`, `cancel`, `clear`,
    `get_execution` and `snapshot` work; whatever else needs Redis raises ShadowsError. Functions are registered with
    this one alone.
    """

    _connects_by = NoServer

    def __init__(self, name: str = "testing") -> None:
        super().__init__(name, "redis://nowhere.invalid")
        self.added: list[Execution] = []
        self.registry = Registry()
        self._kept: dict[str, Execution] = {}
        self.strikelist.version = "0"
        answers: Any = Answers(self.keys, self._kept, self.server)
        self._adder = Collector(self, self.registry, self.codec, self.strikelist, answers, self.keys.task)

    async def __aenter__(self) -> Self:
        """There is nothing to connect."""
        return self

    def keep(self, execution: Execution) -> None:
        """Remembers an execution by its key."""
        if execution.disposition is Disposition.SCHEDULED:
            replaced = self._kept.get(execution.key)
            if replaced is not None and replaced.state in WAITING:
                replaced.state = ExecutionState.CANCELLED
            self.added.append(execution)
            self._kept[execution.key] = execution

    async def cancel(self, key: str) -> bool:
        """Ends what waits under this key."""
        execution = self._kept.get(key)
        if execution is None or execution.state not in WAITING:
            return False
        execution.state = ExecutionState.CANCELLED
        return True

    async def clear(self) -> int:
        """Forgets all that waits; returns how much that was."""
        return sum([await self.cancel(key) for key in tuple(self._kept)])

    async def get_execution(self, key: str) -> Execution | None:
        """What was last added under this key."""
        return self._kept.get(key)

    async def snapshot(self, limit: int = 1000) -> Snapshot:
        """What waits."""
        now = datetime.now(UTC)
        rows = [
            TaskRow(each.key, each.function_name, each.state, each.when or now)
            for each in self._kept.values()
            if each.state in WAITING
        ]
        scheduled = [row for row in rows if row.state is ExecutionState.SCHEDULED]
        queued = [row for row in rows if row.state is ExecutionState.QUEUED]
        return Snapshot(now, len(scheduled), len(queued), 0, 0, scheduled[:limit], queued[:limit], [], [], 0, 0)

    async def refresh(self, execution: Execution) -> None:
        """An execution is always up to date here."""

    async def report_progress(self, execution: Execution, progress: ExecutionProgress) -> None:
        """Keeps how far a run is, as `execution.progress`."""
        execution.progress = progress


class Collector(Adder):
    """Adds as always, and hands what was added to its shadow."""

    def prepare(self, *call: Any) -> Any:
        submit = super().prepare(*call)

        async def keep(*args: Any, **kwargs: Any) -> Execution:
            execution = await submit(*args, **kwargs)
            self._collect([execution])
            return execution

        return keep

    async def many(self, calls: Iterable[TaskCall], chunk_size: int, mode: str) -> list[Execution]:
        executions = await super().many(calls, chunk_size, mode)
        self._collect(executions)
        return executions

    def _collect(self, executions: Iterable[Execution]) -> None:
        shadow: Any = self._shadow
        for execution in executions:
            shadow.keep(execution)

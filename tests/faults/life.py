"""A whole life of a shadow: executions of every behaviour at once, through a fault, and what must be true at the end.

1. `begin` adds them all, and pauses one function; another nobody knows.
2. `is_full` waits until each is where it stays until the gate opens: running, waiting at a limit, held, parked, kept.
3. `end` opens the gate, resumes, makes the unknown function known, lets the years pass, and waits for every end.
4. `check` compares each end with what it should be, and looks for limits that were exceeded, steps that were taken
   twice, and keys that should have gone.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from shadows import Execution, ExecutionCancelled, QuarantinedTask, Shadow
from shadows.errors import ResultNotKept
from shadows.execution import Event
from shadows.priorities import PRIORITIES, Priority
from tests.faults import behaviours
from tests.faults.behaviours import GATE, KNOWN, PER, RATE
from tests.faults.gated import most_at_once, some_wait
from tests.processes import Process
from tests.recorded import Journal, write
from tests.waiting import wait_until

# How many of each task; with the runs that a chain has, for those that take a number.
COUNTS = {
    "limited": 5, "rated": 7, "cooled": 3, "debounced": 3, "stepped": 2, "counted": 1, "ticking": 1, "tried": 2,
    "hopeless": 2, "followed": 2, "pausable": 3, "newcomer": 3, "everything": 3,
}  # fmt: skip
RUNS = {"counted": 3, "ticking": 3, "everything": 2}
LABELS = [f"{kind}{n}" for kind, count in COUNTS.items() for n in range(count)]
MOST = {"limited": 2, "pausable": 1, "newcomer": 1, "everything": 1}
# What may stay for ever; the streams among them are empty.
LASTING = ("generation", "strikes", "quarantine")
WITHOUT_ENTRIES = ("stream", "returned", "suspects", "high", "low")
# One more than all: nobody waits for a slot.
SLOTS = len(LABELS) + 1
END_SECONDS = 20.0


def kind_of(label: str) -> str:
    """Of a label of a second life, or of a replacement, too."""
    return label.removeprefix("again").removeprefix("other").rstrip("0123456789")


def usual_end(label: str) -> str:
    """How its first submission ends when nothing is wrong; of those with a cooldown, the first one that asks."""
    if label in ("cooled1", "cooled2", "debounced0", "debounced1"):
        return "cancelled"
    return "failed" if kind_of(label) == "hopeless" else "completed"


async def end_of(execution: Execution) -> str:
    """In one word, and how it is not if it has none."""
    try:
        await execution.get_result(timeout=END_SECONDS)
    except (ExecutionCancelled, asyncio.CancelledError):
        return "cancelled"
    except QuarantinedTask:
        return "quarantined"
    except ResultNotKept:
        return "gone"
    except TimeoutError:
        return f"{execution.function_name} {execution.key!r} has no end"
    except Exception:
        return "failed"
    return "completed"


class Life:
    """One life; `key_of` tells which key a label has."""

    def __init__(self, shadow: Shadow, journal: Journal, key_of: Callable[[str], str] = str) -> None:
        self.shadow = shadow
        self.journal = journal
        self.key_of = key_of
        self.executions: dict[str, Execution] = {}
        self.events: dict[str, list[Event]] = {}
        self.followers: list[asyncio.Task[None]] = []
        self.left: list[bytes] = []
        # Whether they have different priorities.
        self.mixed = False
        for task in KNOWN:
            shadow.register(task)

    async def begin(self) -> None:
        await self.shadow.pause("pausable")
        for label in LABELS:
            self.executions[label] = await self.submit(label)
            assert self.executions[label].disposition == "scheduled", label
            if kind_of(label) == "followed":
                self.follow(label)

    async def submit(self, label: str, how: str = "add", as_label: str = "") -> Execution:
        kind = kind_of(label)
        arguments = [str(self.journal), as_label or label, *([RUNS[kind]] if kind in RUNS else [])]
        place = getattr(self.shadow, how)
        execution: Execution = await place(kind, None, self.key_of(label), priority=self.priority_of(label))(*arguments)
        return execution

    def priority_of(self, label: str) -> Priority:
        """The first or the last of some counts, so those are alike."""
        if not self.mixed or kind_of(label) in ("cooled", "debounced"):
            return "normal"
        return [*PRIORITIES][(int(label[-1]) + len(label)) % 3]

    def follow(self, label: str) -> None:
        async def follow() -> None:
            async for event in self.executions[label].subscribe():
                self.events[label].append(event)

        self.events[label] = []
        self.followers.append(asyncio.create_task(follow()))

    async def is_full(self) -> None:
        """Each is where it stays until the gate opens."""
        at_once = [label for label in LABELS if kind_of(label) not in ("limited", "pausable", "newcomer", "everything")]
        begun = {label for label in at_once if usual_end(label) != "cancelled" and kind_of(label) != "cooled"}
        await wait_until(lambda: begun <= set(self.journal.count("start")), "all run that may")
        await wait_until(lambda: "cooled" in map(kind_of, self.journal.count("start")), "one is cooling down")
        await some_wait(self.shadow, 5)  # three of `limited`, two of `everything`
        await wait_until(self.is_set_aside, "what can not run is set aside")

    async def is_set_aside(self) -> bool:
        seen = await self.shadow.snapshot()
        return (seen.paused_count, seen.unknown_count, seen.quarantined_count) == (3, 3, 2)

    async def let_go(self) -> None:
        """Opens the gate, resumes, and makes the unknown function known."""
        self.journal.open_gate(GATE)
        await self.shadow.resume("pausable")
        self.shadow.register(behaviours.newcomer)

    async def end(self, *gone: str) -> dict[str, str]:
        """How each ended, when nothing is left to do; the gone are not waited for."""
        await self.let_go()
        waited = [label for label in LABELS if label not in gone]
        async with asyncio.timeout(END_SECONDS + 5):
            ends = await asyncio.gather(*(end_of(self.executions[label]) for label in waited))
        await wait_until(self.is_over, "nothing is left to do", END_SECONDS)
        for follower in self.followers:
            with suppress(ResultNotKept):
                await asyncio.wait_for(follower, 5)
        return {label: await self.last_end(label, end) for label, end in zip(waited, ends, strict=True)}

    async def last_end(self, label: str, end: str) -> str:
        """Of a chain, how its last run ended: only that is kept."""
        last = await self.shadow.get_execution(self.key_of(label)) if kind_of(label) in RUNS else None
        return end if last is None else str(last.state)

    async def is_over(self) -> bool:
        """Whether nothing is left; years pass meanwhile, for the chains that wait for the next."""
        seen = await self.shadow.snapshot()
        if seen.running or seen.ready_count or seen.unknown_count or seen.paused_count:
            return False
        async with self.shadow.redis() as redis:
            for row in seen.scheduled:
                if row.key == self.key_of("ticking0"):
                    await redis.zadd(self.shadow.keys.schedule, {row.key: 1}, xx=True)
            names = [self.shadow.keys.gates, self.shadow.keys.waiting]
            if seen.scheduled_count or await redis.exists(*names):
                return False
        # What moved while the snapshot was taken is not in it.
        found = [await self.shadow.get_execution(self.key_of(label)) for label in LABELS]
        return all(each is None or each.state.finished for each in found)

    def check_ends(self, ends: dict[str, str], **unusual: Iterable[str]) -> None:
        """All as usual, but for the kinds or labels that are named: these may have one of the given ends."""
        ran = [end for label, end in ends.items() if kind_of(label) == "cooled"].count("completed")
        # Which of them asks first is by chance, where there are several workers.
        assert ran == 1 or any(kind_of(each) == "cooled" for each in unusual)
        unusual.setdefault("cooled", ("completed", "cancelled"))
        for label, end in ends.items():
            allowed = unusual.get(label) or unusual.get(kind_of(label)) or [usual_end(label)]
            assert end in allowed, (label, end)

    def kill(self, victim: Process) -> None:
        """What it ran does not run from here on."""
        victim.kill()
        write(str(self.journal), "killed", str(victim.pid))

    def check_limits(self) -> None:
        """None was exceeded, in any moment."""
        for kind, most in MOST.items():
            assert most_at_once(OfKind(self.journal, kind)) <= most, kind
        starts = [at for at, label in self.journal.times("start") if kind_of(label) == "rated"]
        # They are counted when they are allowed, and the way from there is not always as long.
        gaps = [later - earlier for earlier, later in zip(starts, starts[RATE:], strict=False)]
        assert not gaps or min(gaps) > PER.total_seconds() / 2

    def check_runs(self, *labels: str, again: int = 0, taken: int = 1) -> None:
        """Each has run as often as it should. `again`: how many runs more a death may have caused, each of one;
        `taken`: how often a step may have been taken."""
        starts, ends = self.journal.count("start"), self.journal.count("end")
        steps = self.journal.count("step")
        for label in labels or [label for label in LABELS if kind_of(label) != "cooled"]:
            kind = kind_of(label)
            wanted = 0 if usual_end(label) == "cancelled" else self.runs_of(kind)
            assert wanted <= starts[label] <= (wanted + again if wanted else 0), (label, starts[label])
            if kind in RUNS:
                assert ends[label] >= RUNS[kind]
        assert max(steps.values()) <= taken, steps

    @staticmethod
    def runs_of(kind: str) -> int:
        # `stepped`, `everything` and what they wait in all write down that they start.
        attempts = {"tried": 3, "hopeless": 2, "stepped": 4, "everything": 3}
        return RUNS.get(kind, 1) * attempts.get(kind, 1)

    def check_followed(self) -> None:
        """Who followed was told of progress, and of the end."""
        for label, events in self.events.items():
            seen = [str(event["state"]) for event in events if event["type"] == "state"]
            assert seen[-1] == "completed", (label, seen)
            progress = [event["current"] for event in events if event["type"] == "progress"]
            assert progress[-1] == 2, (label, progress)

    def check_followed_ended(self) -> None:
        """Who followed was told how it ended, whatever was done to it."""
        for label, events in self.events.items():
            seen = [str(event["state"]) for event in events if event["type"] == "state"]
            assert seen[-1] in ("completed", "cancelled"), (label, seen)

    async def check_nothing_is_left(self) -> None:
        """No entry, no place, and no key that stays for ever, but for those that should."""
        # The first to look after what waits is the next beat.
        await wait_until(self.has_left_nothing, "nothing of it is left")

    async def has_left_nothing(self) -> bool:
        prefix = self.shadow.keys.prefix
        async with self.shadow.redis() as redis:
            names = [name async for name in redis.scan_iter(prefix.replace("{", "[{]") + "*", count=10_000)]
            self.left = [name for name in names if not await may_stay(redis, name, name.decode().removeprefix(prefix))]
        return not self.left


async def may_stay(redis: Any, name: bytes, word: str) -> bool:
    if word in WITHOUT_ENTRIES:
        pending = sum([group["pending"] for group in await redis.xinfo_groups(name)])
        return not await redis.xlen(name) and not pending
    if word.startswith("gate:c:"):
        return False
    return word in LASTING or await redis.ttl(name) != -1


class OfKind:
    """The part of a journal that is about one kind of task, and deaths."""

    def __init__(self, journal: Journal, kind: str) -> None:
        self._journal = journal
        self._kind = kind

    @property
    def events(self) -> list[tuple[str, str, int]]:
        return [each for each in self._journal.events if each[0] == "killed" or kind_of(each[1]) == self._kind]

    def count(self, word: str) -> Counter[str]:
        return self._journal.count(word)

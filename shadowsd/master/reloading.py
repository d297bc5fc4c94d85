"""One reload at a time; those that are asked for meanwhile are one more, after it."""

import asyncio
import logging
from dataclasses import dataclass

from .world import Reload

logger = logging.getLogger("shadowsd")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a reload went; `traceback` is that of the user's module, if it was that."""

    ok: bool
    words: str
    traceback: str = ""


class Reloading:
    """The reload under way, who waits for it, and whether another is wanted."""

    def __init__(self) -> None:
        self.under_way: Reload | None = None
        self.before = 0
        self.began = 0.0
        self.wanted = False
        self.last: Outcome | None = None
        self._waiting: list[asyncio.Future[Outcome]] = []
        self._waiting_for_next: list[asyncio.Future[Outcome]] = []

    def want(self) -> asyncio.Future[Outcome]:
        """Asks for a reload; the future has its outcome. While one is under way, it is the next one's: code that was
        changed since the first began must be seen."""
        self.wanted = True
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting_for_next.append(future)
        return future

    def begin(self, generation: int, target: int, now: float) -> None:
        """One begins."""
        self.wanted = False
        self.under_way = Reload(generation)
        self.before, self.began = target, now
        self._waiting, self._waiting_for_next = self._waiting_for_next, []

    def promote(self) -> None:
        """Its canary is well."""
        assert self.under_way is not None
        self.under_way = Reload(self.under_way.generation, rolling=True)

    def fail(self, why: str) -> None:
        """Notes what went wrong; the next decision acts on it."""
        if self.under_way is not None and not self.under_way.failure:
            self.under_way = Reload(self.under_way.generation, self.under_way.rolling, why)

    def end(self, outcome: Outcome) -> None:
        """It is over: whoever waits is told."""
        self.under_way = None
        self.last = outcome
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(outcome)

    def abandon(self, outcome: Outcome) -> None:
        """No reload will come any more. Where none was asked for, none has failed."""
        if self.under_way is None and not self.wanted:
            return
        self._waiting += self._waiting_for_next
        self._waiting_for_next = []
        self.wanted = False
        self.end(outcome)

"""Group commit: what is added while one call is in flight goes out together in the next.

The first add goes at once and alone, so nothing waits for a timer; under load a round trip carries up to
200 submissions. Each call has a number, and the server keeps the answer to the last: a call whose reply
was lost is sent again with its number and gets the first answer, whatever happened to the tasks since.
"""

import asyncio
import os
from collections import deque
from collections.abc import Sequence
from time import monotonic

from .connection import CALL_SECONDS, Argument, Link
from .errors import ConnectionFailed, ShadowsError, TooBusy
from .forked import forget_in_copies, leave_to_parent
from .keys import Keys
from .scripts import SUBMIT
from .strikes import Strikes

# What one script may carry (semantics.md 10): more would block the server for too long.
MOST_ITEMS = 200
MOST_BYTES = 1 << 20
# While Redis does not answer, so many submissions may wait; more would fill the memory for nothing.
MOST_WAITING = 10_000
RESEND_SECONDS = 0.05
# A server that has not answered for so long counts as one that does not.
SLOW_SECONDS = 1.0


# One item of a batch, as the script takes it: the record's key, the function, the payload, and the mode: "a"
# to add or "r" to replace, then "h" or "l" for a priority that is not the normal one, then when it is due: nothing for
# now, "<ms>", or "+<ms>" from now.
type Submission = tuple[str, str, bytes, str]
# Submissions that were put together, who waits for them, and the version of the strikes that they were checked with.
type Group = tuple[Sequence[Submission], asyncio.Future[list[bytes]], str]


class StaleStrikes(ShadowsError):
    """The strikes changed since they were read; nothing was written. Read them and submit again."""


class Submissions:
    """The queue of one client, and the one task that sends it."""

    def __init__(self, link: Link, keys: Keys, strikelist: Strikes) -> None:
        self._link = link
        self._keys = keys
        self._strikelist = strikelist
        self.server = link.server
        self._waiting: deque[Group] = deque()
        self._sender: asyncio.Task[None] | None = None
        self._begin()
        forget_in_copies(self)

    def _begin(self) -> None:
        keys = self._keys
        # A lane of its own for each sender: two that shared one would get each other's answers.
        lane = keys.reply(os.urandom(8).hex(), "submit")
        self._heads = [keys.stream, keys.schedule, keys.generation, keys.strikes, lane]
        self._sequence = 0
        self._count = 0
        self._failing = False
        self._sent_at = 0.0

    def forget(self) -> None:
        """In a forked copy: what waits is the parent's to send, and so is the lane."""
        leave_to_parent(self._waiting, self._sender)
        self._waiting, self._sender = deque(), None
        self._begin()

    def put(self, items: Sequence[Submission]) -> asyncio.Future[list[bytes]]:
        """Queues at most 200 submissions; the future gets the script's answers, in order.

        The caller has just compared them with the strikes as they are known now.

        A caller that is cancelled while it waits does not take the submissions back.
        """
        if self._count >= MOST_WAITING and (self._failing or monotonic() - self._sent_at > SLOW_SECONDS):
            raise TooBusy(
                f"{self._count} submissions wait for Redis at {self._link.server.shown_url}, which does not answer; "
                "this one was not queued. Submit again when Redis is back."
            )
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((items, future, self._strikelist.version or "0"))
        self._count += len(items)
        # Cancelled before it began, it never cleared its place.
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send_all(), name="shadows submissions")
        return future

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                groups, items = self._take()
                await self._send_groups(groups, items)
        finally:
            self._sender = None

    async def _send_groups(self, groups: list[Group], items: list[Submission]) -> None:
        try:
            replies = await self._send(items, groups[0][2])
        except Exception as error:
            # Those who queued behind a dead server have waited as long as this batch: none of them hangs.
            behind = list(self._waiting) if isinstance(error, ConnectionFailed) else []
            if behind:
                self._waiting.clear()
                self._count = 0
            for _, future, _ in groups + behind:
                if not future.done():
                    future.set_exception(error)
            return
        at = 0
        for group, future, _ in groups:
            if not future.done():
                future.set_result(replies[at : at + len(group)])
            at += len(group)

    def _take(self) -> tuple[list[Group], list[Submission]]:
        groups, items, size = list[Group](), list[Submission](), 0
        while self._waiting:
            group, _, strikes = self._waiting[0]
            size += sum([len(item[2]) for item in group])
            if items and (len(items) + len(group) > MOST_ITEMS or size > MOST_BYTES or strikes != groups[0][2]):
                break
            groups.append(self._waiting.popleft())
            items.extend(group)
        self._count -= len(items)
        return groups, items

    async def _send(self, items: list[Submission], strikes: str) -> list[bytes]:
        self._sequence += 1
        arguments: list[Argument] = [self._keys.prefix, self._sequence, strikes]
        for _, function, payload, mode in items:
            arguments += (function, payload, mode)
        keys = [*self._heads, *[item[0] for item in items]]
        self._sent_at = monotonic()
        deadline = self._sent_at + CALL_SECONDS
        while True:
            try:
                left = max(deadline - monotonic(), RESEND_SECONDS)
                replies: list[bytes] | bytes = await self._link.run(SUBMIT, keys, arguments, left)
            except ConnectionFailed:
                # Sent or not, run or not: the number makes sending it again harmless.
                self._failing = True
                if monotonic() + RESEND_SECONDS >= deadline:
                    raise
                await asyncio.sleep(RESEND_SECONDS)
                continue
            self._failing = False
            if replies == b"strikes":
                raise StaleStrikes("The strikes changed; read them again.")
            assert isinstance(replies, list)
            return replies

    async def close(self) -> None:
        """Waits until everything that was queued is answered."""
        while self._sender is not None and not self._sender.done():
            await asyncio.gather(self._sender, return_exceptions=True)

"""How much waits in Redis, asked beside whatever shows it: an outage must not stop a display of what runs."""

import threading
from types import TracebackType
from typing import Self

from shadows.errors import ShadowsError
from shadows.settings import url_from_environment
from shadows.snapshot import Snapshot
from shadows.sync import Shadow
from shadows.urls import DEFAULT_URL, redacted

ASK_SECONDS = 1.0
FIRST_SECONDS = 1.0


class Depths:
    """Asks once a second, in a thread. It asks only the Redis that the daemon names as its own: what waits in another
    one would be a wrong answer."""

    def __init__(self, shadow: str, url: str | None, daemons_url: str) -> None:
        self._shadow = shadow
        self._url = url or url_from_environment() or DEFAULT_URL
        self._ended = threading.Event()
        self._asked = threading.Event()
        self._seen: Snapshot | None = None
        self.trouble = ""
        self._thread: threading.Thread | None = None
        if redacted(self._url) != daemons_url:
            self.trouble = f"What waits in {daemons_url} is not shown: pass its --url, or set SHADOWS_URL."
        else:
            self._thread = threading.Thread(target=self._ask_on, name="shadowsd depths", daemon=True)

    def __enter__(self) -> Self:
        if self._thread is not None:
            self._thread.start()
            self._asked.wait(FIRST_SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()

    def _ask_on(self) -> None:
        while not self._ended.is_set():
            try:
                with Shadow(self._shadow, self._url) as shadow:
                    while not self._ended.is_set():
                        self._seen, self.trouble = shadow.snapshot(1), ""
                        self._asked.set()
                        self._ended.wait(ASK_SECONDS)
            except ShadowsError as error:
                self._seen, self.trouble = None, str(error)
                self._asked.set()
                self._ended.wait(ASK_SECONDS)

    @property
    def line(self) -> str:
        """In words; why not, when they are not known."""
        seen = self._seen
        if seen is None:
            return self.trouble or "What waits in Redis is being asked for."
        running = sum(worker.running for worker in seen.workers)
        waiting = max(0, seen.ready_count - running)
        limited = f" ({seen.waiting_at_limits} at limits)" if seen.waiting_at_limits else ""
        return (
            f"In Redis: {waiting} waiting{limited}, {seen.scheduled_count} scheduled, {running} running on all nodes, "
            f"{seen.unknown_count} parked, {seen.quarantined_count} quarantined"
        )

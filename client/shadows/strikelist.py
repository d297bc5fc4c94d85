"""`StrikeList`: the strikes of a shadow on their own, for code that is no task and wants to be held back, too."""

import asyncio
from collections.abc import Callable, Mapping
from logging import getLogger
from types import TracebackType
from typing import Any, Self

from redis.exceptions import ResponseError

from .client import Client
from .errors import ConnectionFailed, ServerRefused, ShadowsError
from .execution import Execution
from .registry import TaskFunction, name_of
from .strikes import checked_strike

logger = getLogger("shadows")


class StrikeList:
    """An async context manager; while it is open it knows every strike, and each change at once.

    ```python
    async with StrikeList("emails") as strikes:
        if strikes.is_stricken({"customer_id": customer_id}):
            return
    ```
    """

    def __init__(self, name: str | None = None, url: str | None = None, *, secret: str | bytes | None = None) -> None:
        """name, url, secret: as a `Shadow` takes them. Raises ConfigurationError when one can't be right."""
        self._client = Client(name, url, secret=secret)
        self._reading: set[asyncio.Task[None]] = set()

    @property
    def name(self) -> str:
        """The shadow whose strikes these are."""
        return self._client.name

    async def __aenter__(self) -> Self:
        """Reads all strikes. Raises ConnectionFailed when Redis can't be reached within 5 s."""
        client = await self._client.__aenter__()
        try:
            await client.subscriptions.add(client.keys.signal, self._hear)
            await client.strikelist.load()
        except BaseException:
            await client.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Closes its connections."""
        for reading in self._reading:
            reading.cancel()
        await self._client.__aexit__(kind, error, traceback)

    def is_stricken(self, what: Execution | Callable[..., Any] | str | Mapping[str, Any]) -> bool:
        """Whether a strike holds it back: an execution with its arguments; a function, or its name, as a whole; or
        arguments by name, whatever they are for. Raises ShadowsError when the list is not open."""
        strikes = self._client.strikelist
        if strikes.version is None:
            raise ShadowsError("The strikes were not read. Write `async with StrikeList(...) as strikes:` around it.")
        if isinstance(what, Execution):
            return strikes.struck(what.function, what.function_name, what.args, what.kwargs) is not None
        if isinstance(what, Mapping):
            return strikes.struck(None, "", (), dict(what)) is not None
        return strikes.struck(None, name_of(what), (), {}) is not None

    async def strike(
        self, function: TaskFunction | str | None = None, parameter: str | None = None,
        operator: str = "==", value: Any = None,
    ) -> None:  # fmt: skip
        """As `Shadow.strike`."""
        await self._client.strikelist.strike(checked_strike(function, parameter, operator, value))

    async def restore(
        self, function: TaskFunction | str | None = None, parameter: str | None = None,
        operator: str = "==", value: Any = None,
    ) -> None:  # fmt: skip
        """As `Shadow.restore`."""
        await self._client.strikelist.restore(checked_strike(function, parameter, operator, value))

    async def wait_for_strikes_loaded(self) -> None:
        """Returns once all strikes of this moment are known; opening the list does this, too."""
        await self._client.strikelist.load()

    def _hear(self, message: bytes | None) -> None:
        """A strike was added or lifted, or messages may have been lost."""
        if message is None or message.startswith(b"strikes "):
            reading = asyncio.get_running_loop().create_task(self._read_again(), name="shadows strikes")
            self._reading.add(reading)
            reading.add_done_callback(self._reading.discard)

    async def _read_again(self) -> None:
        try:
            await self._client.strikelist.load()
        except (ConnectionFailed, ServerRefused, ResponseError) as error:
            logger.warning("Reading the strikes failed, and those of before hold until the next change: %s", error)

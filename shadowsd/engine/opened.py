"""What a run or a shared value opened, and closes again when it ends."""

import logging
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack
from typing import Any

from uncalled_for import Dependency

from shadows.dependencies.kinds import describe

logger = logging.getLogger(__name__)


class Opened(AsyncExitStack):
    """What a run opened, in order; knows the name of whatever fails to close.

    It is an exit stack for the two methods that uncalled-for calls; all others fail, as nothing set them up.
    """

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self.managers: list[AbstractAsyncContextManager[Any] | AbstractContextManager[Any]] = []
        self.closing_error: Exception | None = None

    async def enter_async_context[T](self, cm: AbstractAsyncContextManager[T, Any]) -> T:
        value = await cm.__aenter__()
        # Most dependencies have nothing to close, and inherit the `__aexit__` that does nothing.
        if type(cm).__aexit__ is not Dependency.__aexit__:
            self.managers.append(cm)
        return value

    def enter_context[T](self, cm: AbstractContextManager[T, Any]) -> T:
        value = cm.__enter__()
        self.managers.append(cm)
        return value

    async def close(self, outcome: BaseException | None) -> None:
        """Closes all, last first. Each is told the task's own outcome, whatever another one made of it."""
        interruption: BaseException | None = None
        while self.managers:
            manager = self.managers.pop()
            try:
                await _close(manager, outcome)
            except Exception as error:
                if error is not outcome:
                    self._report(manager, error, outcome)
            except BaseException as error:
                interruption = error
        if interruption is not None:
            raise interruption

    def _report(self, manager: object, error: Exception, outcome: BaseException | None) -> None:
        self.closing_error = self.closing_error or error
        described = _describe_opened(manager)
        logger.error("Closing %s after %s failed; the outcome stays as it was", described, self._owner, exc_info=error)
        if outcome is not None:
            outcome.add_note(f"Then closing {described} failed: {type(error).__name__}: {error}")


async def _close(
    manager: AbstractAsyncContextManager[Any] | AbstractContextManager[Any], outcome: BaseException | None
) -> None:
    told = (type(outcome), outcome, outcome.__traceback__) if outcome is not None else (None, None, None)
    if isinstance(manager, AbstractAsyncContextManager):
        await manager.__aexit__(*told)
    else:
        manager.__exit__(*told)


def _describe_opened(manager: object) -> str:
    """The name of the generator behind a context manager made by contextlib; the class of any other."""
    generator = getattr(manager, "gen", None)
    return getattr(generator, "__qualname__", None) or describe(manager)

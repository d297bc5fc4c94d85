"""Perpetual tasks: each run is followed by the next one under the same key."""

from datetime import UTC, datetime, timedelta
from typing import Any, Self, cast

from uncalled_for import Provider

from shadows.dependencies.context import TaskContext, current
from shadows.dependencies.kinds import CompletionHandler, Outcome, Successor
from shadows.execution import Execution

NOTHING = timedelta(0)


class Perpetual(CompletionHandler, Provider[object]):
    """Runs the task again `every` so often, measured from start to start, whether it succeeds or fails.

    A run that takes longer than `every` is followed by the next one at once; they never overlap. With
    `automatic`, the workers start the task by themselves, so it must not require arguments.

    In the task, `every` may be set, and `perpetuate`, `after`, `at` and `cancel` say what comes next. They count
    for the next run only, `every` too.
    """

    single = True

    def __init__(self, every: timedelta = NOTHING, automatic: bool = False) -> None:
        if every < NOTHING:
            raise ValueError(f"Perpetual(every={every}) goes back in time; pass an interval of 0 or more.")
        self.every = every
        self.automatic = automatic
        self._begin(None)

    async def __aenter__(self) -> Self:
        # A direct call of the function, in a test for example, may have said something to the instance in
        # the signature.
        self._begin(current.get(None))
        return self

    def _begin(self, context: TaskContext | None) -> None:
        self._context = context
        self.cancelled = False
        self._arguments: tuple[tuple[Any, ...], dict[str, Any]] | None = None
        self._time: timedelta | datetime | None = None

    def cancel(self) -> None:
        """Make this run the last one."""
        self.cancelled = True

    def perpetuate(self, *args: Any, **kwargs: Any) -> None:
        """Give the next run these arguments, instead of those of this run.

        ArgumentsError, now, if the task can't be called with them.
        """
        if self._context is not None and self._context.execution is not None:
            execution, shadow = self._context.execution, cast(Any, self._context.shadow)
            task = shadow.registry.get(execution.function_name)
            signature = task.signature if task is not None else None
            shadow.codec.encode_call(signature, execution.function_name, execution.key, args, kwargs)
        self._arguments = args, kwargs

    def after(self, delay: timedelta) -> None:
        """Let the next run begin so long after the end of this one, whatever `every` is."""
        self._time = max(delay, NOTHING)

    def at(self, when: datetime) -> None:
        """Let the next run begin at a moment, whatever `every` is."""
        if when.tzinfo is None:
            raise ValueError(
                f"perpetual.at({when!r}) has no timezone, so the instant is unknown. Pass an aware datetime, "
                f"such as datetime.now(timezone.utc) + timedelta(minutes=5)."
            )
        self._time = when.astimezone(UTC)

    def first(self) -> datetime | None:
        """When the workers that start the task by themselves let it begin; None is at once."""
        return None

    def successor(self, duration: timedelta, due: datetime | None = None) -> Successor:
        """What follows a run that was due then and took `duration`; a struck run is skipped and took none."""
        return Successor(delay=max(NOTHING, self.every - duration))

    def regular(self, duration: timedelta, due: datetime | None, shadow: object) -> Successor:
        """`successor`, by the clock of the shadow: a test may have moved it ahead of the real one."""
        ahead: timedelta = getattr(shadow, "ahead", NOTHING)
        if not ahead:
            return self.successor(duration, due)
        following = self.successor(duration, due + ahead if due is not None else None)
        # In UTC: in its zone Python would count by what the clock on the wall shows, an hour off over a change of it.
        when = following.when.astimezone(UTC) - ahead if following.when is not None else None
        return Successor(following.delay, when, following.args, following.kwargs)

    def on_complete(self, execution: Execution, outcome: Outcome) -> Successor | None:
        if self.cancelled:
            return None
        time = self._time
        if time is None:
            regular = self.regular(outcome.duration, execution.when, execution.shadow)
            delay, when = regular.delay, regular.when
        else:
            delay, when = (time, None) if isinstance(time, timedelta) else (None, time)
        args, kwargs = self._arguments or (None, None)
        return Successor(delay, when, args, kwargs)

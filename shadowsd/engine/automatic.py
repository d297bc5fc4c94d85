"""Starting the perpetual tasks that need nobody to start them."""

from datetime import UTC, datetime, timedelta

from shadows import Shadow, TaskCall

from .inject import Injection


async def seed(shadow: Shadow) -> None:
    """Adds each `Perpetual(automatic=True)` task under its own name, a `Cron` for its next moment.

    One that is scheduled already stays as it is.
    """
    calls = []
    for task in shadow.registry:
        perpetual = Injection(task.function).perpetual
        if perpetual is not None and perpetual.automatic:
            first = perpetual.first()
            if first is not None and shadow.ahead:
                # By the clock of a test that has moved it.
                first = perpetual.regular(timedelta(0), datetime.now(UTC), shadow).when
            calls.append(TaskCall(task.name, (), {}, when=first, key=task.name))
    for execution in await shadow.add_many(calls) if calls else []:
        if execution.schedule_exception is not None:
            raise execution.schedule_exception

"""One call of a task as a run of it would be, without Redis: for tests of the task itself.

Dependencies are entered and closed, and what wraps the call wraps it. Nobody is asked what follows: what the task
raises is raised, and what it says of a next run stays with whoever it said it to.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from shadows.dependencies.context import TaskContext
from shadows.registry import Task

from .inject import Injection
from .shared import SharedScope
from .threads import Threads


async def rehearse(
    worker: Any,
    context: TaskContext,
    task: Task,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    known: Mapping[Any, Any],
) -> Any:
    """The task's result; raises its exception, or the failure of a dependency, also of one that could not be closed."""
    execution = context.execution
    assert execution is not None  # only Shared factories have none
    threads = Threads(1)
    injection = Injection(task.function, worker.around)
    injection.known = known
    try:
        async with SharedScope(context.shadow, context.worker, known) as shared:
            context = msgspec.structs.replace(context, shared=shared)
            resolved = injection.enter(context, args, kwargs)
            async with resolved:
                call = partial(threads.call, task, args, {**kwargs, **resolved.kwargs})
                for runtime in resolved.runtimes:
                    call = partial(runtime.run, execution, call)
                result = await call()
            # As in a worker: a commit that fails when its dependency is closed is a failed task.
            if resolved.closing_error is not None:
                raise resolved.closing_error
            return result
    finally:
        threads.close()

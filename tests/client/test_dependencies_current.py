"""What a task learns about its own run."""

import logging
from typing import Annotated, Any

import pytest

from shadows.dependencies import (
    CurrentExecution,
    CurrentShadow,
    CurrentWorker,
    TaskKey,
    TaskLogger,
    current_execution,
    current_shadow,
    current_worker,
)
from shadows.dependencies.context import TaskContext, current
from shadows.dependencies.current import Current
from shadows.execution import Execution
from tests.runs import context_of, execution_of, run


async def test_a_task_gets_its_shadow_worker_execution_and_key() -> None:
    async def asks(
        shadow: object = CurrentShadow(),
        worker: object = CurrentWorker(),
        execution: Execution = CurrentExecution(),
        key: str = TaskKey(),
    ) -> tuple[Any, ...]:
        return shadow, worker, execution, key

    execution, shadow, worker = execution_of(asks), object(), object()
    assert await run(execution, context_of(execution, shadow, worker)) == (shadow, worker, execution, "a-key")


async def test_an_annotation_declares_as_well_as_a_default() -> None:
    async def asks(key: Annotated[str, TaskKey()]) -> str:
        return key

    assert await run(execution_of(asks)) == "a-key"


async def test_the_tasks_log_lines_carry_key_function_and_attempt(caplog: pytest.LogCaptureFixture) -> None:
    async def speaks(logger: logging.LoggerAdapter[logging.Logger] = TaskLogger()) -> None:
        logger.info("hello %s", "world", extra={"order": 7})

    with caplog.at_level(logging.INFO, logger="shadows.task"):
        await run(execution_of(speaks, attempt=3))
    [record] = caplog.records
    assert record.getMessage() == "hello world"
    assert record.name == "shadows.task.speaks"
    seen = {name: vars(record)[name] for name in ("key", "function", "attempt", "order")}
    assert seen == {"key": "a-key", "function": "speaks", "attempt": 3, "order": 7}


async def test_outside_of_a_worker_the_error_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match=r"TaskKey .* outside of a worker.*pass that parameter"):
        await TaskKey().__aenter__()  # type: ignore[attr-defined]  # typed as what the task gets


async def test_a_shared_factory_has_no_execution() -> None:
    token = current.set(TaskContext(shadow=None, worker=None, execution=None))
    try:
        with pytest.raises(RuntimeError, match=r"TaskKey .* Shared factory"):
            await TaskKey().__aenter__()  # type: ignore[attr-defined]  # typed as what the task gets
    finally:
        current.reset(token)


@pytest.mark.parametrize("asked", [current_execution, current_shadow, current_worker])
def test_outside_of_a_run_a_dependency_of_ones_own_is_told_so(asked: Current[Any]) -> None:
    with pytest.raises(RuntimeError, match=r"current_\w+ was asked for its value outside of a worker"):
        asked.get()

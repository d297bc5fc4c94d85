"""`shadows worker` with a fallback task for what it does not know."""

from pathlib import Path

import pytest

from shadows.sync import Shadow
from tests.commands.commands import Worker, task_file

FALLBACK = """
from shadows import CurrentExecution, Execution


async def known() -> None: ...


async def note(*args, execution: Execution = CurrentExecution(), **kwargs) -> None:
    print(f"{execution.function_name} with {args} and {kwargs}")


NOTHING = 5
"""


def test_a_fallback_task_runs_what_is_not_known(shadow: Shadow, tmp_path: Path) -> None:
    shadow.add("retired")(1, name="x")
    module = task_file(tmp_path, FALLBACK)
    with Worker("--app-dir", tmp_path, "--fallback-task", f"{module}:note", "--until-finished") as worker:
        assert worker.wait() == 0, worker.output
    assert "retired with (1,) and {'name': 'x'}" in worker.output


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        ("{module}:not", 78, "the module {module} has no such function. Did you mean {module}:note?"),
        ("{module}:NOTHING", 78, "{module}:NOTHING: the module {module} has 5 there, which can't be called."),
        ("{module}:known", 78, "fallback_task is known(); expected a function that takes whatever"),
        ("nowhere:note", 78, "--fallback-task nowhere:note: there is no module 'nowhere'"),
        ("{module}", 78, "does not name one function; expected module:function"),
        ("{module}:note {module}:known", 78, "does not name one function; expected module:function"),
    ],
)  # fmt: skip
def test_a_fallback_task_that_can_not_be_one_is_refused(
    shadow: Shadow, tmp_path: Path, path: str, code: int, message: str
) -> None:
    module = task_file(tmp_path, FALLBACK)
    with Worker("--app-dir", tmp_path, "--fallback-task", path.format(module=module)) as worker:
        assert worker.wait() == code, worker.output
    assert message.format(module=module) in " ".join(worker.output.split())

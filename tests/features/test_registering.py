"""Workers run what is registered in their process: one by one, or whole collections."""

import logging
import sys
from pathlib import Path

import pytest

from shadows import Shadow
from shadows.errors import RegistrationError
from tests.processes import write_script

from .workers import finish

MODULE = """
from json import dumps

async def first(): return "first"
async def second(): return "second"
async def _private(): ...
def plain(): return "plain"

some_tasks = [first, plain]
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A module of tasks that only this test has; its name is unique, since imports are remembered."""
    name = f"tasks_of_{abs(hash(request.node.name))}"
    write_script(tmp_path, name, MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


async def test_a_registered_function_can_be_added_by_its_name(shadows: Shadow) -> None:
    """For callers that don't have the function itself."""

    async def greet(name: str) -> str:
        return f"Hello, {name}"

    shadows.register(greet)
    execution = await shadows.add("greet")("Jane")
    await finish(shadows)
    assert await execution.get_result() == "Hello, Jane"


async def test_a_function_may_have_several_names(shadows: Shadow) -> None:
    """After a rename the old entries still run."""

    async def new_name() -> str:
        return "ran"

    shadows.register(new_name, names=["new_name", "old_name"])
    execution = await shadows.add("old_name")()
    await finish(shadows)
    assert await execution.get_result() == "ran"


async def test_two_functions_under_one_name_are_an_error(shadows: Shadow) -> None:
    """One of them would silently run in the other's place."""

    def make() -> object:
        async def job() -> None: ...

        return job

    async def job() -> None: ...

    shadows.register(job)
    with pytest.raises(RegistrationError, match=r"Two functions want the name 'job'.*Register one under another name"):
        shadows.register(make())  # type: ignore[arg-type] # a function all the same


async def test_what_one_shadow_registered_another_of_the_same_name_knows(shadows: Shadow) -> None:
    """A worker may be opened on a `Shadow` of its own."""

    async def job() -> str:
        return "ran"

    execution = await shadows.add(job)()
    async with Shadow(name=shadows.name) as other:
        await finish(other)
        assert other.tasks == {"job": job}
    assert await execution.get_result() == "ran"


async def test_a_collection_is_a_list_in_a_module(shadows: Shadow, module: str) -> None:
    """`--tasks myapp.tasks:some_tasks`; plain functions too."""
    shadows.register_collection(f"{module}:some_tasks")
    assert sorted(shadows.tasks) == ["first", "plain"]


async def test_a_module_alone_gives_its_public_async_functions(
    shadows: Shadow, module: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Plain ones could be anything, so they are left out, and the log says so."""
    with caplog.at_level(logging.INFO, "shadows"):
        shadows.register_collection(module)
    assert sorted(shadows.tasks) == ["first", "second"]
    assert "plain were not registered" in caplog.text


async def test_a_single_function_is_a_collection_of_one(shadows: Shadow, module: str) -> None:
    """`module:function` says what is meant."""
    shadows.register_collection(f"{module}:second")
    assert sorted(shadows.tasks) == ["second"]


async def test_a_wrong_member_is_an_error_with_the_nearest_right_one(shadows: Shadow, module: str) -> None:
    """Most such names are misspelt."""
    with pytest.raises(RegistrationError, match=r"no member 'some_task'.*Did you mean 'some_tasks'"):
        shadows.register_collection(f"{module}:some_task")


async def test_what_is_no_function_is_refused(shadows: Shadow) -> None:
    """The usual slip is to call the task instead of passing it."""
    with pytest.raises(RegistrationError, match="can't be a task: it is a str"):
        shadows.register("greet()")  # type: ignore[arg-type] # the mistake in question

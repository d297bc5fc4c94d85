"""Which functions have which names, and what is refused."""

import functools
import logging
import types
from typing import Any

import pytest

from shadows.errors import RegistrationError
from shadows.registry import Registry, functions_of, name_of, registry_of


async def greet() -> None: ...


def plain() -> None: ...


def module_with(**members: Any) -> types.ModuleType:
    module = types.ModuleType("made_up")
    for name, member in members.items():
        if isinstance(member, types.FunctionType):
            member.__module__ = "made_up"
        setattr(module, name, member)
    return module


def own(is_async: bool) -> Any:
    async def coroutine() -> None: ...

    def function() -> None: ...

    return coroutine if is_async else function


def test_a_function_is_registered_once() -> None:
    """Adding registers too, each time."""
    registry = Registry()
    task = registry.register(greet)
    assert registry.of(greet) is task
    assert registry.register(greet) is task
    assert registry.changes == 1
    assert (registry.names(), "greet" in registry, registry.get("greet")) == (["greet"], True, task)
    assert [each.name for each in registry] == ["greet"]


def test_one_name_may_be_given_as_a_string() -> None:
    """Not as its letters."""
    registry = Registry()
    registry.register(greet, "hello")
    assert registry.names() == ["hello"]


def test_a_function_travels_under_the_first_of_its_names() -> None:
    """The others are for entries that exist already."""
    registry = Registry()
    registry.register(greet, ["new", "old"])
    assert registry.of(greet).name == "new"


def test_the_name_of_a_partial_or_an_object_is_that_of_what_it_calls() -> None:
    """Nested ones too."""

    class Greeter:
        def __call__(self) -> None: ...

    assert name_of(functools.partial(functools.partial(plain))) == "plain"
    assert name_of(Greeter()) == "Greeter"


def test_whether_a_task_is_async_is_seen_through_wrappers() -> None:
    """A decorator that keeps `__wrapped__`, an object with an async `__call__`."""

    class Greeter:
        async def __call__(self) -> None: ...

    @functools.wraps(greet)
    def wrapper() -> Any:
        return greet()

    registry = Registry()
    assert registry.register(wrapper, ["w"]).is_async
    assert registry.register(Greeter(), ["g"]).is_async
    assert not registry.register(plain).is_async


def test_a_definition_that_was_run_again_takes_the_place_of_the_first() -> None:
    """A reloaded module, a notebook's cell: the same place, a newer function."""

    def define() -> Any:
        async def cell() -> None: ...

        return cell

    registry = Registry()
    first, second = define(), define()
    registry.register(first)
    assert registry.register(second).function is second
    assert registry.get("cell").function is second  # type: ignore[union-attr] # it is there


@pytest.mark.parametrize("first", [plain, functools.partial(plain)])
def test_another_function_under_the_same_name_is_refused(first: Any) -> None:
    """A partial of the same function is another task as well."""
    registry = Registry()
    registry.register(first, ["job"])
    with pytest.raises(RegistrationError, match=r"want the name 'job'.*shadows.register\(job, names="):
        registry.register(greet, ["job"])
    if first is not plain:
        with pytest.raises(RegistrationError, match="Two functions"):
            registry.register(functools.partial(plain), ["job"])


def test_what_can_not_be_called_is_refused() -> None:
    """With what it is."""
    with pytest.raises(RegistrationError, match="None can't be a task: it is a NoneType"):
        Registry().register(None)  # type: ignore[arg-type] # the mistake in question


def test_all_shadows_of_a_name_share_a_registry() -> None:
    """And those of another name don't."""
    assert registry_of("a") is registry_of("a")
    assert registry_of("a") is not registry_of("b")


def test_an_unknown_name_is_explained_with_the_nearest_known_one() -> None:
    """And the remedy."""
    registry = Registry()
    assert "Known here: none." in registry.explain_unknown("x")
    registry.register(greet)
    assert registry.explain_unknown("greeet").startswith("Did you mean 'greet'? Known here: greet.")
    assert registry.explain_unknown("xyz").startswith("Known here: greet.")


def test_a_modules_all_decides_what_its_tasks_are() -> None:
    """Plain ones and imported ones too; what is in it and no function is passed over."""
    module = module_with(mine=own(is_async=True), other=own(is_async=False), number=5)
    module.imported = greet  # type: ignore[attr-defined] # made up
    module.__all__ = ["other", "imported", "number", "missing"]  # type: ignore[attr-defined] # made up
    assert functions_of(module) == [module.other, greet]


def test_without_all_a_modules_own_public_async_functions_are_its_tasks(caplog: pytest.LogCaptureFixture) -> None:
    """What was left out is logged, since somebody may miss it."""
    module = module_with(mine=own(is_async=True), _hidden=own(is_async=True), other=own(is_async=False))
    module.imported = greet  # type: ignore[attr-defined] # made up
    with caplog.at_level(logging.INFO, "shadows"):
        assert functions_of(module) == [module.mine]
    assert "Of the module made_up, other were not registered" in caplog.text


def test_a_module_without_tasks_is_an_error() -> None:
    """A worker that runs nothing is a mistake."""
    with pytest.raises(RegistrationError, match="The module made_up has no task"):
        functions_of(module_with(other=own(is_async=False)))


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("tests.client.collections_of_tasks:number", "is a int; expected a list of task functions"),
        ("tests.client.collections_of_tasks:text", "is a str; expected a list"),
        ("tests.client.collections_of_tasks:empty", "is empty; expected at least one"),
        ("tests.client.collections_of_tasks:numbr", "has no member 'numbr'.*Did you mean 'number'"),
        ("tests.client.collections_of_tasks:xyzzy", "expected a list of task functions. Write xyzzy = .first_task"),
    ],
)
def test_a_collection_that_is_none_is_refused(member: str, message: str) -> None:
    """With what stands there instead."""
    with pytest.raises(RegistrationError, match=message):
        Registry().register_collection(member)


def test_collections_are_registered() -> None:
    """A list, a function, and a module."""
    registry = Registry()
    registry.register_collection("tests.client.collections_of_tasks:tasks")
    assert registry.names() == ["first", "second"]
    registry = Registry()
    registry.register_collection("tests.client.collections_of_tasks:first")
    assert registry.names() == ["first"]
    registry = Registry()
    registry.register_collection("tests.client.collections_of_tasks")
    assert registry.names() == ["first"]


def test_a_module_that_is_not_there_is_pythons_own_error() -> None:
    """It names the module."""
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        Registry().register_collection("no_such_module:tasks")

"""Plain factories, planned ahead: what a factory needs and whether it is a coroutine function is found once for each
task, and not at each run. uncalled-for's own `Depends` finds it at each run, which costs as much again.

What it comes to is the same: `tests/engine/test_inject.py` compares the two.
"""

import inspect
from collections.abc import Mapping
from typing import Any, override

from uncalled_for import Dependency, get_dependency_parameters
from uncalled_for.functional import _Depends as DependsDependency


class Factory(Dependency[Any]):
    """A `Depends` without bindings, as a run enters it."""

    def __init__(self, depends: DependsDependency[Any]) -> None:
        self._depends = depends
        self._factory = depends.factory
        self._is_coroutine = inspect.iscoroutinefunction(depends.factory)
        # Found at the first run: what is wrong with a factory fails that run, and no worker.
        self._needed: list[tuple[str, Dependency[Any]]] | None = None

    @override
    def for_parameter(self, name: str) -> "Factory":
        return self

    @override
    async def __aenter__(self) -> Any:
        cache = DependsDependency.cache.get()
        if self._factory in cache:
            return cache[self._factory]
        opened = DependsDependency.stack.get()
        if self._needed is None:
            self._needed = [*planned(get_dependency_parameters(self._factory)).items()]
        arguments: dict[str, Any] = {}
        for name, needed in self._needed:
            if type(needed) is Factory:
                arguments[name] = await needed.__aenter__()  # has nothing to close
            else:
                arguments[name] = await opened.enter_async_context(needed.for_parameter(name))
        raw: Any = self._factory(**arguments)
        if self._is_coroutine:
            value = await raw
        else:
            value = await self._depends._resolve_factory_value(opened, raw)  # noqa: SLF001 # enters context managers
        cache[self._factory] = value
        return value


def planned(parameters: Mapping[str, Dependency[Any]]) -> dict[str, Dependency[Any]]:
    """The same dependencies, with the plain factories among them planned."""
    return {
        name: Factory(each) if type(each) is DependsDependency and not each.bindings else each
        for name, each in parameters.items()
    }

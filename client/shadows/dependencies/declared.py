"""Which dependencies a function declares in its annotations, read parameter by parameter.

uncalled-for reads them as a whole, where one name that only type checkers know hides all of them. It keeps what it
read: so what is read here is put in its place, and holds for whoever asks it afterwards.
"""

from collections.abc import Callable
from typing import Any

from uncalled_for import Dependency, get_signature

# Private: there is no public way to tell the library what a function declares. pyproject.toml pins the minor release.
from uncalled_for.annotations import _annotation_cache, _metadata_cache
from uncalled_for.introspection import _parameter_cache

from shadows.codec.hints import function_scope


def read_annotations(function: Callable[..., Any]) -> None:
    """Has uncalled-for know the `Annotated` dependencies of `function`; ValueError if it tells no signature."""
    scope = function_scope(function, "")
    found: dict[str, list[Dependency[object]]] = {}
    for parameter in get_signature(function).parameters.values():
        dependencies = [_made(item) for item in scope.metadata_of(parameter.annotation) if _is_dependency(item)]
        if dependencies:
            found[parameter.name] = dependencies
    _metadata_cache[function] = found
    # They were made from the former.
    _annotation_cache.pop(function, None)
    _parameter_cache.pop(function, None)


def _is_dependency(item: object) -> bool:
    kind = item if isinstance(item, type) else type(item)
    return issubclass(kind, Dependency)


def _made(item: Any) -> Dependency[object]:
    """`Annotated[int, Traced]` is short for `Annotated[int, Traced()]`."""
    made: Dependency[object] = item() if isinstance(item, type) else item
    return made

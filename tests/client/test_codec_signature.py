"""A signature binds calls as Python does, and knows which parameters are injected or logged."""

import functools
import logging
import math
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any

import pytest
from uncalled_for import Dependency, Depends
from uncalled_for.base import Provided

from shadows.annotations import Logged
from shadows.codec import signature as signature_module
from shadows.codec.codec import Codec
from shadows.codec.signature import TaskSignature
from shadows.errors import ArgumentsError, PayloadError
from tests.client.roundtrips import called


class Connection:
    pass


def connect() -> Connection:
    return Connection()


class Wrapping(Dependency[None]):
    async def __aenter__(self) -> None: ...


type Injected = Annotated[Connection, Depends(connect)]
type Generic[T] = Annotated[T, Depends(connect)]
type Broken = NoSuchName  # noqa: F821  # that it does not resolve is the point


async def task(
    first: Annotated[int, Logged],
    db: Annotated[Connection, Depends(connect)],
    last: Annotated[list[str], Wrapping(), Logged(length_only=True)],
    alias: Injected = Provided,
    generic: Generic[Connection] = Provided,
    default: Connection = Depends(connect),  # that is how dependencies are declared
    unknown: "NoSuchName" = None,  # noqa: F821  # that it does not resolve is the point
    secret: str = "",
    broken: Broken = None,
) -> None: ...


def test_dependencies_are_those_that_supply_a_value() -> None:
    """Other dependencies in metadata wrap the call, and their argument is the caller's."""
    assert TaskSignature(task, "task").dependency_names == {"db", "alias", "generic", "default"}


def test_logged_parameters_are_known_with_their_marks() -> None:
    """`Logged` and `Logged()` mean the same."""
    signature = TaskSignature(task, "task")
    assert signature.logged_names == {"first", "last"}
    assert signature.logged == {"first": Logged(), "last": Logged(length_only=True)}


def test_dependencies_need_no_argument() -> None:
    """They are injected by the worker, so a call without them is whole."""
    bound = TaskSignature(task, "task").bind((1,), {"last": ["a"]})
    assert bound.arguments == {"first": 1, "last": ["a"]}
    assert called(task, 1, last=["a"]) == ((1,), {"last": ["a"]})


def test_an_explicit_argument_for_a_dependency_travels() -> None:
    """Explicit arguments win over injection."""

    async def counted(count: int = Depends(lambda: 1)) -> None: ...

    assert called(counted, 5) == ((5,), {})
    with pytest.raises(ArgumentsError, match="argument default is"):
        called(task, 1, last=[], default=Connection())


REFUSED: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
    ((), {}, "missing a required argument: 'first'"),
    ((1,), {}, "missing a required argument: 'last'"),
    ((1,), {"last": [], "lats": 1}, "unexpected keyword argument 'lats'"),
    ((1,), {"first": 1, "last": []}, "multiple values for argument 'first'"),
    (tuple(range(10)), {}, "too many positional arguments"),
]


@pytest.mark.parametrize(("args", "kwargs", "words"), REFUSED)
def test_a_call_that_python_would_refuse_is_refused(args: tuple[Any, ...], kwargs: dict[str, Any], words: str) -> None:
    """The worker's TypeError would come much later, and far from the mistake."""
    signature = TaskSignature(task, "task")
    for refuse in (signature.bind, functools.partial(Codec("test").encode_call, signature, "task", "key")):
        with pytest.raises(ArgumentsError, match=words) as caught:
            refuse(args, kwargs)
        assert "task() can't be called like this" in str(caught.value)
        assert "It takes (first, last, unknown=None, secret='', broken=None)" in str(caught.value)


def test_an_annotation_that_does_not_resolve_warns_once(caplog: pytest.LogCaptureFixture) -> None:
    """A name imported only for type checkers must hide neither the other annotations nor itself."""
    signature = TaskSignature(task, "task")
    codec = Codec("test")
    with caplog.at_level(logging.WARNING, "shadows"):
        for _ in range(2):
            codec.encode_call(signature, "task", "key", (1,), {"last": [], "unknown": [1]})
        with pytest.raises(ArgumentsError, match="argument unknown"):
            codec.encode_call(signature, "task", "key", (1,), {"last": [], "unknown": (1,)})
    assert [record.getMessage() for record in caplog.records] == [
        (
            "The annotation 'NoSuchName' of task() parameter unknown can't be resolved (NameError: name "
            "'NoSuchName' is not defined), and counts as absent: values that need it to come back as they "
            "were are refused. Import its names at run time, not only for type checking."
        )
    ]


def test_making_a_signature_looks_at_nothing() -> None:
    """Functions are registered while their modules are still being read: their names may come later."""

    def unreadable() -> None: ...

    unreadable.__signature__ = "nonsense"  # type: ignore[attr-defined]  # inspect would raise on it
    assert TaskSignature(unreadable, "task").name == "task"


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


class Tasks:
    def __init__(self, day: "date" = date.min) -> None:
        self.day = day

    def method(self, day: "date") -> None: ...

    def __call__(self, day: "date") -> None: ...


def plain(day: "date") -> None: ...


@pytest.mark.parametrize(
    "function",
    [
        plain,
        decorated(plain),
        functools.partial(plain),
        functools.partial(decorated(Tasks().method)),
        Tasks().method,
        Tasks(),
        Tasks,
    ],
    ids=["function", "decorated", "partial", "partial of a decorated method", "method", "object", "class"],
)
def test_any_callable_is_read_like_a_function(function: Callable[..., Any]) -> None:
    """Annotations that are text belong to the module of the innermost function."""
    assert called(function, date(2026, 1, 1)) == ((date(2026, 1, 1),), {})
    with pytest.raises(ArgumentsError, match="argument day"):
        called(function, "2026-01-01")


def test_functions_that_do_not_tell_take_anything_plain() -> None:
    """Some functions written in C have no signature."""
    assert called(min, 1, 2) == ((1, 2), {})
    with pytest.raises(ArgumentsError, match=r"args\[0\]"):
        called(min, (1,))
    assert called(math.sqrt, 4) == ((4,), {})


def test_names_of_enclosing_functions_and_type_parameters_resolve() -> None:
    """Tasks may be written inside of functions."""
    local = date

    async def inner(a: "local", b: "later | None" = None) -> object:  # assigned below, or never
        return (local, later)

    async def generic[T](a: "T") -> None: ...

    assert called(inner, date(2026, 1, 1)) == ((date(2026, 1, 1),), {})
    assert called(generic, [1]) == (([1],), {})
    if not inner:
        later = date


def test_endless_shapes_of_calls_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """`**named` tasks are called with names that come from data."""
    monkeypatch.setattr(signature_module, "MOST_SHAPES", 2)
    monkeypatch.setattr("shadows.codec.calls.MOST_SHAPES", 2)

    async def task(**named: int) -> None: ...

    signature, codec = TaskSignature(task, "task"), Codec("test")
    for index in range(5):
        name = {f"n{index}": index}
        payload = codec.encode_call(signature, "task", "key", (), name)
        assert codec.decode_call(signature, "task", "key", payload) == ((), name)
    assert len(signature.plain_calls) == len(signature._shapes) == 2


def test_a_call_stored_for_another_version_of_the_task_is_a_payload_error() -> None:
    """The parameter was renamed while calls were waiting."""

    async def before(a: int) -> None: ...

    async def after(b: int) -> None: ...

    codec = Codec("test")
    payload = codec.encode_call(TaskSignature(before, "task"), "task", "key", (), {"a": 1})
    with pytest.raises(PayloadError, match="no longer fits its function"):
        codec.decode_call(TaskSignature(after, "task"), "task", "key", payload)

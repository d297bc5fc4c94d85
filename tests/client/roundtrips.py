"""Sends arguments and results through a codec and back, as a client and a worker do."""

from collections.abc import Callable
from typing import Any

from shadows.codec.codec import Codec
from shadows.codec.signature import TaskSignature


def taking(annotation: Any) -> TaskSignature:
    """The signature of a task with one parameter `x` of this annotation."""

    async def task(x: Any) -> None: ...

    task.__annotations__["x"] = annotation
    return TaskSignature(task, "task")


def returning(annotation: Any) -> TaskSignature:
    """The signature of a task with a result of this annotation."""

    async def task() -> None: ...

    task.__annotations__["return"] = annotation
    return TaskSignature(task, "task")


def sent(annotation: Any, value: Any, codec: Codec | None = None) -> Any:
    """What a worker gets for `value` when the parameter has this annotation."""
    codec = codec or Codec("test")
    payload = codec.encode_call(taking(annotation), "task", "key", (value,), {})
    # Another signature, since the worker is another process: nothing learnt while encoding may be needed.
    (first,), _ = codec.decode_call(taking(annotation), "task", "key", payload)
    return first


def called(function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What a worker gets for a call of `function`."""
    codec = Codec("test")
    payload = codec.encode_call(TaskSignature(function, "task"), "task", "key", args, kwargs)
    return codec.decode_call(TaskSignature(function, "task"), "task", "key", payload)


def returned(annotation: Any, value: Any, codec: Codec | None = None) -> Any:
    """What a caller gets for a task's result of this annotation."""
    codec = codec or Codec("test")
    payload = codec.encode_result(returning(annotation), "task", "key", value)
    return codec.decode_result(returning(annotation), "task", "key", payload)


def type_name(value: object) -> str:
    """A test's id: the same in each process that collects it, which an object's address or a fresh UUID is not."""
    return getattr(value, "__name__", type(value).__name__)

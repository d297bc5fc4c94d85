"""Applies the plans of a signature to the arguments of one call, and to a result."""

from collections.abc import Iterable
from typing import Any

from shadows.codec import refusals
from shadows.codec.plans import LOOSE, SCALARS, Mismatch, Plan
from shadows.codec.signature import MOST_SHAPES, Shape, TaskSignature
from shadows.errors import ArgumentsError, PayloadError

TYPED, LOOSELY = 1, 0
Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def shape_of(signature: TaskSignature | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Shape:
    """The plans for these arguments; for a function that is not known here, loose ones."""
    if signature is not None:
        return signature.shape(len(args), tuple(kwargs))
    labels = tuple(f"[{index}]" for index in range(len(args)))
    return Shape((*labels, *kwargs), (LOOSE,) * len(args), (LOOSE,) * len(kwargs))


def travels_plainly(shape: Shape, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether msgpack carries every argument as it is: then no plan is needed, nor a pickle."""
    return all(type(item) in plan.plain and type(item) in SCALARS for plan, item in pairs(shape, args, kwargs))


def pairs(shape: Shape, args: Iterable[Any], kwargs: dict[str, Any]) -> Iterable[tuple[Plan, Any]]:
    """Each argument with its plan."""
    return zip((*shape.positional, *shape.keyword), (*args, *kwargs.values()), strict=True)


def remember(signature: TaskSignature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Lets calls of the same classes take the fast path from now on."""
    if len(signature.plain_calls) < MOST_SHAPES:
        signature.plain_calls.add((*map(type, args), *kwargs, *map(type, kwargs.values())))


def dump_arguments(
    shape: Shape,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    function_name: str,
    signature: TaskSignature | None,
) -> tuple[list[Any], dict[str, Any]]:
    """The wire forms of the arguments; ArgumentsError names the one that its annotation refuses."""
    wires = []
    for name, (plan, item) in zip(shape.parameters, pairs(shape, args, kwargs), strict=True):
        try:
            wires.append(plan.dump(item))
        except Mismatch as mismatch:
            raise ArgumentsError(refusals.argument(function_name, name, mismatch, signature)) from None
        except RecursionError as error:
            raise refusals.unpackable_arguments(function_name, error) from None
    count = len(args)
    return wires[:count], dict(zip(kwargs, wires[count:], strict=True))


def load_arguments(signature: TaskSignature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    """The arguments of these wire forms; PayloadError if the function does not take them (any more)."""
    try:
        shape = signature.shape(len(args), tuple(kwargs))
    except ArgumentsError as error:
        raise PayloadError(
            f"A stored call no longer fits its function: {error} It was added for another version of the task."
        ) from None
    items = []
    for name, (plan, wire) in zip(shape.parameters, pairs(shape, args, kwargs), strict=True):
        try:
            items.append(wire if type(wire) in plan.plain else plan.load(wire))
        except Mismatch as mismatch:
            raise PayloadError(refusals.stale("call", signature.name, name, mismatch)) from None
        except RecursionError as error:
            raise refusals.damaged("call", signature.name, error) from None
    if travels_plainly(shape, args, kwargs):
        remember(signature, args, kwargs)
    count = len(args)
    return tuple(items[:count]), dict(zip(kwargs, items[count:], strict=True))


def dump_result(plan: Plan, value: Any) -> tuple[int, Any]:
    """The wire form of a result and whether the annotation directed it."""
    if type(value) in LOOSE.plain and type(value) in plan.plain:
        return LOOSELY, value
    try:
        return TYPED, plan.dump(value)
    except Mismatch as mismatch:
        try:
            return LOOSELY, LOOSE.dump(value)
        except Mismatch:
            raise mismatch from None

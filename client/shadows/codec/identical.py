"""Whether two values are the same to their last type: `==` alone holds 1, 1.0 and True for the same."""

from datetime import datetime, time
from decimal import Decimal
from typing import Any

# `==` is too coarse for these: NaN, -0.0, 1.0 and 1.00.
BY_REPR = frozenset({float, complex, Decimal})
ATOMS = frozenset({type(None), bool, int, str, bytes})


def identical(one: Any, other: Any) -> bool:
    """True if nobody could tell the two values apart, as far as their types, items and fields go."""
    kind = type(one)
    if kind is not type(other):
        return False
    if kind in ATOMS:
        return bool(one == other)
    if kind in BY_REPR:
        return repr(one) == repr(other)
    if kind is datetime or kind is time:
        # The offset counts and not the class of the zone: pydantic, for one, reads zones of its own.
        return bool(one.isoformat() == other.isoformat() and one.fold == other.fold)
    if kind in (list, tuple):
        return len(one) == len(other) and all(map(identical, one, other))
    if issubclass(kind, dict):
        return identical(list(one.items()), list(other.items()))
    if issubclass(kind, set | frozenset):
        return _identical_sets(one, other)
    fields = field_names(kind)
    if fields is None:
        return bool(one == other)
    return all(identical(getattr(one, name, None), getattr(other, name, None)) for name in fields)


def _identical_sets(one: Any, other: Any) -> bool:
    if one != other:
        return False
    theirs = {item: item for item in other}
    return all(identical(item, theirs[item]) for item in one)


def field_names(kind: type) -> tuple[str, ...] | None:
    """The names of the fields of a record class; None for other classes.

    attrs and pydantic are known by what they leave on the class: importing them is the user's choice.
    """
    for marker in ("__struct_fields__", "__dataclass_fields__", "model_fields", "__pydantic_fields__"):
        fields = getattr(kind, marker, None)
        if isinstance(fields, dict | tuple):
            return tuple(fields)
    attributes = getattr(kind, "__attrs_attrs__", None)
    if attributes is not None:
        return tuple(attribute.name for attribute in attributes)
    fields = getattr(kind, "_fields", None) if issubclass(kind, tuple) else None
    return tuple(fields) if fields is not None else None

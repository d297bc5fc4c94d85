"""The self-describing form of values that stand alone.

Containers and single values are tagged with their class.
"""

from enum import Enum
from typing import Any

from shadows.codec.imported import imported_class
from shadows.codec.plans import SCALARS, Mismatch, Plan, type_name
from shadows.codec.scalars import TEXT_PLANS

TAGGED: dict[type, Plan] = dict(TEXT_PLANS)
BY_TAG: dict[str, Plan] = {type_name(kind): plan for kind, plan in TAGGED.items()}
SEQUENCES: dict[str, type] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}


def dump(value: Any) -> Any:
    """The wire form of `value`: itself if it is one of msgpack's scalars, else a tag and what it tags."""
    kind = type(value)
    if kind in SCALARS:
        return value
    if kind is dict:
        return ["dict", [[dump(key), dump(item)] for key, item in value.items()]]
    if SEQUENCES.get(kind.__name__) is kind:
        return [kind.__name__, [dump(item) for item in value]]
    if kind in TAGGED:
        return [type_name(kind), TAGGED[kind].dump(value)]
    if isinstance(value, Enum):
        plain = value.value if type(value.value) in SCALARS else None
        return ["enum", [kind.__module__, kind.__qualname__, value._name_, plain]]
    raise Mismatch(value, "a scalar, a date, time or duration, Decimal, UUID, an enum's member, or a container", True)


def load(wire: Any) -> Any:
    """The inverse of `dump`.

    A member of an enumeration that is not imported here comes back as its plain value.
    """
    if type(wire) in SCALARS:
        return wire
    tag, inner = wire
    if tag == "dict":
        return {load(key): load(item) for key, item in inner}
    if tag in SEQUENCES:
        return SEQUENCES[tag](map(load, inner))
    if tag == "enum":
        return _member(*inner)
    if tag in BY_TAG:
        try:
            return BY_TAG[tag].load(inner)
        except Mismatch as mismatch:
            raise ValueError(f"{mismatch.value!r} is no {tag}") from None
    raise ValueError(f"the tag {tag!r} is unknown")


def _member(module: Any, qualified_name: Any, name: Any, plain: Any) -> Any:
    if type(module) is not str or type(qualified_name) is not str:
        raise ValueError(f"{module!r}, {qualified_name!r} name no enumeration")
    kind = imported_class(module, qualified_name)
    if kind is None or not issubclass(kind, Enum):
        return plain
    if type(name) is str and name in kind.__members__:
        return kind[name]
    try:
        return kind(plain)  # a union of flags has no name, and a member may have been renamed
    except Exception:
        return plain

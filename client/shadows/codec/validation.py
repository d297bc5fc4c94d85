"""Plans where another library judges.

Pydantic its own classes, pydantic and msgspec what `Annotated` adds.
"""

import logging
import sys
from collections.abc import Callable
from typing import Any, get_args

from msgspec import Meta, convert

from shadows.codec.identical import field_names, identical
from shadows.codec.plans import Mismatch, OpaquePlan, Plan, type_name

logger = logging.getLogger("shadows")
# pydantic lists every field; the first few tell enough.
LONGEST_SUMMARY = 300
PYDANTICS = ("pydantic", "pydantic_core", "annotated_types")


def pydantic_plan(kind: type, pydantic: Any) -> Plan:
    """The plan for a class with a pydantic schema."""
    try:
        return PydanticPlan(kind, pydantic)
    except Exception as error:
        logger.warning(
            "pydantic can't make a schema of %s (%s: %s): arguments of this class are refused. Make the "
            "names in its "
            "annotations importable, or call model_rebuild().",
            type_name(kind),
            type(error).__name__,
            error,
        )
        return OpaquePlan(kind)


class PydanticPlan(Plan):
    """Classes with a pydantic schema, carried as the JSON that pydantic itself writes and validates.

    Serializers and validators are the user's and need not be each other's inverse, so each value is proven.
    """

    scalar = True

    def __init__(self, kind: type, pydantic: Any) -> None:
        self.kind = kind
        self.name = type_name(kind)
        self.adapter = pydantic.TypeAdapter(kind)

    @property
    def tag(self) -> str:
        return self.kind.__qualname__

    def dump(self, value: Any) -> Any:
        if type(value) is not self.kind:
            raise Mismatch(value, self.name, changed=isinstance(value, self.kind))
        # Without what was never set first: a model that came from a PATCH must still know what was set.
        problem = ""
        for leave_out_unset in (True, False):
            try:
                wire = self.adapter.dump_json(
                    value, by_alias=True, round_trip=True, exclude_unset=leave_out_unset, warnings=False
                ).decode()
                if self._unchanged(value, self.load(wire)):
                    return wire
            except Exception as error:
                problem = f" ({summary(error)})"
        raise Mismatch(value, f"a {self.name} that pydantic reads back as it was written{problem}", changed=True)

    def _unchanged(self, value: Any, back: Any) -> bool:
        fields = field_names(self.kind)
        if fields is None:
            return identical(value, back)
        return all(identical(getattr(value, name), getattr(back, name)) for name in fields) and bool(value == back)

    def load(self, wire: Any) -> Any:
        if type(wire) not in (str, dict):
            raise Mismatch(wire, self.name)
        try:
            # A map comes from a caller that knew only the task's name and passed builtin values.
            return self.adapter.validate_json(wire) if type(wire) is str else self.adapter.validate_python(wire)
        except Exception as error:
            raise Mismatch(wire, f"{self.name} ({summary(error)})") from None


class ConstrainedPlan(Plan):
    """A plan whose values must also pass a check, which judges and changes nothing."""

    def __init__(self, inner: Plan, check: Callable[[Any], Any]) -> None:
        self.inner = inner
        self.check = check
        self.name = inner.name
        self.scalar = inner.scalar

    @property
    def tag(self) -> str:
        return self.inner.tag

    def dump(self, value: Any) -> Any:
        wire = self.inner.dump(value)
        try:
            self.check(value)
        except Exception as error:  # each library has its own
            raise Mismatch(value, f"{self.name} ({summary(error)})") from None
        return wire

    def load(self, wire: Any) -> Any:
        # Judged when it was added. Bounds may have changed since, but the call was accepted.
        return self.inner.load(wire)


def summary(error: Exception) -> str:
    """What the other library says, on one line."""
    return " ".join(str(error).split())[:LONGEST_SUMMARY]


def constrained(inner: Plan, annotation: Any) -> Plan:
    """The plan with the bounds that an `Annotated` adds, if there are any that a library here understands."""
    added = get_args(annotation)[1:]
    if any(isinstance(item, Meta) for item in added):
        return ConstrainedPlan(inner, lambda value: convert(value, annotation))
    pydantic = sys.modules.get("pydantic")
    if pydantic is None or not any(type(item).__module__.partition(".")[0] in PYDANTICS for item in added):
        return inner
    try:
        return ConstrainedPlan(inner, pydantic.TypeAdapter(annotation).validate_python)
    except Exception as error:
        logger.warning("pydantic can't check %r (%s): its bounds are ignored.", annotation, error)
        return inner

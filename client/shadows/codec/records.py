"""Plans of records: dataclasses, attrs classes, Structs, named tuples.

And classes that pydantic validates.
"""

from dataclasses import dataclass
from typing import Any

from msgspec import UNSET

from shadows.codec.identical import field_names, identical
from shadows.codec.plans import Mismatch, Plan, type_name


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record.

    Its attribute, the constructor's name for it (None: set afterwards), its plan.
    """

    name: str
    argument: str | None
    plan: Plan


class RecordPlan(Plan):
    """Records travel as maps of their fields, and are rebuilt by their own constructor: it may know more.

    Where the constructor is not a generated one, it may change what it is given: then a record is rebuilt and
    compared before it leaves. Fields that are missing in a payload take their defaults, unknown ones are left
    out: tasks change while calls wait.
    """

    def __init__(self, kind: type, fields: list[Field], generated: bool) -> None:
        self.kind = kind
        self.fields = fields
        self.generated = generated
        self.name = type_name(kind)

    @property
    def tag(self) -> str:
        return self.kind.__qualname__

    def dump(self, value: Any) -> Any:
        if type(value) is not self.kind:
            raise Mismatch(value, self.name, changed=isinstance(value, self.kind))
        wire = {}
        for field in self.fields:
            try:
                item = getattr(value, field.name)
                if item is not UNSET:
                    wire[field.name] = item if type(item) in field.plan.plain else field.plan.dump(item)
            except Mismatch as mismatch:
                raise mismatch.under(f".{field.name}") from None
            except AttributeError:
                raise Mismatch(value, f"{self.name} whose field {field.name!r} is set") from None
        if not self.generated:
            self._prove(value, wire)
        return wire

    def _prove(self, value: Any, wire: Any) -> None:
        back = self.load(wire)
        for field in self.fields:
            sent, received = getattr(value, field.name), getattr(back, field.name, UNSET)
            if not identical(sent, received):
                expected = f"a value that the constructor of {self.name} leaves as it is"
                raise Mismatch(sent, expected, changed=True).under(f".{field.name}")

    def load(self, wire: Any) -> Any:
        if type(wire) is not dict:
            raise Mismatch(wire, self.name)
        arguments, late = {}, {}
        for field in self.fields:
            if field.name not in wire:
                continue
            item = wire[field.name]
            try:
                item = item if type(item) in field.plan.plain else field.plan.load(item)
            except Mismatch as mismatch:
                raise mismatch.under(f".{field.name}") from None
            if field.argument is None:
                late[field.name] = item
            else:
                arguments[field.argument] = item
        try:
            record = self.kind(**arguments)
        except Exception as error:
            raise Mismatch(wire, f"fields that {self.name} takes ({error})", changed=True) from None
        for name, item in late.items():
            object.__setattr__(record, name, item)
        return record


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
        for leave_out_unset in (True, False):
            try:
                wire = self.adapter.dump_json(
                    value, by_alias=True, round_trip=True, exclude_unset=leave_out_unset, warnings=False
                ).decode()
                if self._unchanged(value, self.load(wire)):
                    return wire
            except Exception:
                continue
        raise Mismatch(value, f"a {self.name} that pydantic reads back as it was written", changed=True)

    def _unchanged(self, value: Any, back: Any) -> bool:
        fields = field_names(self.kind)
        if fields is None:
            return identical(value, back)
        return all(identical(getattr(value, name), getattr(back, name)) for name in fields) and bool(
            value == back
        )

    def load(self, wire: Any) -> Any:
        if type(wire) not in (str, dict):
            raise Mismatch(wire, self.name)
        try:
            # A map comes from a caller that knew only the task's name and passed builtin values.
            return (
                self.adapter.validate_json(wire) if type(wire) is str else self.adapter.validate_python(wire)
            )
        except Exception as error:
            raise Mismatch(wire, f"{self.name} ({error})") from None

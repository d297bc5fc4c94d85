"""Plans of records: dataclasses, attrs classes, Structs, named tuples.

And classes that pydantic validates.
"""

from typing import Any, NamedTuple

from msgspec import UNSET

from shadows.codec.identical import identical
from shadows.codec.plans import Mismatch, Plan, type_name


class Field(NamedTuple):
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

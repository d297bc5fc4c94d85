"""Finds the fields of Structs, dataclasses, attrs classes and named tuples, and whose their `__init__` is."""

import dataclasses
from collections.abc import Callable
from typing import Any

from shadows.codec.plans import Plan
from shadows.codec.records import Field, RecordPlan

# Compiles the plan of one field, from its name and a hint to use if the class body has none.
FieldPlan = Callable[[str, Any], Plan]


def record_plan(kind: type, field_plan: FieldPlan) -> RecordPlan | None:
    """The plan for a record class; None for a class of another sort."""
    if hasattr(kind, "__struct_fields__"):
        fields = [Field(name, name, field_plan(name, Any)) for name in kind.__struct_fields__]
        return RecordPlan(kind, fields, generated=not hasattr(kind, "__post_init__"))
    if dataclasses.is_dataclass(kind):
        return _dataclass_plan(kind, field_plan)
    if hasattr(kind, "__attrs_attrs__"):
        return _attrs_plan(kind, kind.__attrs_attrs__, field_plan)
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        # A subclass may bring a `__new__` of its own, hence the proof.
        return RecordPlan(kind, [Field(name, name, field_plan(name, Any)) for name in kind._fields], generated=False)
    return None


def _dataclass_plan(kind: Any, field_plan: FieldPlan) -> RecordPlan:
    fields = [
        Field(field.name, field.name if field.init else None, field_plan(field.name, field.type))
        for field in dataclasses.fields(kind)
    ]
    options = kind.__dataclass_params__
    generated = (
        options.init
        and not hasattr(kind, "__post_init__")
        and not hasattr(kind, "__pydantic_validator__")
        and kind.__new__ is object.__new__
        and (options.frozen or kind.__setattr__ is object.__setattr__)
    )
    return RecordPlan(kind, fields, generated)


def _attrs_plan(kind: type, attributes: Any, field_plan: FieldPlan) -> RecordPlan:
    fields = [
        Field(
            attribute.name,
            (getattr(attribute, "alias", None) or attribute.name.lstrip("_")) if attribute.init else None,
            field_plan(attribute.name, Any if attribute.type is None else attribute.type),
        )
        for attribute in attributes
    ]
    changing = ("__attrs_post_init__", "__attrs_pre_init__", "__attrs_init__")
    generated = all(attribute.converter is None for attribute in attributes) and not any(
        hasattr(kind, name) for name in changing
    )
    return RecordPlan(kind, fields, generated)

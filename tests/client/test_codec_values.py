"""Values that stand alone, such as a strike's operand, come back with the type that they had."""

import enum
from collections import OrderedDict
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.msgpack import Encoder, Ext

from shadows.codec.codec import Codec
from shadows.codec.identical import identical
from shadows.codec.packing import pack
from shadows.errors import ArgumentsError, PayloadError
from tests.client.roundtrips import sent, type_name


class Color(enum.Enum):
    RED = "red"
    ODD = object()


class Mode(enum.Flag):
    READ = 1
    WRITE = 2


class Level(enum.IntEnum):
    LOW = 1


def travelled(value: Any) -> Any:
    codec = Codec("test")
    return codec.decode_value(codec.encode_value(value))


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        1,
        2**70,
        1.5,
        "a",
        b"a",
        datetime(2026, 1, 2, tzinfo=UTC),
        date(2026, 1, 2),
        time(1, 2),
        timedelta(hours=1),
        Decimal("1.10"),
        uuid4(),
        Color.RED,
        Color.ODD,
        Mode.READ,
        Mode.READ | Mode.WRITE,
        Level.LOW,
        (1, (date(2026, 1, 2),)),
        [1, [2]],
        {1, "a"},
        frozenset({1}),
        {date(2026, 1, 2): {"a": (1,)}},
        (1, 2),
        ["list", [1]],
        bytearray(b"a"),
        1j,
    ],
    ids=type_name,
)
def test_a_value_comes_back_with_its_type(value: Any) -> None:
    """A strike on `1` must not strike `True` or `"1"`."""
    assert identical(travelled(value), value)


def test_values_that_look_alike_are_told_apart() -> None:
    """The proof of a round trip is no better than this comparison."""
    different = [
        (1, True),
        (1, 1.0),
        (0.0, -0.0),
        ({1}, {True}),
        ({1}, {2}),
        ([1], [1, 2]),
        ([1], (1,)),
        ({"a": 1}, {"a": True}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (Decimal("1.0"), Decimal("1.00")),
    ]
    for one, other in different:
        assert not identical(one, other)


def test_an_unknown_extension_is_a_payload_error() -> None:
    """A newer release may write more of them."""
    with pytest.raises(PayloadError, match="extension 99"):
        Codec("test").decode_value(b"\1\0" + Encoder().encode(Ext(99, b"")))


def test_a_value_without_a_form_is_refused() -> None:
    """At the caller, who can still do something about it."""
    for value in (object(), [object()], OrderedDict(a=1), type("list", (list,), {})()):
        with pytest.raises(ArgumentsError, match="would not come back as it is"):
            travelled(value)


def test_a_member_whose_class_is_not_imported_here_comes_back_as_its_value() -> None:
    """Strikes are read by every process, also by those that know no such class, and none imports it."""
    gone = enum.Enum("Gone", {"A": "a", "B": [1]})
    assert travelled(gone.A) == "a"
    assert travelled(gone.B) is None


def test_a_member_that_is_no_more_comes_back_as_its_value() -> None:
    """Members are renamed and dropped between releases."""
    here = [Color.__module__, "Color"]
    codec = Codec("test")
    assert codec.decode_value(b"\1\0" + pack(["enum", [*here, "GREEN", "red"]])) is Color.RED
    assert codec.decode_value(b"\1\0" + pack(["enum", [*here, "GREEN", "green"]])) == "green"


@pytest.mark.parametrize(
    "wire",
    [
        ["unknown", 1],
        [],
        [[1], 1],
        ["dict", 1],
        ["dict", [[1]]],
        ["list", 1],
        ["set", [["list", []]]],
        ["datetime.date", "x"],
        ["enum", [1, 2, 3, 4]],
        ["enum", [[], "a", "a", 1]],
        ["enum", ["builtins", 5, "a", 1]],
        {"a": 1},
    ],
    ids=type_name,
)
def test_damaged_values_are_payload_errors(wire: Any) -> None:
    """A strike that can't be read must not end the process that reads it."""
    with pytest.raises(PayloadError):
        Codec("test").decode_value(b"\1\0" + pack(wire))


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)) | st.binary()
PLAIN = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(SCALARS, inner), max_leaves=20)
RICH = st.recursive(
    SCALARS | st.datetimes(timezones=st.just(UTC) | st.none() | st.timezones()) | st.dates() | st.times()
    | st.timedeltas() | st.uuids() | st.decimals() | st.sampled_from([*Color, *Mode, *Level]),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(SCALARS, inner),
    max_leaves=20,
)  # fmt: skip


@given(PLAIN)
def test_everything_plain_travels_without_an_annotation(value: Any) -> None:
    """None, bool, int, float, str, bytes, and lists and dictionaries of them, whatever is in them."""
    assert identical(sent(Any, value), value)


@given(RICH)
def test_everything_rich_travels_alone(value: Any) -> None:
    """Down to the last item."""
    assert identical(travelled(value), value)


TYPED = [
    (int, st.integers() | st.booleans()),
    (float, st.floats()),
    (str, st.text(st.characters(codec=None))),
    (datetime, st.datetimes(timezones=st.timezones() | st.none(), allow_imaginary=False)),
    (Decimal, st.decimals()),
    (timedelta, st.timedeltas()),
    (list[date | str | None], st.lists(st.dates() | st.text() | st.none())),
    (dict[int, tuple[float, bytes]], st.dictionaries(st.integers(), st.tuples(st.floats(), st.binary()))),
    (set[int | str], st.sets(st.integers() | st.text())),
    (dict[date | int, frozenset[str]], st.dictionaries(st.dates() | st.integers(), st.frozensets(st.text()))),
    (Color | Mode | int | None, st.sampled_from([*Color, *Mode, Mode.READ | Mode.WRITE, 1, True, None])),
]


@pytest.mark.parametrize(("annotation", "values"), TYPED, ids=lambda item: str(item)[:30])
@given(data=st.data())
def test_every_value_of_an_annotation_comes_back(annotation: Any, values: Any, data: st.DataObject) -> None:
    """What the annotation allows, the codec carries."""
    value = data.draw(values)
    assert identical(sent(annotation, value), value)

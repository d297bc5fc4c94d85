"""Records of every common kind come back whole, and only whole."""

import collections
import dataclasses
from datetime import UTC, date, datetime, timedelta
from typing import (
    Annotated,
    Any,
    Literal,
)
from uuid import UUID, uuid4

import msgspec
import pydantic
import pydantic.dataclasses
import pytest

from shadows.codec.codec import Codec
from shadows.codec.identical import identical
from shadows.errors import ArgumentsError, PayloadError
from tests.client.kinds_of_records import (
    Address,
    Aliased,
    Base,
    Box,
    Checked,
    Clamped,
    Cleaned,
    Color,
    Converted,
    Derived,
    Doubled,
    Even,
    Line,
    Loose,
    Lossy,
    Movie,
    NeedsSecret,
    Node,
    Numbers,
    OldBox,
    Order,
    Pair,
    Partial,
    Point,
    Point3,
    Schemaless,
    Shadowing,
    Slotted,
    SpecialLine,
    Stamped,
    Unfinished,
    Untyped,
)
from tests.client.roundtrips import sent, taking, type_name

NOW = datetime(2026, 1, 2, tzinfo=UTC)
WHOLE = [
    (Line, Line(uuid4())),
    (Order, Order(placed=NOW, lines=[Line(uuid4(), 2)], size="l")),
    (Node, Node("a", [Node("b", [])], Node("p", []))),
    (Shadowing, Shadowing(date(2026, 1, 1))),
    (Cleaned, Cleaned(" a ")),
    (Box[date], Box(date(2026, 1, 1))),
    (Box[list[date]], Box([date(2026, 1, 1)])),
    (Box, Box([1])),
    (OldBox[date], OldBox(date(2026, 1, 1))),
    (Point, Point(1, 2.5)),
    (Point, Point(1, 2.5, "x")),
    (Point | Point3, Point3(1)),
    (Line | SpecialLine, SpecialLine(uuid4())),
    (Line | SpecialLine | None, Line(uuid4())),
    (list[Line | Order], [Line(uuid4()), Order(placed=NOW)]),
    (dict[str, Line], {"a": Line(uuid4())}),
    (Even, Even(2)),
    (Address, Address("s", 1, date(2026, 1, 1))),
    (Converted, Converted("5")),
    (Untyped, Untyped([1], 2)),
    (Pair, Pair("a", date(2026, 1, 1))),
    (Clamped, Clamped(50)),
    (Loose, Loose(1, [2])),
    (Movie, {"title": "a", "released": date(2026, 1, 1)}),
    (Movie, {"title": "a", "released": date(2026, 1, 1), "rating": 1.5}),
    (Partial, {"name": "a"}),
    (Base, Base(name="a", at=NOW)),
    (Base | Derived, Derived(name="a")),
    (Aliased, Aliased(fullName="a", inner=[Base(name="b")])),
    (Stamped, Stamped()),
    (Numbers, Numbers([1, 2])),
    (Checked, Checked(1)),
    (Annotated[Base | None, "about it"], Base(name="a")),
    (dict[str, list[Base]], {"a": [Base(name="b")]}),
    (pydantic.HttpUrl, pydantic.HttpUrl("https://example.org/")),
    (pydantic.PositiveInt, 5),
]


@pytest.mark.parametrize(("annotation", "value"), WHOLE, ids=type_name)
def test_a_record_comes_back_whole(annotation: Any, value: Any) -> None:
    """Tasks take the objects of their application, not dictionaries that look like them."""
    assert identical(sent(annotation, value), value)


REFUSED = [
    (Line, SpecialLine(uuid4()), "would not come back"),
    (Line, {"article": uuid4()}, "expects .*Line"),
    (Line, Line("no uuid"), r"argument x\.article is 'no uuid'"),  # type: ignore[arg-type]  # the point
    (Node, Node("a", [Node(1, [])]), r"argument x\.children\[0\]\.name"),  # type: ignore[arg-type]  # the point
    (Doubled, Doubled(1), r"x\.number is 2 .* constructor"),
    (NeedsSecret, NeedsSecret("a", "s"), "secret"),
    (Box[date], Box(1), r"argument x\.content"),
    (Point, Point3(1), "would not come back"),
    (Address, Address(1), r"argument x\.street"),  # type: ignore[arg-type]  # the point
    (Pair, ("a", date(2026, 1, 1)), "expects .*Pair"),
    (tuple[str, date], Pair("a", date(2026, 1, 1)), "would not come back"),
    (Movie, {"title": "a"}, "'released' is required"),
    (Movie, {"title": "a", "released": date(2026, 1, 1), "more": 1}, "no key 'more'"),
    (Movie, {"title": 1, "released": date(2026, 1, 1)}, r"argument x\['title'\]"),
    (Movie, collections.OrderedDict(title="a"), "would not come back"),
    (Partial, {"size": 1}, "'name' is required"),
    (Base, Derived(name="a"), "would not come back"),
    (Base, {"name": "a"}, "expects .*Base"),
    (Aliased, Aliased(fullName="a", inner=[Derived(name="b")]), "pydantic reads back"),
    (Lossy, Lossy(password=pydantic.SecretStr("s")), "pydantic reads back"),
    (Base, Base.model_construct(name=1), "pydantic reads back"),
    (Slotted, Slotted(), "would not come back"),
]


@pytest.mark.parametrize(("annotation", "value", "words"), REFUSED, ids=type_name)
def test_a_record_that_would_not_come_back_whole_is_refused(annotation: Any, value: Any, words: str) -> None:
    """A field lost on the way is lost in silence otherwise."""
    with pytest.raises(ArgumentsError, match=words):
        sent(annotation, value)


def test_a_model_that_pydantic_can_not_finish_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    """The refusal says why, or the log."""
    with pytest.raises(ArgumentsError, match="is not fully defined"):
        sent(Unfinished, Unfinished.model_construct())
    with pytest.raises(ArgumentsError, match="would not come back"):
        sent(Schemaless, Schemaless())
    assert "can't make a schema of" in caplog.text
    assert "no schema today" in caplog.text


def test_a_field_that_was_never_set_is_refused() -> None:
    """Such an object is not whole in the first place."""
    with pytest.raises(ArgumentsError, match="field 'street' is set"):
        sent(Address, Address.__new__(Address))


def test_fields_without_an_argument_are_restored() -> None:
    """`field(init=False)` holds what the object learnt after it was made."""
    order = Order(placed=NOW)
    object.__setattr__(order, "total", 9)
    address = Address("s")
    address.seen = 3
    assert sent(Order, order).total == 9
    assert sent(Address, address).seen == 3


def test_pydantic_models_still_know_what_was_set() -> None:
    """A PATCH is what was set, not the defaults beside it."""
    assert sent(Base, Base(name="a")).model_fields_set == {"name"}
    assert sent(Base, Base(name="a", at=None)).model_fields_set == {"name", "at"}


def test_a_field_added_later_takes_its_default() -> None:
    """Calls wait while tasks change: what was stored before must still run."""
    codec = Codec("test")
    line = {"article": str(uuid4()), "a field of a newer release": 1}
    payload = codec.encode_call(None, "task", "key", (line,), {})
    (back,), _ = codec.decode_call(taking(Line), "task", "key", payload)
    assert back == Line(UUID(line["article"]), 1)
    movie = codec.encode_call(None, "task", "key", ({"title": "a", "released": "2026-01-01", "new": 1},), {})
    (back,), _ = codec.decode_call(taking(Movie), "task", "key", movie)
    assert back == {"title": "a", "released": date(2026, 1, 1)}
    model = codec.encode_call(None, "task", "key", ({"name": "a"},), {})
    assert codec.decode_call(taking(Base), "task", "key", model) == ((Base(name="a"),), {})


STALE = [
    (int, "a"),
    (date, "no date"),
    (Line, {"count": 1}),
    (Line, {"article": "no uuid"}),
    (Line, []),
    (Even, {"number": 1}),
    (Movie, {"title": "a"}),
    (Movie, {"title": "a", "released": 1}),
    (Movie, []),
    (Base, {"name": 1}),
    (Base, 1),
    (list[date], "text"),
    (list[date], ["no date"]),
    (set[Any], [[1]]),
    (tuple[int], [1, 2]),
    (tuple[date], ["no date"]),
    (dict[date, int], {"no date": 1}),
    (dict[str, date], {"a": "no date"}),
    (dict[str, date], [["a"]]),
    (dict[str, date], 1),
    (dict[Any, int], [[[1], 1]]),
    (date | Line, 1),
    (date | Line, ["datetime.date", "no date"]),
    (Literal["a"], "b"),
    (Literal["a"], {"a": 1}),
    (Color, "GREEN"),
    (Color, [1]),
    (timedelta, "1"),
    (dict[str, date], [1]),
    (Annotated[date, msgspec.Meta(description="a day")], "no date"),
]


@pytest.mark.parametrize(("annotation", "wire"), STALE, ids=type_name)
def test_what_no_longer_fits_its_annotation_is_a_payload_error(annotation: Any, wire: Any) -> None:
    """The worker sets such an entry aside with the reason; any other exception would end the worker."""
    codec = Codec("test")
    payload = codec.encode_call(None, "task", "key", (wire,), {})
    with pytest.raises(PayloadError, match="does not fit its annotation"):
        codec.decode_call(taking(annotation), "task", "key", payload)


def test_a_union_reads_what_was_stored_before_it_was_one() -> None:
    """`date` became `date | Line` while calls were waiting."""
    codec = Codec("test")
    payload = codec.encode_call(taking(date), "task", "key", (date(2026, 1, 1),), {})
    assert codec.decode_call(taking(date | Line), "task", "key", payload) == ((date(2026, 1, 1),), {})


def test_two_classes_of_one_name_stay_apart() -> None:
    """Unions are tagged with names, and names may be the same."""
    other = dataclasses.make_dataclass("Line", [("count", int)])
    assert type(sent(Line | other, other(1))) is other
    assert type(sent(Line | other, Line(uuid4()))) is Line

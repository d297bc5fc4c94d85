"""Arguments come back as their annotations say, or are refused in the caller."""

import collections
import enum
import ipaddress
import math
import typing
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Collection, Iterable, Mapping, MutableSequence, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Annotated, Any, Literal, NewType, Optional, Protocol, TypeVar, Union
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import msgspec
import pydantic
import pytest

from shadows.codec.identical import identical
from shadows.errors import ArgumentsError
from tests.client.roundtrips import called, sent, type_name

T = TypeVar("T")
CustomerId = NewType("CustomerId", int)
type Json = dict[str, Json] | list[Json] | str | int | float | bool | None
type Pair[K, V] = tuple[V, K]
type Endless[E] = list[Endless[list[E]]]
type Broken = NoSuchName  # noqa: F821  # that it does not resolve is the point


class Color(enum.Enum):
    RED = "red"
    ODD = (1, object)


class Level(enum.IntEnum):
    LOW = 1


class Word(enum.StrEnum):
    YES = "yes"


class Mode(enum.Flag):
    READ = 1
    WRITE = 2


class UserId(str):
    __slots__ = ()


class Metres(float):
    pass


class Greets(Protocol):
    def greet(self) -> str: ...


class Thing:
    """A class that nobody taught the codec."""


HERE = timezone(timedelta(hours=2, minutes=30))
COMES_BACK = [
    (None, None),
    (bool, True),
    (int, 7),
    (int, True),
    (int, 2**70),
    (int, -(2**70)),
    (int, 2**64),
    (float, 1.5),
    (float, math.inf),
    (float, math.nan),
    (float, -0.0),
    (str, "ä\0\U0001f600"),
    (str, "\ud800 alone"),
    (bytes, b"\xff\0"),
    (bytearray, bytearray(b"x")),
    (complex, complex(1, -0.0)),
    (datetime, datetime(2026, 1, 2, 3, 4, 5, 6)),  # noqa: DTZ001
    (datetime, datetime(2026, 1, 2, tzinfo=UTC)),
    (datetime, datetime(2026, 1, 2, tzinfo=HERE)),
    (datetime, datetime(2026, 7, 2, tzinfo=ZoneInfo("Europe/Paris"))),
    (datetime, datetime(2025, 10, 26, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Paris"))),
    (date, date(1, 1, 1)),
    (time, time(1, 2, 3, 4)),
    (time, time(1, 2, tzinfo=HERE)),
    (timedelta, timedelta.max),
    (timedelta, timedelta(days=-1, microseconds=1)),
    (UUID, uuid4()),
    (Decimal, Decimal("1.10")),
    (Decimal, Decimal("-Infinity")),
    (Fraction, Fraction(1, 3)),
    (Path, Path("/tmp/x")),
    (PurePath, PurePath("a/b")),
    (PurePosixPath, PurePosixPath("a/b")),
    (PureWindowsPath, PureWindowsPath("c:\\a")),
    (ipaddress.IPv4Address, ipaddress.IPv4Address("10.0.0.1")),
    (ipaddress.IPv6Network, ipaddress.IPv6Network("::/64")),
    (ZoneInfo, ZoneInfo("Europe/Paris")),
    (Color, Color.RED),
    (Color, Color.ODD),
    (Level, Level.LOW),
    (Word, Word.YES),
    (Mode, Mode.READ | Mode.WRITE),
    (UserId, UserId("u1")),
    (Metres, Metres(1.5)),
    (Literal["a", 1], 1),
    (Literal[True, 1], True),
    (Literal["RED", Color.RED, b"x"], Color.RED),
    (Literal["RED", Color.RED, b"x"], "RED"),
    (Literal["RED", Color.RED, b"x"], b"x"),
    (CustomerId, CustomerId(7)),
    (T, [1]),
    (Any, {"a": [1, {"b": None}], 1: b"x", None: 2.5}),
    (object, [1, "a"]),
    (Greets, 1),
    (Broken, [1]),
    (Endless[int], [1]),
    (typing.Unpack[typing.TypeVarTuple("Ts")], [1]),
    (typing.Concatenate[int, ...], 1),
    (Annotated[int, msgspec.Meta(gt=0)], 1),
    (Annotated[date, pydantic.AfterValidator(lambda day: day)], date(2026, 1, 1)),
    (Annotated[int, msgspec.Meta(gt=0)] | date, 1),
    (Annotated[Thing | int, pydantic.Field(gt=0)], 1),
    (list, [1, "a", [2]]),
    (list[int], [1, True]),
    (list[float], [1.0, math.inf]),
    (list[int], []),
    (list[int], [2**65]),
    (list[datetime], [datetime(2026, 1, 2, tzinfo=UTC)]),
    (typing.List[int], [1]),  # noqa: UP006  # old code writes it so
    (typing.Dict[str, int], {"a": 1}),  # noqa: UP006
    (tuple, (1, "a")),
    (tuple[int, ...], (1, 2)),
    (tuple[int, str], (1, "a")),
    (tuple[()], ()),
    (tuple[date, set[int]], (date(2026, 1, 1), {1})),
    (set[str], {"a"}),
    (set, {1, "a"}),
    (frozenset[UUID], frozenset({uuid4()})),
    (set[tuple[int, str]], {(1, "a")}),
    (set[frozenset[int]], {frozenset({1})}),
    (deque[int], deque([1, 2])),
    (dict, {"a": [1]}),
    (dict[str, date], {"a": date(2026, 1, 1)}),
    (dict[UUID, int], {uuid4(): 1}),
    (dict[date | UUID, int], {uuid4(): 1}),
    (dict[tuple[int, int], str], {(1, 2): "a"}),
    (dict[int, list[tuple[int, ...]]], {1: [(1,)]}),
    (dict[int, int], {2**70: 1}),
    (dict[str, int], {"\ud800": 1}),
    (dict[float, str], {math.inf: "a"}),
    (OrderedDict[str, int], OrderedDict(b=1, a=2)),
    (Counter[str], Counter("aab")),
    (Mapping[str, int], {"a": 1}),
    (Sequence[int], [1]),
    (Sequence[int], (1,)),
    (Sequence[str], "text"),
    (Sequence[int], b"bytes"),
    (MutableSequence[int], [1]),
    (Iterable[str], {"a"}),
    (Collection[str], frozenset({"a"})),
    (AbstractSet[int], {1}),
    (Optional[date], date(2026, 1, 1)),  # noqa: UP045
    (Optional[date], None),  # noqa: UP045
    (Union[int, str], "1"),  # noqa: UP007
    (datetime | str, "2026-01-02T00:00:00"),
    (datetime | str, datetime(2026, 1, 2, tzinfo=UTC)),
    (datetime | date | None, date(2026, 1, 2)),
    (UUID | str, str(uuid4())),
    (int | float, 1),
    (float | str, 1.0),
    (list[int] | list[str], ["a"]),
    (list[int] | dict[str, int] | None, {"a": 1}),
    (list[int] | tuple[str, list[int]], ["x"][:0]),
    (set[int] | frozenset[int], frozenset({1})),
    (Literal["a"] | int, "a"),
    (Literal["a"] | UUID, "a"),
    (Any | None, [1]),
    (Annotated[date, "about it", ["unhashable"]], date(2026, 1, 1)),
    (Annotated[int | None, "about it"], None),
    ("int", 1),
    (Json, {"a": [1, {"b": [None, 1.5, "x"]}]}),
    (Pair[int, date], (date(2026, 1, 1), 1)),
]


@pytest.mark.parametrize(("annotation", "value"), COMES_BACK, ids=type_name)
def test_a_value_comes_back_as_its_annotation_says(annotation: Any, value: Any) -> None:
    """Workers run what the caller wrote, so its arguments must be the same to the last type."""
    back = sent(annotation, value)
    assert identical(back, value)
    if isinstance(value, datetime | time):
        assert (str(back), back.utcoffset(), back.fold) == (str(value), value.utcoffset(), value.fold)


REFUSED = [
    (Annotated[int, msgspec.Meta(gt=0)], 0, "expects int .*>= 1"),
    (Annotated[str, pydantic.StringConstraints(max_length=2)], "abc", "at most 2 characters"),
    (pydantic.PositiveInt, -1, "greater than 0"),
    (pydantic.PositiveInt, "1", "expects int"),
    (list[pydantic.PositiveInt], [1, -1], r"argument x\[1\]"),
    (int, "5", "expects int"),
    (int, 1.0, "expects int"),
    (int, Level.LOW, "would not come back"),
    (bool, 1, "expects bool"),
    (str, b"x", "expects str"),
    (str, Word.YES, "would not come back"),
    (float, "1", "expects float"),
    (float, 2**53 + 1, "would not come back"),
    (float, 10**400, "would not come back"),
    (None, 0, "expects None"),
    (datetime, "2026-01-02", "expects datetime.datetime"),
    (date, datetime(2026, 1, 2, tzinfo=UTC), "would not come back"),
    (UUID, str(uuid4()), "expects uuid.UUID"),
    (Decimal, 1, "expects decimal.Decimal"),
    (Path, "/tmp", "expects pathlib.Path"),
    (Color, "red", "a member of"),
    (Level, 1, "a member of"),
    (Literal["a"], "b", r"Literal\['a'\]"),
    (Literal[1], True, r"Literal\[1\]"),
    (Literal["a"], [], r"Literal\['a'\]"),
    (UserId, "u1", "UserId"),
    (list[int], ["a"], r"argument x\[0\] is 'a' \(str\)"),
    (list[int], (1,), "expects list"),
    (list[date], [date(2026, 1, 1), None], r"argument x\[1\]"),
    (tuple[int, str], (1,), "tuple of 2 items"),
    (tuple[int, str], (1, 2), r"argument x\[1\]"),
    (tuple[int, str], [1, "a"], "tuple"),
    (set[int], [1], "expects set"),
    (dict[str, int], {1: 1}, "argument x key is 1"),
    (dict[str, int], {"a": "b"}, r"argument x\['a'\]"),
    (dict[str, int], OrderedDict(a=1), "would not come back"),
    (dict[str, int], [("a", 1)], "expects dict"),
    (deque[int], deque([1], maxlen=2), "maxlen"),
    (collections.defaultdict[str, int], collections.defaultdict(int, a=1), "would not come back"),
    (Sequence[int], {1}, "expects"),
    (datetime | str, 1, "expects"),
    (date | list[int], ["a"], r"argument x\[0\]"),
    (Optional[int], "1", r"expects int \| None"),  # noqa: UP045
    (Any, (1, 2), "would not come back"),
    (Any, {1}, "would not come back"),
    (Any, datetime(2026, 1, 2, tzinfo=UTC), "would not come back"),
    (Any, uuid4(), "would not come back"),
    (Any, [{"a": (1,)}], r"argument x\[0\]\['a'\]"),
    (Any, {(1,): 1}, "argument x key"),
    (Any, Level.LOW, "would not come back"),
    (dict, {"a": {1}}, r"argument x\['a'\]"),
    (list, [object()], r"argument x\[0\]"),
    (Thing, Thing(), "would not come back"),
    (Thing, 1, "expects .*Thing"),
    (Callable[[], int], len, "would not come back"),
    (type[int], int, "would not come back"),
    ("NoSuchName", (1,), "would not come back"),
    (Json, {"a": [{1}]}, "x"),
    (collections.abc.Hashable, (1,), "would not come back"),
]


@pytest.mark.parametrize(("annotation", "value", "words"), REFUSED, ids=type_name)
def test_a_value_that_would_change_is_refused(annotation: Any, value: Any, words: str) -> None:
    """An argument that silently becomes another is a bug in production, found by the wrong people."""
    with pytest.raises(ArgumentsError, match=words) as caught:
        sent(annotation, value)
    assert "task(): the argument x" in str(caught.value)


def test_a_list_that_holds_itself_is_refused() -> None:
    """It would have no end."""
    endless: list[Any] = []
    endless.append(endless)
    for annotation in (Any, list, Json, list[Json]):
        with pytest.raises(ArgumentsError, match="hold themselves"):
            sent(annotation, endless)


def test_annotations_that_are_text_name_what_their_module_knows() -> None:
    """`from __future__ import annotations` turns all of them to text, and quotes make parts of them text."""

    async def task(x: "list[Color]", y: list["Color"], z: "Color | None" = None) -> None: ...

    assert called(task, [Color.RED], [Color.ODD], z=Color.RED) == (
        ([Color.RED], [Color.ODD]),
        {"z": Color.RED},
    )
    with pytest.raises(ArgumentsError, match=r"argument y\[0\]"):
        called(task, [], ["red"])

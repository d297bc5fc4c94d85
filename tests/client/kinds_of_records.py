"""Records of every common kind, and some that are not to be trusted."""

import collections
import enum
from dataclasses import InitVar, dataclass, field
from datetime import date, datetime
from typing import (
    Any,
    Generic,
    Literal,
    NamedTuple,
    NotRequired,
    Required,
    Self,
    TypedDict,
    TypeVar,
)
from uuid import UUID, uuid4

import attrs
import msgspec
import pydantic
import pydantic.dataclasses

T = TypeVar("T")


@dataclass
class Line:
    article: UUID
    count: int = 1


@dataclass
class SpecialLine(Line):
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    placed: datetime
    lines: list[Line] = field(default_factory=list)
    size: "Literal['s', 'l']" = "s"
    total: int = field(default=0, init=False)


@dataclass
class Node:
    name: str
    children: "list[Node]"
    parent: "Node | None" = None


@dataclass
class Shadowing:
    date: "date | None" = None


@dataclass
class Cleaned:
    name: str

    def __post_init__(self) -> None:
        self.name = self.name.strip()


@dataclass
class Doubled:
    number: int

    def __post_init__(self) -> None:
        self.number *= 2


@dataclass
class NeedsSecret:
    name: str
    secret: InitVar[str]

    def __post_init__(self, secret: str) -> None:
        self.hidden = secret


@dataclass
class Box[V]:
    content: V


class OldBox(msgspec.Struct, Generic[T]):  # noqa: UP046  # old code writes it so
    content: T


class Point(msgspec.Struct, frozen=True, array_like=True, tag="p", rename="camel"):
    from_left: int
    from_top: float = 0.0
    label: str | msgspec.UnsetType = msgspec.UNSET


class Point3(Point, frozen=True):
    depth: int = 0


class Even(msgspec.Struct):
    number: int

    def __post_init__(self) -> None:
        if self.number % 2:
            raise ValueError("odd")


@attrs.define
class Address:
    street: str
    _zip: int = attrs.field(default=0)
    since: date | None = None
    seen: int = attrs.field(default=0, init=False)


@attrs.define
class Converted:
    number: int = attrs.field(converter=int)


@attrs.define
class Untyped:
    anything = attrs.field(default=None)  # type: ignore[var-annotated]  # that it has no annotation is the point
    old = attrs.field(default=1, type=int)


class Pair(NamedTuple):
    key: str
    when: date


class Clamped(NamedTuple("Clamped", [("number", int)])):
    __slots__ = ()

    def __new__(cls, number: int) -> Self:
        return super().__new__(cls, min(number, 10))


Loose = collections.namedtuple("Loose", "a b")  # noqa: PYI024  # old code has these


class Movie(TypedDict):
    title: str
    released: date
    rating: NotRequired[float]


class Partial(TypedDict, total=False):
    name: Required[str]
    size: int


class Base(pydantic.BaseModel):
    name: str
    at: datetime | None = None


class Derived(Base):
    extra: int = 1


class Aliased(pydantic.BaseModel):
    full_name: str = pydantic.Field(alias="fullName")
    inner: list[Base] = []


class Stamped(pydantic.BaseModel):
    id: UUID = pydantic.Field(default_factory=uuid4)


class Lossy(pydantic.BaseModel):
    password: pydantic.SecretStr


class Numbers(pydantic.RootModel[list[int]]):
    pass


@pydantic.dataclasses.dataclass
class Checked:
    number: int


class Unfinished(pydantic.BaseModel):
    later: "NoSuchName"  # noqa: F821  # that it does not resolve is the point


class Schemaless:
    @classmethod
    def __get_pydantic_core_schema__(cls, *_: Any) -> Any:
        raise RuntimeError("no schema today")


class Color(enum.Enum):
    RED = 1


class Slotted:
    __slots__ = ("a",)

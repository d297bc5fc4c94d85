"""Exception groups come back as themselves, with what they hold, as long as they are whole."""

import asyncio
import sys
import types
from collections.abc import Sequence
from typing import Any, Self

import pytest

from shadows.codec import failures
from shadows.codec.codec import Codec
from shadows.codec.failures import MOST_HELD, MOST_LEVELS
from shadows.errors import RemoteError
from tests.client.test_codec_errors import Declined, raised, travelled


class Refusals(ExceptionGroup[Exception]):
    """Takes other arguments than a group does."""

    def __new__(cls, bank: str, errors: Sequence[Exception]) -> Self:
        group = super().__new__(cls, f"{bank} refused", errors)
        group.bank = bank
        return group

    bank: str

    def __init__(self, bank: str, errors: Sequence[Exception]) -> None:
        super().__init__(bank, errors)


class Keyworded(ExceptionGroup[Exception]):
    """Can't be called with a message and exceptions."""

    def __new__(cls, errors: Sequence[Exception], *, code: int) -> Self:
        group = super().__new__(cls, "keyworded", errors)
        group.code = code
        return group

    code: int

    def __init__(self, errors: Sequence[Exception], *, code: int) -> None: ...


class Hostile(ExceptionGroup[Exception]):
    """Does not say what it holds."""

    @property
    def exceptions(self) -> tuple[Any, ...]:  # type: ignore[override] # an exception may override anything
        raise RuntimeError("no exceptions")


class Empty(ExceptionGroup[Exception]):
    """Says that it holds nothing."""

    @property
    def exceptions(self) -> tuple[Any, ...]:  # type: ignore[override] # an exception may override anything
        return ()


def nested(levels: int) -> ExceptionGroup[Exception]:
    group = ExceptionGroup("the innermost", [ValueError("deep")])
    for level in range(levels - 1):
        group = ExceptionGroup(f"around {level}", [group])
    return group


def test_a_group_comes_back_with_what_it_holds() -> None:
    """`except* KeyError` around `get_result` must work, and see arguments and attributes as of any other."""
    back = travelled(ExceptionGroup("several", [KeyError("a"), Declined(5, "bank")]))
    assert type(back) is ExceptionGroup
    assert (back.message, back.args[0]) == ("several", "several")
    key, declined = back.exceptions
    assert (type(key), key.args) == (KeyError, ("a",))
    assert isinstance(declined, Declined)
    assert (declined.code, str(declined)) == (5, "bank says 5")


def test_a_base_group_comes_back_as_one() -> None:
    """With what no `except Exception` catches."""
    back = travelled(BaseExceptionGroup("stopped", [asyncio.CancelledError("why"), ValueError("bad")]))
    assert type(back) is BaseExceptionGroup
    assert [(type(each), each.args) for each in back.exceptions] == [
        (asyncio.CancelledError, ("why",)), (ValueError, ("bad",))
    ]  # fmt: skip


def test_groups_in_groups_come_back() -> None:
    """A task group in a task group is an everyday thing."""
    back = travelled(ExceptionGroup("outer", [ExceptionGroup("inner", [KeyError("a")]), ValueError("b")]))
    assert isinstance(back, ExceptionGroup)
    matched, rest = back.split(KeyError)
    assert matched is not None
    assert rest is not None
    inner = matched.exceptions[0]
    assert isinstance(inner, ExceptionGroup)
    assert (inner.message, type(inner.exceptions[0])) == ("inner", KeyError)
    assert [str(each) for each in rest.exceptions] == ["b"]


def test_each_shows_the_workers_traceback_and_keeps_its_notes() -> None:
    """The group's own, and that of each that it holds: they failed in different lines."""
    first = raised(ValueError("one"))
    first.add_note("while at it")
    group = ExceptionGroup("several", [first])  # type: ignore[list-item] # it is an Exception
    group.add_note("all of them")
    back = travelled(raised(group))
    assert isinstance(back, ExceptionGroup)
    (held,) = back.exceptions
    assert (back.__notes__, held.__notes__) == (["all of them"], ["while at it"])
    for each in (back, held):
        assert isinstance(each.__cause__, RemoteError)
        assert "in raised" in each.__cause__.traceback
    assert "ValueError: one" in str(back.__cause__)


def test_what_is_not_known_here_is_a_remote_error_in_its_place() -> None:
    """The others can be caught all the same."""

    class Local(Exception):
        pass

    back = travelled(ExceptionGroup("several", [Local("m"), ValueError("bad")]))
    assert isinstance(back, ExceptionGroup)
    local, known = back.exceptions
    assert isinstance(local, RemoteError)
    assert local.message == "m"
    assert type(known) is ValueError


def test_a_base_group_whose_exits_are_not_known_here_is_a_plain_group() -> None:
    """Python makes one of a base group that holds no base exception."""

    class Leaves(BaseException):
        pass

    back = travelled(BaseExceptionGroup("stopped", [Leaves("m")]))
    assert type(back) is ExceptionGroup
    assert isinstance(back.exceptions[0], RemoteError)


def test_a_group_of_a_class_that_is_not_imported_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule for every exception."""
    module = types.ModuleType("there")
    module.Away = type("Away", (ExceptionGroup,), {"__module__": "there"})  # type: ignore[attr-defined] # as modules are filled
    monkeypatch.setitem(sys.modules, "there", module)
    error = module.Away("far", [ValueError("bad")])
    assert type(travelled(error)) is type(error)
    monkeypatch.delitem(sys.modules, "there")
    back = travelled(error)
    assert isinstance(back, RemoteError)
    assert back.type_name == "there.Away"


@pytest.mark.parametrize("error", [Refusals("bank", [ValueError("bad")]), Keyworded([ValueError("bad")], code=5)])
def test_a_group_with_arguments_of_its_own_comes_back_with_its_attributes(error: Any) -> None:
    """Whatever its constructor takes."""
    back: Any = travelled(error)
    assert type(back) is type(error)
    assert (back.message, str(back)) == (error.message, str(error))
    assert vars(back).items() >= vars(error).items()
    assert [type(each) for each in back.exceptions] == [ValueError]


def test_what_is_no_group_is_not_made_one() -> None:
    """A payload may say anything."""
    codec = Codec("test")
    held = {"type": ("builtins", "ValueError"), "message": "m", "traceback": ""}
    for kind in ("ValueError", "dict", "print"):
        wire = {"type": ("builtins", kind), "message": "m", "traceback": "", "group": ("m", [held])}
        payload = codec._envelope.wrap(failures.pack(wire), "error", "key", "task")
        assert isinstance(codec.decode_error("task", "key", payload), RemoteError)


def test_a_group_is_whole_or_a_remote_error() -> None:
    """Who splits a group by type must not miss some of it; the traceback shows them."""
    whole = travelled(ExceptionGroup("many", [ValueError(n) for n in range(MOST_HELD)]))
    assert isinstance(whole, ExceptionGroup)
    assert [each.args for each in whole.exceptions] == [(n,) for n in range(MOST_HELD)]
    back = travelled(ExceptionGroup("many", [ValueError(n) for n in range(MOST_HELD + 1)]))
    assert isinstance(back, RemoteError)
    assert back.message == f"many ({MOST_HELD + 1} sub-exceptions)"
    assert "ValueError: 0" in back.traceback


def test_all_groups_of_a_tree_count_together() -> None:
    """Ten groups of ten hold a hundred and ten."""
    group = ExceptionGroup("outer", [ExceptionGroup("inner", [ValueError(n) for n in range(10)])] * 10)
    assert isinstance(travelled(group), RemoteError)


def test_a_group_that_is_too_deep_is_a_remote_error_in_its_place() -> None:
    """The levels around it come back."""
    back: BaseException = travelled(nested(MOST_LEVELS))
    for _ in range(MOST_LEVELS):
        assert isinstance(back, ExceptionGroup)
        (back,) = back.exceptions
    assert type(back) is ValueError
    back = travelled(nested(MOST_LEVELS + 2))
    for _ in range(MOST_LEVELS):
        assert isinstance(back, ExceptionGroup)
        (back,) = back.exceptions
    assert isinstance(back, RemoteError)
    assert back.type_name == "ExceptionGroup"


@pytest.mark.parametrize("kind", [Hostile, Empty])
def test_a_hostile_group_comes_back_with_what_it_holds(kind: type[ExceptionGroup[Exception]]) -> None:
    """That the task failed must be known, whatever it failed with."""
    back: Any = travelled(kind("hostile", [ValueError("bad")]))
    assert type(back) is kind
    assert [str(each) for each in ExceptionGroup.exceptions.__get__(back)] == ["bad"]


def test_large_members_get_their_share_of_the_room() -> None:
    """What does not fit is left out of the one that is too large."""
    large = ValueError("a" * 5_000_000)
    large.detail = "b" * 5_000_000  # type: ignore[attr-defined] # any attribute can be set
    back = travelled(ExceptionGroup("several", [large, KeyError("small")]))
    assert isinstance(back, ExceptionGroup)
    cut, small = back.exceptions
    assert isinstance(cut, RemoteError)
    assert "... cut ..." in cut.message
    assert (type(small), small.args) == (KeyError, ("small",))


def test_members_that_fit_keep_all_they_have() -> None:
    """Each may be as large as its share, and the group as all of them together."""
    held = [ValueError(n) for n in range(6)]
    for each in held:
        each.detail = b"x" * 40_000  # type: ignore[attr-defined] # any attribute can be set
    back: Any = travelled(ExceptionGroup("several", held))
    assert [len(each.detail) for each in back.exceptions] == [40_000] * 6
    back = travelled(ExceptionGroup("several", [ExceptionGroup("inner", held[:2]), *held[2:5]]))
    assert [len(each.detail) for each in (*back.exceptions[0].exceptions, *back.exceptions[1:])] == [40_000] * 5


def test_a_group_that_does_not_fit_is_shown() -> None:
    """A small limit leaves no room for members."""
    back = travelled(ExceptionGroup("several", [ValueError("x" * 300) for _ in range(50)]), 3000)
    assert isinstance(back, RemoteError)
    assert back.message == "several (50 sub-exceptions)"


def test_what_msgpack_can_not_carry_plainly_travels_inside_a_group_too() -> None:
    """Huge numbers and half surrogate pairs take a slower way through all levels."""
    back = travelled(ExceptionGroup("several", [ValueError(2**70, "\ud800")]))
    assert isinstance(back, ExceptionGroup)
    assert back.exceptions[0].args == (2**70, "\ud800")

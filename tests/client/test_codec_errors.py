"""Exceptions come back as themselves where that is safe, and readable everywhere."""

import asyncio
import sys
import types
from typing import Any, Self

import pytest

from shadows.codec.codec import Codec
from shadows.errors import ExecutionCancelled, NewerFormat, PayloadError, QuarantinedTask, RemoteError
from tests.client.roundtrips import taking, type_name


class Declined(Exception):
    """Takes other arguments than it passes on, as many do."""

    def __init__(self, code: int, bank: str) -> None:
        super().__init__(f"{bank} says {code}")
        self.code = code
        self.bank = bank
        self.connection = object()


class Stubborn(Exception):
    """Can be made once only."""

    made = False

    def __new__(cls, *args: Any) -> Self:
        if cls.made:
            raise RuntimeError("only once")
        cls.made = True
        return super().__new__(cls, *args)


class Copied(Exception):
    """Tells pickle how it is made."""

    def __init__(self, code: int, *, bank: str) -> None:
        super().__init__(f"{bank} says {code}")
        self.code = code

    def __reduce__(self) -> Any:
        return (copied, (self.code,))


def copied(code: int) -> Copied:
    return Copied(code, bank="bank")


class Unpicklable(Exception):
    def __reduce__(self) -> Any:
        raise RuntimeError("no pickle")


class Hostile(Exception):
    @property
    def args(self) -> Any:  # type: ignore[override]  # an exception may override anything
        raise RuntimeError("no arguments")

    @property
    def __cause__(self) -> Any:  # type: ignore[override]  # an exception may override anything
        raise RuntimeError("no cause")

    def __reduce__(self) -> Any:
        raise RuntimeError("no pickle")


class Forgetful(Exception):
    """Says something else each time."""

    count = 0

    def __str__(self) -> str:
        Forgetful.count += 1
        return str(Forgetful.count)


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Outer:
    class Inner(Exception):
        pass


def travelled(error: BaseException, maximum_bytes: int = 1 << 20) -> BaseException:
    codec = Codec("test", maximum_bytes=maximum_bytes)
    payload = codec.encode_error("task", "key", error)
    assert len(payload) <= maximum_bytes
    return codec.decode_error("task", "key", payload)


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad"),
        KeyError("a"),
        ValueError(),
        ValueError(1, [2, None], {"a": b"x"}),
        ValueError(2**70, "\ud800"),
        FileNotFoundError(2, "No such file", "/tmp/x"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        StopIteration(5),
        SystemExit(3),
        asyncio.CancelledError("why"),
        TimeoutError(),
        Outer.Inner("inner"),
        ExecutionCancelled("replaced"),
        QuarantinedTask("1-0", "killed"),
        NewerFormat(2, 1),
        RemoteError("a.B", "m", "tb"),
    ],
    ids=type_name,
)
def test_an_exception_whose_class_is_known_here_comes_back_as_itself(error: BaseException) -> None:
    """`except KeyError` around `get_result` must work."""
    back = travelled(error)
    assert type(back) is type(error)
    assert back.args == error.args
    assert str(back) == str(error) or "\ud800" in str(error)
    assert vars(back).items() >= vars(error).items()


def test_an_exception_with_arguments_of_its_own_comes_back_with_its_attributes() -> None:
    """What can't travel of them is left out, not the exception."""
    back = travelled(Declined(5, "bank"))
    assert isinstance(back, Declined)
    assert (str(back), back.code, back.bank) == ("bank says 5", 5, "bank")
    assert not hasattr(back, "connection")


def test_the_cause_shows_the_workers_traceback() -> None:
    """The line that failed is in another process."""
    back = travelled(raised(ValueError("bad")))
    assert isinstance(back.__cause__, RemoteError)
    assert back.__cause__.type_name == "ValueError"
    assert "in raised" in str(back.__cause__)
    assert str(back.__cause__).startswith("ValueError: bad\n\nTraceback (most recent call last)")


def test_the_traceback_shows_causes_too() -> None:
    """Half of all exceptions only wrap the real one."""
    outer = ValueError("outer")
    outer.__cause__ = raised(KeyError("the real one"))
    assert "the real one" in str(travelled(outer).__cause__)


def test_notes_travel() -> None:
    """They are written to be read."""
    error = ValueError("bad")
    error.add_note("while at it")
    assert travelled(error).__notes__ == ["while at it"]
    error.__notes__ = "nonsense"  # type: ignore[assignment]  # any object can be put there
    assert not hasattr(travelled(error), "__notes__")


def test_a_class_that_is_not_imported_here_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing a module named in Redis would run code of whoever can write there."""

    class Lazy(types.ModuleType):
        def __getattr__(self, name: str) -> Any:
            raise AssertionError("a lazy module was asked")

    module = types.ModuleType("there")
    error_class = type("Away", (Exception,), {"__module__": "there"})
    module.Away = error_class  # type: ignore[attr-defined]  # that is how modules are filled
    monkeypatch.setitem(sys.modules, "there", module)
    assert type(travelled(error_class("far"))) is error_class
    monkeypatch.setitem(sys.modules, "there", Lazy("there"))
    assert isinstance(travelled(error_class("far")), RemoteError)
    monkeypatch.delitem(sys.modules, "there")
    back = travelled(raised(error_class("far")))
    assert isinstance(back, RemoteError)
    assert (back.type_name, back.message) == ("there.Away", "far")
    assert str(back).startswith("there.Away: far\n\nTraceback")
    assert str(travelled(error_class())).startswith("there.Away\n")
    assert str(RemoteError("there.Away", "")) == "there.Away"


def test_a_name_that_is_no_exception_is_not_called() -> None:
    """The type in a payload may name anything."""
    for module, name in (
        ("builtins", "print"),
        ("builtins", "dict"),
        ("builtins", "ValueError.mro"),
        ("os", "system"),
    ):
        error_class = type("X", (Exception,), {"__module__": module, "__qualname__": name})
        assert isinstance(travelled(error_class("x")), RemoteError)


def test_an_exception_that_pickle_refuses_comes_back_by_its_arguments() -> None:
    """What is asked of it first need not be there."""

    back = travelled(Unpicklable("m"))
    assert isinstance(back, Unpicklable)
    assert back.args == ("m",)


def test_an_exception_that_can_not_be_rebuilt_is_still_shown() -> None:
    """A local class, an argument that can't travel, or a constructor that does not do it."""

    class Local(Exception):
        pass

    for error, message in (
        (Local("m"), "m"),
        (ValueError(object), "<class 'object'>"),
        (Stubborn("first"), "first"),
    ):
        back = travelled(raised(error))
        assert isinstance(back, RemoteError)
        assert back.message == message
        assert "Traceback" in back.traceback
    assert isinstance(travelled(Forgetful()), RemoteError)


@pytest.mark.parametrize("error", [Unspeakable(), ValueError(10**5000)], ids=type)
def test_an_exception_whose_message_can_not_be_had_comes_back(error: BaseException) -> None:
    """`except Unspeakable` has no need for words."""
    back = travelled(error)
    assert type(back) is type(error)
    assert "its message can't be had" in str(back.__cause__)


def test_an_exception_with_a_maker_of_its_own_comes_back_by_its_arguments() -> None:
    """The maker is no class: calling what a payload names would be calling anything."""
    back = travelled(Copied(5, bank="bank"))
    assert isinstance(back, Copied)
    assert (str(back), back.code) == ("bank says 5", 5)


def test_an_endless_exception_still_encodes() -> None:
    """The task failed: that much must be known."""
    endless: list[Any] = []
    endless.append(endless)
    error = ValueError(endless)
    error.endless = endless  # type: ignore[attr-defined]  # any attribute can be set
    assert isinstance(travelled(error), RemoteError)


def test_a_hostile_exception_still_encodes() -> None:
    """Whatever formatting and reading it stumble over must not hide that the task failed."""
    back = travelled(Hostile("m"))
    assert isinstance(back, RemoteError)
    assert back.message == "m"
    assert back.traceback == "<its traceback can't be had: RuntimeError>"


def test_a_huge_exception_is_cut() -> None:
    """It must fit in a record, whatever it holds."""
    error = raised(ValueError("a" * 5_000_000))
    error.add_note("b" * 5_000_000)
    error.detail = "c" * 5_000_000  # type: ignore[attr-defined]  # any attribute can be set
    back = travelled(error)
    assert isinstance(back, RemoteError)
    assert len(str(back)) < 40_000
    assert "... cut ..." in back.message
    small = travelled(ValueError("a" * 5000), 2000)
    assert isinstance(small, RemoteError)


def test_a_recursion_error_is_readable() -> None:
    """Its traceback has a thousand frames."""

    def endless() -> None:
        endless()

    with pytest.raises(RecursionError) as caught:
        endless()
    back = travelled(caught.value)
    assert type(back) is RecursionError
    assert len(str(back.__cause__)) < 20_000


def test_an_error_is_no_call() -> None:
    """Each decoder takes its own kind only."""
    codec = Codec("test")
    with pytest.raises(PayloadError):
        codec.decode_call(taking(int), "task", "key", codec.encode_error("task", "key", ValueError("bad")))
    with pytest.raises(PayloadError):
        codec.decode_error("task", "key", codec.encode_call(None, "task", "key", (), {}))

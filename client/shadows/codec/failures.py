"""Exceptions on their way back to who waits: type, message, arguments and the worker's traceback."""

import traceback
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from shadows.codec.imported import imported_class
from shadows.codec.packing import decoder, pack
from shadows.codec.plans import LOOSE, Mismatch
from shadows.errors import RemoteError

# Enough for some fifty frames; the start and the end of a longer text are kept, for they name cause and
# culprit.
LONGEST_TEXT = 16 * 1024
SHORTEST_TEXT = 64
MOST_NOTES = 20
MOST_FRAMES = 50
# A group comes back as itself only whole; one that is deeper or larger is a RemoteError, whose traceback shows most of
# it. More would be a tree that nobody reads, and its parts would get no room for their own texts.
MOST_LEVELS = 8
MOST_HELD = 100


class Failure(Struct):
    """What is stored of an exception; `args`, `state` and `group` only where they come back as they were."""

    type: tuple[str, str]
    message: str
    traceback: str
    notes: list[str] = []
    args: list[Any] | UnsetType = UNSET
    state: dict[str, Any] = {}
    # Of an exception group: its message without the count, and what it holds. A reader that does not know this field
    # finds no `args` either, and shows a RemoteError.
    group: tuple[str, list["Failure"]] | UnsetType = UNSET


_unpack = decoder(Failure).decode
# What a group really holds, whatever its class says of it: that may be nothing, or the group itself.
_members = BaseExceptionGroup.exceptions.__get__
_message = BaseExceptionGroup.message.__get__


def dump(error: BaseException, maximum_bytes: int) -> bytes:
    """The exception as msgpack, within `maximum_bytes`; whatever can't travel is left out, never an error."""
    held = _held(error)
    if not held:
        return pack(_wire(error, maximum_bytes, 0, MOST_LEVELS))
    half = maximum_bytes // 2
    return pack(_wire(error, half, half // held, MOST_LEVELS))


def _wire(error: BaseException, own_bytes: int, share: int, levels: int) -> dict[str, Any]:
    """The fields of a `Failure`: it has `own_bytes` for itself, and `share` for each that it holds."""
    kind = type(error)
    longest = min(LONGEST_TEXT, max(own_bytes // 16, SHORTEST_TEXT))
    essentials = {
        "type": (_text(kind.__module__, longest), _text(kind.__qualname__, longest)),
        "message": _text(error, longest),
        "traceback": _traceback(error, longest),
    }
    try:
        full = essentials | _more(error, longest // 4, share, levels)
        return full if len(pack(full)) <= own_bytes + share * _held(error) else essentials
    except Exception:  # an exception may override all that is asked of it here
        return essentials


def _more(error: BaseException, longest: int, share: int, levels: int) -> dict[str, Any]:
    more: dict[str, Any] = {}
    notes = getattr(error, "__notes__", None)
    if isinstance(notes, list):
        more["notes"] = [_text(note, longest) for note in notes[:MOST_NOTES]]
    args, state = _parts(error)
    more["state"] = {name: value for name, value in state.items() if _travels(value)}
    if isinstance(error, BaseExceptionGroup):
        if levels and _held(error) <= MOST_HELD:
            more["group"] = _message(error), [_wire(each, share, share, levels - 1) for each in _members(error)]
    elif _travels(args):
        more["args"] = args
    return more


def _held(error: BaseException) -> int:
    """How many exceptions a group holds, those of groups in it included; at most one more than may travel."""
    count = 0
    waiting = [error]
    while waiting and count <= MOST_HELD:
        each = waiting.pop()
        if isinstance(each, BaseExceptionGroup):
            waiting += _members(each)
            count += len(_members(each))
    return min(count, MOST_HELD + 1)


def _parts(error: BaseException) -> tuple[list[Any], dict[str, Any]]:
    """What makes the exception again, as pickle sees it: an OSError's `args` lack its file, for one."""
    parts = list(error.args), dict(vars(error))
    try:
        reduced: str | tuple[Any, ...] = error.__reduce__()
    except Exception:  # whatever a `__reduce__` of the user's does
        reduced = ""
    if isinstance(reduced, tuple) and reduced[0] is type(error):
        parts = list(reduced[1]), dict(reduced[2] if len(reduced) > 2 else {})
    parts[1].pop("__notes__", None)
    return parts


def _travels(value: Any) -> bool:
    try:
        pack(LOOSE.dump(value))
    except (Mismatch, TypeError, ValueError, RecursionError):
        return False
    return True


def _text(value: object, longest: int) -> str:
    try:
        text = str(value)
    except BaseException as error:
        text = f"<its message can't be had: {type(error).__name__}>"
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= longest else f"{text[: longest // 2]}\n... cut ...\n{text[-longest // 2 :]}"


def _traceback(error: BaseException, longest: int) -> str:
    try:
        lines = traceback.format_exception(error, limit=-MOST_FRAMES)
    except Exception as problem:  # a hostile exception must not hide that the task failed
        lines = [f"<its traceback can't be had: {type(problem).__name__}>"]
    return _text("".join(lines), longest)


def load(body: bytes) -> BaseException:
    """The exception, rebuilt if its class is at hand here; its `__cause__` shows the worker's traceback."""
    return _loaded(_unpack(body))


def _loaded(failure: Failure) -> BaseException:
    module, qualified_name = failure.type
    type_text = qualified_name if module == "builtins" else f"{module}.{qualified_name}"
    remote = RemoteError(type_text, failure.message, failure.traceback)
    error = _rebuilt(imported_class(module, qualified_name), failure)
    if error is None:
        error = remote
    else:
        error.__cause__ = remote
    for note in failure.notes:
        error.add_note(note)
    return error


def _rebuilt(kind: type | None, failure: Failure) -> BaseException | None:
    if kind is None or not issubclass(kind, BaseException):
        return None
    builders = [_constructed, _revived]
    if failure.group is not UNSET:
        message, held = failure.group
        args: tuple[Any, ...] = (message, [_loaded(each) for each in held])
        builders.append(_grouped)
    elif failure.args is not UNSET:
        args = tuple(failure.args)
    else:
        return None
    for build in builders:
        try:
            error: BaseException = build(kind, args)
            error.__setstate__(failure.state)
            if _is(error, kind) and _text(error, LONGEST_TEXT) == failure.message:
                return error
        except Exception:  # whatever a constructor of the user's raises
            continue
    return None


def _is(error: BaseException, kind: type) -> bool:
    """A BaseExceptionGroup whose members all came back as an Exception, such as RemoteError, is an ExceptionGroup."""
    return type(error) is kind or (kind is BaseExceptionGroup and type(error) is ExceptionGroup)


def _constructed(kind: type[BaseException], args: tuple[Any, ...]) -> BaseException:
    return kind(*args)


def _revived(kind: type[BaseException], args: tuple[Any, ...]) -> BaseException:
    """Without its `__init__`, which often takes other arguments than those that `args` keeps."""
    return kind.__new__(kind, *args)


def _grouped(kind: type[BaseException], args: tuple[Any, ...]) -> BaseException:
    """A group whose class takes other arguments than a group does."""
    return BaseExceptionGroup.__new__(kind, *args)  # type: ignore[type-var] # the caller looked what it is

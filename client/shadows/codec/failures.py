"""Exceptions on their way back to who waits: type, message, arguments and the worker's traceback."""

import traceback
from typing import Any

from msgspec import UNSET, Struct, UnsetType, structs

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


class Failure(Struct):
    """What is stored of an exception; `args` and `state` only where they come back as they were."""

    type: tuple[str, str]
    message: str
    traceback: str
    notes: list[str] = []
    args: list[Any] | UnsetType = UNSET
    state: dict[str, Any] = {}


_unpack = decoder(Failure).decode


def dump(error: BaseException, maximum_bytes: int) -> bytes:
    """The exception as msgpack, within `maximum_bytes`; whatever can't travel is left out, never an error."""
    kind = type(error)
    longest = min(LONGEST_TEXT, max(maximum_bytes // 16, SHORTEST_TEXT))
    failure = Failure(
        type=(_text(kind.__module__, longest), _text(kind.__qualname__, longest)),
        message=_text(error, longest),
        traceback=_traceback(error, longest),
    )
    essentials = _packed(failure)
    try:
        _complete(failure, error, longest // 4)
        full = _packed(failure)
    except Exception:  # an exception may override all that is asked of it here
        return essentials
    return full if len(full) <= maximum_bytes else essentials


def _complete(failure: Failure, error: BaseException, longest: int) -> None:
    notes = getattr(error, "__notes__", None)
    if isinstance(notes, list):
        failure.notes = [_text(note, longest) for note in notes[:MOST_NOTES]]
    args, state = _parts(error)
    failure.args = args if _travels(args) else UNSET
    failure.state = {name: value for name, value in state.items() if _travels(value)}


def _packed(failure: Failure) -> bytes:
    # Not by msgspec's own encoder: `args` may hold what only `pack` carries.
    return pack({name: value for name, value in structs.asdict(failure).items() if value is not UNSET})


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
    failure: Failure = _unpack(body)
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
    if kind is None or not issubclass(kind, BaseException) or failure.args is UNSET:
        return None
    args = tuple(failure.args)
    for build in (_constructed, _revived):
        try:
            error: BaseException = build(kind, args)
            error.__setstate__(failure.state)
            if type(error) is kind and _text(error, LONGEST_TEXT) == failure.message:
                return error
        except Exception:  # whatever a constructor of the user's raises
            continue
    return None


def _constructed(kind: type[BaseException], args: tuple[Any, ...]) -> BaseException:
    return kind(*args)


def _revived(kind: type[BaseException], args: tuple[Any, ...]) -> BaseException:
    """Without its `__init__`, which often takes other arguments than those that `args` keeps."""
    return kind.__new__(kind, *args)

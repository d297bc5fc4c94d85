"""What the codec says when it refuses: what happened with which value, what was expected, what to do."""

from typing import Any

from shadows.codec.plans import Mismatch, shown, type_name
from shadows.codec.signature import TaskSignature
from shadows.errors import ArgumentsError, PayloadError

PICKLE = 'use serializer="pickle"'
SIMPLER = f"Return None, numbers, text, lists or dictionaries, annotate what the task returns, or {PICKLE}."


def argument(function_name: str, name: str, mismatch: Mismatch, signature: TaskSignature | None) -> str:
    """An argument that its annotation does not allow, or that would come back as something else."""
    where = f"{function_name}(): the argument {name}{mismatch.path}"
    if signature is None:
        return (
            f"{where} is {shown(mismatch.value)}. {function_name!r} is not registered here, so only None, "
            f"bool, int, "
            f"float, str, bytes, and lists and dictionaries of them can be passed. Register the function, "
            f"or pass one "
            f"of these."
        )
    if mismatch.changed:
        return (
            f"{where} is {shown(mismatch.value)}, which would not come back as it is: expected "
            f"{mismatch.expected}. "
            f"Annotate the parameter with the exact type of what you pass, pass something simpler, or "
            f"{PICKLE}."
        )
    return (
        f"{where} is {shown(mismatch.value)}, but its annotation expects {mismatch.expected}. Pass such a "
        f"value, or "
        f"correct the annotation."
    )


def result(function_name: str, mismatch: Mismatch) -> str:
    """A result that neither its annotation nor msgpack can carry."""
    where = f"result{mismatch.path}"
    return (
        f"{function_name}(): the {where} is {shown(mismatch.value)}, which would not come back as it is: "
        f"expected "
        f"{mismatch.expected}. {SIMPLER}"
    )


def value(mismatch: Mismatch) -> ArgumentsError:
    """A value that stands alone and has no form."""
    return ArgumentsError(
        f"The value{mismatch.path} is {shown(mismatch.value)}, which would not come back as it is: expected "
        f"{mismatch.expected}. Pass one of these, or {PICKLE}."
    )


def stale(kind: str, function_name: str, name: str, mismatch: Mismatch) -> str:
    """A stored wire form that the annotation of today does not allow.

    Shows no value: this is read in logs and in the quarantine, where arguments have no place.
    """
    where = f"the argument {name}{mismatch.path}" if name else f"the value{mismatch.path}"
    return (
        f"A stored {kind} of {function_name}() does not fit its annotation: {where} is stored as "
        f"{type_name(type(mismatch.value))}, expected {mismatch.expected}. It was stored by another version "
        f"of the "
        f"task, or by a process that knew only its name: correct one of the two, and retry it."
    )


def damaged(kind: str, function_name: str, error: BaseException) -> PayloadError:
    """Bytes that are no msgpack, or not the msgpack that is expected."""
    return PayloadError(
        f"A stored {kind} of {function_name}() can't be decoded ({type(error).__name__}: {error}): it is "
        f"damaged, or "
        f"something else wrote it."
    )


def unpackable_arguments(function_name: str, error: BaseException) -> ArgumentsError:
    """Arguments that the plans let pass and msgpack does not, such as a list that holds itself."""
    why = "are nested too deep, or hold themselves" if isinstance(error, RecursionError) else f"{error}"
    return ArgumentsError(
        f"{function_name}(): the arguments can't be encoded: {why}. Pass something simpler, or {PICKLE}."
    )


def pickling(subject: str, error: BaseException) -> str:
    """An object that cloudpickle refuses."""
    return (
        f"{subject} can't be pickled ({type(error).__name__}: {error}). Pass plain data instead of open "
        f"files, locks "
        f"and connections."
    )


def unpickling(subject: str, error: BaseException) -> str:
    """A pickle that does not load here."""
    return (
        f"{subject} can't be unpickled ({type(error).__name__}: {error}). Make the same modules importable "
        f"here as "
        f"where it was written."
    )


def not_a_call(subject: str, call: Any) -> str:
    """A pickle that loads, but is not what a call looks like."""
    return f"{subject} is {shown(call)} once unpickled, and no arguments: something else wrote it."

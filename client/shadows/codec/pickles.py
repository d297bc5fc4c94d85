"""Pickled bodies, for shadows whose user chose `serializer="pickle"`.

Any object, and trust in all writers.
"""

from typing import Any

from shadows import lazy
from shadows.codec import refusals
from shadows.errors import ArgumentsError, PayloadError, ShadowsError


def dump(value: Any, subject: str, refusal: type[ShadowsError] = ArgumentsError) -> bytes:
    """The pickle of `value`, functions and classes of the main module included.

    `subject` is for the refusal.
    """
    cloudpickle = lazy.cloudpickle()
    try:
        pickled: bytes = cloudpickle.dumps(value)
    except Exception as error:  # whatever the object's own methods raise
        raise refusal(refusals.pickling(subject, error)) from error
    return pickled


def load(body: bytes, subject: str) -> Any:
    """The inverse of `dump`.

    Runs code of whoever wrote the body: only call it when the user chose pickles.
    """
    cloudpickle = lazy.cloudpickle()
    try:
        return cloudpickle.loads(body)
    except Exception as error:
        raise PayloadError(refusals.unpickling(subject, error)) from error


def load_call(body: bytes, subject: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a pickled call."""
    call = load(body, subject)
    if type(call) is tuple and len(call) == 2 and type(call[0]) is tuple and type(call[1]) is dict:
        return call
    raise PayloadError(refusals.not_a_call(subject, call))

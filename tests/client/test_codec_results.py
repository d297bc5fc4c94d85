"""Results come back as what their annotations say, or are refused."""

from datetime import date
from typing import Any

import pytest

from shadows.codec.codec import Codec
from shadows.errors import PayloadError, ResultError
from tests.client.roundtrips import returned, returning, type_name


class Point:
    def __init__(self, x: int) -> None:
        self.x = x


RESULTS = [
    (date, date(2026, 1, 1)),
    (None, None),
    (int, 5),
    (list[set[int]], [{1}]),
    (float, 1.5),
    (Any, {"a": [1]}),
]


@pytest.mark.parametrize(("annotation", "value"), RESULTS, ids=type_name)
def test_a_result_comes_back_as_its_annotation_says(annotation: Any, value: Any) -> None:
    """`get_result` returns what the task returned."""
    assert returned(annotation, value) == value
    assert type(returned(annotation, value)) is type(value)


def test_a_result_that_is_not_what_its_annotation_says_is_kept_if_msgpack_can() -> None:
    """The task has run: failing it now, for an annotation, would run it again."""
    assert returned(None, 5) == 5
    assert returned(date, "tomorrow") == "tomorrow"
    assert returned(list[date], [1]) == [1]
    assert returned(float, 3) == 3


@pytest.mark.parametrize("value", [(1, 2), Point(1), [Point(1)]], ids=type_name)
def test_a_result_that_would_change_is_refused(value: Any) -> None:
    """The caller would get something else than the task returned."""
    with pytest.raises(ResultError, match="would not come back as it is"):
        returned(Any, value)


def test_a_result_without_end_is_refused() -> None:
    """It can't be stored."""
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ResultError, match=r"result of task\(\) can't be stored"):
        returned(Any, endless)


def test_a_result_whose_function_is_unknown_here_comes_back_plain() -> None:
    """The operator's tools know no task functions."""
    codec = Codec("test")
    payload = codec.encode_result(returning(date), "task", "key", date(2026, 1, 1))
    assert codec.decode_result(None, "task", "key", payload) == "2026-01-01"


def test_a_result_of_another_version_is_a_payload_error() -> None:
    """The annotation changed while the result waited."""
    codec = Codec("test")
    payload = codec.encode_result(returning(date), "task", "key", date(2026, 1, 1))
    with pytest.raises(PayloadError, match="stored result of task"):
        codec.decode_result(returning(set[int]), "task", "key", payload)

"""What keeps an execution from running, decided from values."""

import pytest

from shadows.obstacles import Crew, Reason, obstacles, scheduled_by

NOBODY = Crew()
FREE = Crew(workers=2, knowing=1, serving=1, slots=20, taken=19)
FULL = Crew(workers=2, knowing=1, serving=1, slots=20, taken=20)
OTHERS = Crew(workers=2, knowing=2, serving=0, slots=20, taken=0)
STRANGERS = Crew(workers=2, knowing=0, slots=20, taken=0)


@pytest.mark.parametrize(
    ("submission", "generation", "is_renamed", "attempt", "reason"),
    [
        (7, 7, False, 1, Reason.WHEN),
        (7, 7, True, 1, Reason.NEXT_RUN),
        (7, 9, True, 2, Reason.RETRY),
        (7, 9, True, 1, Reason.PUT_OFF),
    ],
)
def test_who_scheduled_it_follows_from_its_numbers(
    submission: int, generation: int, is_renamed: bool, attempt: int, reason: Reason
) -> None:
    assert scheduled_by(submission, generation, is_renamed, attempt) is reason


@pytest.mark.parametrize(
    ("place", "crew", "paused", "struck", "reasons"),
    [
        ("stream", NOBODY, False, False, "no_worker"),
        ("stream", FREE, False, False, "soon"),
        ("stream", FULL, False, False, "busy"),
        ("stream", STRANGERS, False, False, "unknown_function"),
        ("stream", FULL, True, False, "paused"),
        ("stream", NOBODY, True, True, "paused no_worker struck"),
        ("low", OTHERS, False, False, "unserved_priority"),
        ("low", OTHERS, True, False, "unserved_priority paused"),
        ("returned", FULL, False, False, "busy"),
        ("waiting", FULL, False, False, "gate"),
        ("waiting", NOBODY, False, False, "gate no_worker"),
        ("suspects", FULL, False, False, "suspect"),
        ("unknown:f", STRANGERS, False, False, "unknown_function"),
        ("unknown:f", NOBODY, False, False, "unknown_function no_worker"),
        ("unknown:f", FULL, False, False, "soon"),
        ("unknown:\0format 9", FREE, False, False, "newer_format"),
        ("unknown:\0format 9", NOBODY, False, False, "newer_format no_worker"),
        ("paused:f", FREE, True, False, "paused"),
        ("paused:f", FULL, False, False, "soon"),
    ],
)
def test_what_keeps_a_queued_one_from_running(place: str, crew: Crew, paused: bool, struck: bool, reasons: str) -> None:
    assert " ".join(obstacles(place, crew, paused, struck)) == reasons

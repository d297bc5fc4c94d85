"""When an execution is due, in the form that the scripts take: "" now, "<ms>" at that time, "+<ms>" from now."""

from datetime import UTC, datetime, timedelta

from .errors import ArgumentsError

type When = datetime | timedelta | None


def due_text(when: When) -> str:
    """A relative time travels as a duration and is added to Redis's clock, so that no host's clock matters.

    Raises ArgumentsError for a datetime without a time zone.
    """
    if when is None:
        return ""
    if isinstance(when, timedelta):
        return f"+{max(0, round(when.total_seconds() * 1000))}"
    if not isinstance(when, datetime):
        raise ArgumentsError(
            f"`when` is {when!r}, a {type(when).__name__}; expected an aware datetime, a timedelta from now, or None."
        )
    if when.tzinfo is None:
        raise ArgumentsError(
            f"`when` is {when.isoformat()}, without a time zone, which means another moment on each host; "
            "write datetime.now(timezone.utc) + ..., or pass a timedelta from now."
        )
    return str(max(0, round(when.timestamp() * 1000)))


def absolute(when: When) -> datetime | None:
    """About when an execution is due, by this host's clock; what counts is Redis's."""
    return datetime.now(UTC) + when if isinstance(when, timedelta) else when

"""The options of a worker, refused when they can't be right."""

from collections.abc import Sequence
from datetime import timedelta

from shadows.errors import ConfigurationError
from shadows.priorities import PRIORITIES, Priority
from shadows.settings import require_duration, require_text


def check(
    name: str | None,
    concurrency: int,
    redelivery_timeout: timedelta,
    reconnection_delay: timedelta,
    minimum_check_interval: timedelta,
    scheduling_resolution: timedelta,
    priorities: Sequence[Priority],
) -> None:
    """Raises ConfigurationError, naming the option."""
    if name is not None:
        require_text("worker's name", name)
    if not isinstance(concurrency, int) or isinstance(concurrency, bool) or concurrency < 1:
        raise ConfigurationError(
            f"concurrency is {concurrency!r}; expected a whole number from 1, how many tasks may run at a time."
        )
    least = timedelta(milliseconds=1)
    require_duration("redelivery_timeout", redelivery_timeout, least)
    require_duration("reconnection_delay", reconnection_delay, least)
    require_duration("minimum_check_interval", minimum_check_interval, least)
    require_duration("scheduling_resolution", scheduling_resolution, least)
    if isinstance(priorities, str) or not priorities or any(each not in PRIORITIES for each in priorities):
        raise ConfigurationError(
            f'priorities is {priorities!r}; expected at least one of "high", "normal" and "low", in a list.'
        )

"""Options of a worker that can't be right are refused when it is made."""

from datetime import timedelta
from typing import Any

import pytest

from shadows import Shadow, Worker
from shadows.errors import ConfigurationError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "\udcff"}, r"The worker's name '\\udcff' is no text"),
        ({"concurrency": 0}, "concurrency is 0; expected a whole number from 1"),
        ({"concurrency": 2.5}, "concurrency is 2.5"),
        ({"concurrency": True}, "concurrency is True"),
        ({"redelivery_timeout": timedelta(0)}, "redelivery_timeout is"),
        ({"reconnection_delay": 5}, "reconnection_delay is 5; expected a timedelta"),
        ({"minimum_check_interval": timedelta(0)}, "minimum_check_interval is"),
        ({"scheduling_resolution": timedelta(0)}, "scheduling_resolution is"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], message: str) -> None:
    """With the value seen and what was expected."""
    with pytest.raises(ConfigurationError, match=message):
        Worker(Shadow(), **options)

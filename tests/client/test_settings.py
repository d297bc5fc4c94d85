"""Settings come from arguments and the environment, and are refused at once when they can't be right."""

from datetime import timedelta
from typing import Any

import pytest

from shadows import Shadow
from shadows.errors import ConfigurationError
from shadows.settings import Settings

VARIABLES = ("SHADOWS_NAME", "SHADOWS_URL", "SHADOWS_SERIALIZER", "SHADOWS_SECRET")


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What whoever runs the tests has set is not what they are about."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def settings(**given: Any) -> Settings:
    return Shadow(**given).settings


def test_the_defaults_are_those_of_the_documents() -> None:
    """A `Shadow()` in the first example."""
    made = settings()
    assert (made.name, made.url, made.serializer, made.secret) == (
        "shadows",
        "redis://localhost:6379/0",
        "msgpack",
        None,
    )
    assert made.lease == timedelta(seconds=10)
    assert made.ttl_ms == 15 * 60 * 1000


def test_the_environment_fills_in_what_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """And an argument wins over it."""
    for variable, value in zip(VARIABLES, ("orders", "redis://there/1", "pickle", "secret"), strict=True):
        monkeypatch.setenv(variable, value)
    made = settings()
    assert (made.name, made.url, made.serializer, made.secret) == ("orders", "redis://there/1", "pickle", b"secret")
    made = settings(name="mine", url="redis://here", serializer="msgpack", secret=b"other")
    assert (made.name, made.url, made.serializer, made.secret) == ("mine", "redis://here", "msgpack", b"other")


def test_an_empty_secret_in_the_environment_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """`SHADOWS_SECRET=` in a unit file switches signing off."""
    monkeypatch.setenv("SHADOWS_SECRET", "")
    assert settings().secret is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": ""}, "can't be named ''"),
        ({"name": "\ud800"}, r"The shadow's name '\\ud800' is no text: surrogates"),
        ({"name": b"orders"}, "The shadow's name b'orders' is a bytes; expected a str"),
        ({"name": "a}b"}, "without braces"),
        ({"name": "a{b"}, "without braces"),
        ({"heartbeat_interval": timedelta(milliseconds=9)}, "heartbeat_interval is .*at least 0.01 s"),
        ({"heartbeat_interval": 2}, "heartbeat_interval is 2; expected a timedelta"),
        ({"execution_ttl": timedelta(seconds=-1)}, "execution_ttl is"),
        ({"missed_heartbeats": 1}, "missed_heartbeats is 1; expected at least 2"),
        ({"serializer": "json"}, "'json' is not known; expected 'msgpack' or 'pickle'"),
        ({"url": "http://x"}, "has the scheme 'http'"),
        ({"secret": ""}, "secret"),
    ],
)
def test_a_setting_that_can_not_be_right_is_refused(given: dict[str, Any], message: str) -> None:
    """When the `Shadow` is made, never an hour later."""
    with pytest.raises(ConfigurationError, match=message):
        Shadow(**given)


def test_a_ttl_of_nothing_is_right() -> None:
    """It means that nothing is kept."""
    assert settings(execution_ttl=timedelta(0)).ttl_ms == 0

"""URLs are checked before anything is connected, and shown without their passwords."""

import pytest

from shadows.errors import ConfigurationError
from shadows.urls import checked, redacted


@pytest.mark.parametrize(
    ("url", "form"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://localhost", "redis://localhost"),
        ("rediss://user:pass@host:1/3", "rediss://user:pass@host:1/3"),
        ("valkey://localhost/2", "redis://localhost/2"),
        ("valkeys://localhost/2", "rediss://localhost/2"),
        ("unix:///run/redis.sock?db=2", "unix:///run/redis.sock?db=2"),
        ("embedded://", "embedded://"),
        ("embedded:///some/dir", "embedded:///some/dir"),
    ],
)
def test_a_url_is_brought_into_the_form_that_redis_py_takes(url: str, form: str) -> None:
    """Valkey speaks the same protocol; an embedded server's address is known when it runs."""
    assert checked(url) == form


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://localhost", "has the scheme 'http'; expected one of redis://"),
        ("localhost:6379", "has the scheme 'localhost'"),
        ("", "has the scheme ''"),
        ("redis://localhost:port/0", "a port that is not a number"),
        ("redis://localhost:70000/0", "a port that is not a number from 0 to 65535"),
        ("redis://localhost:6379/zero", "names the database 'zero'; expected a number"),
        ("redis://[::1", "can't be read.*an IPv6 address in brackets"),
        ("redis+sentinel://a,b/mymaster", "asks for sentinel support"),
        ("rediss+cluster://a", "asks for cluster support"),
    ],
)
def test_a_wrong_url_is_refused_with_what_is_wrong_about_it(url: str, message: str) -> None:
    """At once, and not at the first call."""
    with pytest.raises(ConfigurationError, match=message):
        checked(url)


@pytest.mark.parametrize("url", ["redis://u:secret@host:port/0", "redis://:secret@host/zero", "xyz://u:secret@host/"])
def test_an_error_does_not_show_the_password(url: str) -> None:
    """It ends up in logs."""
    with pytest.raises(ConfigurationError) as caught:
        checked(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://user:secret@host:1/0", "redis://user:***@host:1/0"),
        ("redis://:secret@host:1/0", "redis://:***@host:1/0"),
        ("redis://user@host:1/0", "redis://user@host:1/0"),
        ("unix:///run/s.sock?db=2&password=secret", "unix:///run/s.sock?db=2&password=***"),
        ("redis://user:s@ecret@host/0", "redis://user:***@host/0"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    """Wherever it stands, and also when it holds an @."""
    assert redacted(url) == shown

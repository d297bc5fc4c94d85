"""Redis URLs: which ones we take, and how they may be shown."""

import re
from urllib.parse import urlsplit

from .errors import ConfigurationError

DEFAULT_URL = "redis://localhost:6379/0"

SCHEMES = {
    "redis": "redis",
    "rediss": "rediss",
    "unix": "unix",
    "valkey": "redis",
    "valkeys": "rediss",
    "embedded": "embedded",
}
# A unix:// URL has its password in the query.
PASSWORD = re.compile(r"([?&][^=&]*password[^=&]*=)[^&]*", re.IGNORECASE)
LATER = ("redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")


def checked(url: str) -> str:
    """Returns `url` in the form that redis-py takes; `embedded://` URLs stay as they are.

    Raises ConfigurationError when the scheme, the port or the database can't be right.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ConfigurationError(
            f"The URL {redacted(url)!r} can't be read: {error}. Write it as {DEFAULT_URL}, an IPv6 address in brackets."
        ) from None
    if parts.scheme in LATER:
        raise ConfigurationError(
            f"The URL {redacted(url)!r} asks for {parts.scheme.split('+')[1]} support, which this release does not "
            "have yet; point it at the primary itself with redis:// or rediss://."
        )
    if parts.scheme not in SCHEMES:
        raise ConfigurationError(
            f"The URL {redacted(url)!r} has the scheme {parts.scheme!r}; expected one of "
            f"{', '.join(f'{scheme}://' for scheme in SCHEMES)}. For a local server use {DEFAULT_URL!r}."
        )
    try:
        port = parts.port
    except ValueError:
        # Its own words would show what it took for the port, which may be the beginning of a password.
        raise ConfigurationError(
            f"The URL {redacted(url)!r} has a port that is not a number from 0 to 65535. Write it as "
            "redis://host:6379/0, and quote what is special in a password: %23 for #, %2F for /, %3F for ?."
        ) from None
    scheme = SCHEMES[parts.scheme]
    database = parts.path.strip("/")
    if scheme in ("redis", "rediss") and database and not database.isdigit():
        raise ConfigurationError(
            f"The URL {redacted(url)!r} names the database {database!r}; expected a number. "
            f"Write it as redis://host:{port or 6379}/0."
        )
    # Only the scheme changes: `urlunsplit` would write `unix:/run/redis.sock`.
    return scheme + url[len(parts.scheme) :]


def redacted(url: str) -> str:
    """The URL as logs and errors may show it: without its password. Works on wrong URLs, too."""
    scheme, colon, rest = url.partition("://")
    login, at, host = rest.rpartition("@")
    if ":" in login:
        # The last @ ends the login, even where a character that should have been quoted, as in `p#ss`, cuts it.
        login = login.partition(":")[0] + ":***"
    return scheme + colon + PASSWORD.sub(r"\1***", login + at + host)

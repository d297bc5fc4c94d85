"""Redis URLs: which ones we take, and how they may be shown."""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

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
LATER = ("redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")


def checked(url: str) -> str:
    """Returns `url` in the form that redis-py takes; `embedded://` URLs stay as they are.

    Raises ConfigurationError when the scheme, the port or the database can't be right.
    """
    parts = urlsplit(url)
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
    except ValueError as error:
        raise ConfigurationError(
            f"The URL {redacted(url)!r} has a port that is not a number from 0 to 65535: {error}. "
            "Write it as redis://host:6379/0."
        ) from None
    scheme = SCHEMES[parts.scheme]
    database = parts.path.strip("/")
    if scheme in ("redis", "rediss") and database and not database.isdigit():
        raise ConfigurationError(
            f"The URL {redacted(url)!r} names the database {database!r}; expected a number. "
            f"Write it as redis://host:{port or 6379}/0."
        )
    return urlunsplit(parts._replace(scheme=scheme)) if scheme != "embedded" else url


def redacted(url: str) -> str:
    """The URL as logs and errors may show it: without its password."""
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    if at:
        user = login.partition(":")[0]
        parts = parts._replace(netloc=f"{user}:***@{host}" if ":" in login else f"{login}@{host}")
    query = [(name, "***" if "password" in name else value) for name, value in parse_qsl(parts.query)]
    shown = urlunsplit(parts._replace(query=urlencode(query, safe="*/:")))
    # Python leaves the slashes of an empty host out, and `unix:/path` is nothing that anybody wrote.
    return shown if "://" in shown or "://" not in url else shown.replace(":", "://", 1)

"""Where the URL of Redis may stand: a password need not be in an environment that others can read."""

from pathlib import Path

import pytest

from shadows import Shadow
from shadows.errors import ConfigurationError
from shadows.urls import DEFAULT_URL

SECRET = "redis://:secret@there/1"


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What whoever runs the tests has set is not what they are about."""
    for variable in ("SHADOWS_URL", "SHADOWS_URL_FILE", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(variable, raising=False)


def test_a_file_that_is_named_holds_the_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "url"
    file.write_text(f"{SECRET}\n")
    monkeypatch.setenv("SHADOWS_URL_FILE", str(file))
    assert Shadow().settings.url == SECRET
    assert Shadow(url="redis://here").settings.url == "redis://here"
    monkeypatch.setenv("SHADOWS_URL", "redis://elsewhere")
    assert Shadow().settings.url == "redis://elsewhere"


def test_a_credential_of_systemd_holds_the_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service may have other credentials, and none of this name."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert Shadow().settings.url == DEFAULT_URL
    (tmp_path / "shadows-url").write_text(SECRET)
    assert Shadow().settings.url == SECRET
    file = tmp_path / "other"
    file.write_text("redis://named")
    monkeypatch.setenv("SHADOWS_URL_FILE", str(file))
    assert Shadow().settings.url == "redis://named"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "can't be read: .*No such file or directory.* Correct SHADOWS_URL_FILE"),
        (b"redis://\xff", "can't be read: 'utf-8' codec"),
        (b" \n", "is empty; expected a Redis URL such as redis://:password@host/0"),
    ],
)
def test_a_file_without_a_url_is_refused_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, message: str
) -> None:
    """The default would be a server that nobody meant."""
    file = tmp_path / "url"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("SHADOWS_URL_FILE", str(file))
    with pytest.raises(ConfigurationError, match=f"The file '{file}'.* {message}"):
        Shadow()

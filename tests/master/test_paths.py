"""Where a master listens, and where those who look for it find it."""

from pathlib import Path

import pytest

from shadowsd.master import paths
from shadowsd.master.paths import control_paths, own_control_path


def test_a_command_of_a_service_finds_its_own_master_first() -> None:
    """`systemctl reload shadowsd@orders` failed: its `shadowsd reload` looked in the places of a person at a shell,
    and not where systemd had told both it and the master to be."""
    environment = {"RUNTIME_DIRECTORY": "/run/shadowsd-orders"}
    own = own_control_path("orders", environment)
    assert own == Path("/run/shadowsd-orders/orders.sock")
    assert control_paths("orders", environment)[0] == own


def test_the_first_of_several_runtime_directories_counts() -> None:
    assert own_control_path("x", {"RUNTIME_DIRECTORY": "/run/a:/run/b"}) == Path("/run/a/x.sock")


def test_a_person_finds_the_master_of_an_instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An instance is beside the service's directory, which is removed whole when the service stops."""
    monkeypatch.setattr(paths, "SYSTEM", tmp_path / "shadowsd")
    (tmp_path / "shadowsd-orders").mkdir()
    socket = tmp_path / "shadowsd-orders" / "orders.sock"
    socket.touch()
    found = control_paths("orders", {})
    assert socket in found
    assert found.index(tmp_path / "shadowsd" / "orders.sock") < found.index(socket)


def test_any_shadows_name_is_a_file_name() -> None:
    assert own_control_path("../a b", {"RUNTIME_DIRECTORY": "/run/x"}) == Path("/run/x/..%2Fa%20b.sock")

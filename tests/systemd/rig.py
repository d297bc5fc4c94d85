"""A machine of its own that boots a real systemd, made of this one: nothing that it does outlives it.

1. An overlay over this machine's root, whose changes are in memory.
2. In it, what the guide has an operator make: an environment under /opt with the package, the units, the settings.
3. A unit that runs the checks (driver.py), writes what they saw, and powers the machine off.

The environment is made by hand and not by pip, of the packages that these tests run with: no index is needed, and no
service user could read those where they are. Nor could it read a Python under somebody's home: that is bound to
another place.
"""

import importlib.metadata
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from shadows.testing import server_program
from tests.processes import ROOT

ENVIRONMENT = Path("opt/shadowsd/venv")
PACKAGES = ENVIRONMENT / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
RIG = Path("opt/rig")
BOUND_PYTHON = Path("opt/rig-python")
ETC = Path("etc/systemd/system")
PASSWORD = "between-us"
URL = f"redis://:{PASSWORD}@127.0.0.1:6379/0"
# All checks take about a minute and a half. A machine that takes much longer ends itself, its results so far being
# worth reading; one that can't even do that is ended.
DRIVER_SECONDS = 240
BOOT_SECONDS = 270.0

TARGET = """
[Unit]
Requires=basic.target driver.service
After=basic.target
AllowIsolate=yes
"""

DRIVER = f"""
[Unit]
After=basic.target

[Service]
Type=oneshot
TimeoutStartSec={DRIVER_SECONDS}
WorkingDirectory=/opt/rig
ExecStartPre=ldconfig
ExecStart=/opt/shadowsd/venv/bin/python -m tests.systemd.driver
ExecStopPost=-sh -c 'journalctl --no-pager -o short-precise > /out/journal'
ExecStopPost=systemctl --no-block poweroff
StandardOutput=file:/out/driver.log
StandardError=inherit
"""

REDIS = f"""
[Service]
ExecStart=/opt/rig/redis-server --bind 127.0.0.1 --requirepass {PASSWORD} --save "" --dir /tmp
"""

SETTINGS = """
SHADOWSD_TASKS=jobs
SHADOWSD_APP_DIR=/opt/shadowsd/current
SHADOWSD_WORKERS=2
"""


def obstacle() -> str:
    """Why no machine can be booted here; empty when one can."""
    if os.geteuid() != 0:
        return "booting a systemd needs root"
    if not shutil.which("systemd-nspawn"):
        return "booting a systemd needs systemd-nspawn: apt-get install systemd-container"
    return ""


class Rig:
    """One machine, made in a directory; leaving the block takes it apart."""

    def __init__(self, directory: Path) -> None:
        self.out = directory / "out"
        self._memory = directory / "memory"
        self._root = self._memory / "root"

    def __enter__(self) -> Self:
        self.out.mkdir()
        self._memory.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "shadowsd-rig", self._memory], check=True)
        try:
            for name in ("upper", "work", "root"):
                (self._memory / name).mkdir()
            layers = f"lowerdir=/,upperdir={self._memory}/upper,workdir={self._memory}/work"
            subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, self._root], check=True)
            self._furnish()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "--quiet", "--lazy", self._root], check=False)
        subprocess.run(["umount", "--lazy", self._memory], check=False)

    def _furnish(self) -> None:
        for folder in ("opt/shadowsd", "opt/rig", "etc/shadowsd"):
            shutil.rmtree(self._root / folder, ignore_errors=True)
        self._make_environment()
        tree = self._root / RIG
        shutil.copytree(ROOT / "tests", tree / "tests", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(server_program(), tree / "redis-server")
        for name, text in {"rig.target": TARGET, "driver.service": DRIVER, "redis.service": REDIS}.items():
            self._write(ETC / name, text)
        default = self._root / ETC / "default.target"
        default.unlink(missing_ok=True)
        default.symlink_to("rig.target")
        for unit in ("shadowsd.service", "shadowsd@.service"):
            shutil.copy(ROOT / "systemd" / unit, self._root / ETC)
        shutil.copy(ROOT / "systemd" / "hardening.conf", tree)
        users = self._root / "etc/sysusers.d"
        users.mkdir(exist_ok=True)
        shutil.copy(ROOT / "systemd" / "shadowsd.sysusers.conf", users / "shadowsd.conf")
        for application in ("orders", "wrong"):
            self._write(Path(f"etc/shadowsd/{application}.redis-url"), URL + "\n").chmod(0o600)
            shutil.rmtree(self._root / "opt" / application, ignore_errors=True)
            (self._root / "opt" / application).mkdir()
            (self._root / "opt" / application / "venv").symlink_to(Path("/") / ENVIRONMENT)
        self._write(Path("etc/shadowsd/orders.env"), SETTINGS)
        self._write(Path("etc/shadowsd/wrong.env"), "SHADOWSD_TASKS=no_such_module\n")
        self._write(Path("etc/shadowsd/shadowsd.env"), SETTINGS)
        self._write(Path("etc/shadowsd/redis-url"), URL + "\n").chmod(0o600)

    def _write(self, path: Path, text: str) -> Path:
        file = self._root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def _make_environment(self) -> None:
        environment, python = self._root / ENVIRONMENT, self._place_python()
        self._write(ENVIRONMENT / "pyvenv.cfg", f"home = {python}/bin\ninclude-system-site-packages = false\n")
        program = environment / "bin/python"
        program.parent.mkdir()
        program.symlink_to(f"{python}/bin/python{sys.version_info.major}.{sys.version_info.minor}")
        packages = self._root / PACKAGES
        for file, target in files_of("shadow-task"):
            (packages / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, packages / target)
        for folder in ("client/shadows", "shadowsd"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / folder, packages / Path(folder).name, ignore=ignored)
        script = f"#!/{ENVIRONMENT}/bin/python\nfrom shadowsd.commands.shadowsd import main\n\nmain()\n"
        self._write(ENVIRONMENT / "bin/shadowsd", script).chmod(0o755)

    def _place_python(self) -> Path:
        """Where the Python of these tests is in the machine: where it is here, if a service's user may read it."""
        prefix = Path(sys.base_prefix)
        readable = all(folder.stat().st_mode & 0o005 == 0o005 for folder in (prefix, *prefix.parents))
        if readable and prefix.parts[1] in ("usr", "opt"):
            return prefix
        (self._root / BOUND_PYTHON).mkdir(parents=True)
        # A Python that was built with its library apart looks for it where that was.
        self._write(Path("etc/ld.so.conf.d/rig.conf"), f"/{BOUND_PYTHON}/lib\n")
        return Path("/") / BOUND_PYTHON

    def _bindings(self) -> Iterator[str]:
        yield f"--bind={self.out}:/out"
        if (self._root / BOUND_PYTHON).exists():
            yield f"--bind-ro={sys.base_prefix}:/{BOUND_PYTHON}"

    def boot(self) -> dict[str, Any]:
        """Runs the machine to its end; what its checks saw, by their names."""
        command = [
            "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", "--console=pipe",
            f"--directory={self._root}", *self._bindings(), "--boot",
        ]  # fmt: skip
        log = self.out / "console"
        environment = os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
        with log.open("wb") as console:
            machine = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, env=environment
            )
            try:
                machine.wait(BOOT_SECONDS)
            finally:
                end(machine)
        results = self.out / "results"
        if not results.exists():
            driver = self.out / "driver.log"
            said = [path.read_text(errors="replace") for path in (log, driver) if path.exists()]
            raise AssertionError("the machine did not get to its checks:\n" + "\n".join(said))
        lines = [json.loads(line) for line in results.read_text().splitlines()]
        return {line.pop("check"): line for line in lines}


def end(machine: subprocess.Popen[bytes]) -> None:
    """Ends a machine that still runs: its first process outlives the program that started it."""
    if machine.poll() is None:
        children = Path(f"/proc/{machine.pid}/task/{machine.pid}/children").read_text().split()
        for child in map(int, children):
            os.kill(child, signal.SIGKILL)
        machine.wait()


def files_of(distribution: str) -> Iterator[tuple[Path, Path]]:
    """All files of a distribution and of what it needs, with their places in a site-packages directory."""
    seen: set[str] = set()
    waiting = [distribution]
    while waiting:
        name = waiting.pop()
        if name.lower() in seen:
            continue
        seen.add(name.lower())
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # another platform's, or a Python's that came before
        waiting += [re.split(r"[^\w.-]", text)[0] for text in found.requires or () if "extra ==" not in text]
        waiting += ["hiredis"] if name == "redis" else []
        for file in found.files or ():
            if ".." not in file.parts and "__pycache__" not in file.parts and file.suffix != ".pth":
                yield Path(str(found.locate_file(file))), Path(*file.parts)

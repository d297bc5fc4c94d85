"""Does this machine give the processes what they need: descriptors, processes, memory?"""

import os
from collections.abc import Iterator
from pathlib import Path

from shadows.amounts import counted
from shadowsd.master.settings import Settings

from .finding import Finding, fail, megabytes, ok, warn

CGROUPS = Path("/sys/fs/cgroup")
# The master holds four for each child (page, channel, stacks, pidfd) and hands over three of them, during a reload for
# twice as many children.
DESCRIPTORS_A_CHILD = 4
MASTER_DESCRIPTORS = 64
# A worker's own connections and libraries, and some for each task that runs.
WORKER_DESCRIPTORS = 64
DESCRIPTORS_A_TASK = 4
# Of a worker beside those of plain `def` tasks: loop, beats, stamps, name look-ups.
WORKER_THREADS = 6
# What a worker of a small application takes; with a running daemon it is measured.
WORKER_MEMORY = 40 << 20


def findings(settings: Settings, pid: int, memory_of_a_worker: float | None) -> Iterator[Finding]:
    """As the process `pid` has it: the running master, or this one."""
    yield descriptors(settings, limit_of(pid, "Max open files"))
    yield processes(settings, limit_of(pid, "Max processes") if owner_of(pid) else None, tightest(pid, "pids.max"))
    yield memory(settings, tightest(pid, "memory.max"), memory_of_a_worker or WORKER_MEMORY)


def descriptors(settings: Settings, limit: int | None) -> Finding:
    """RLIMIT_NOFILE."""
    master = MASTER_DESCRIPTORS + 2 * DESCRIPTORS_A_CHILD * settings.workers
    worker = WORKER_DESCRIPTORS + DESCRIPTORS_A_TASK * settings.engine.concurrency
    remedy = f"Raise it to {max(65536, 2 * max(master, worker))}: LimitNOFILE= of the unit, or ulimit -n."
    if limit is None or limit >= max(master, worker):
        return ok("open files", f"A process may open {limit or 'any number of'} files.")
    words = f"A process may open {limit} files"
    if limit < master:
        return fail("open files", f"{words}; a master of {counted(settings.workers, 'worker')} needs {master}.", remedy)
    return warn(
        "open files", f"{words}; a worker that runs {counted(settings.engine.concurrency, 'task')} may need {worker}, "
        "and a task that gets none fails.", remedy,
    )  # fmt: skip


def processes(settings: Settings, limit: int | None, group_limit: int | None) -> Finding:
    """RLIMIT_NPROC, which counts all threads of a user but not root's, and pids.max of the control group."""
    limits = [each for each in (limit, group_limit) if each is not None]
    least = min(limits, default=None)
    needed = 2 + 2 * settings.workers
    threads = needed + 2 * settings.workers * (WORKER_THREADS + settings.engine.concurrency)
    remedy = "Raise TasksMax= of the unit (pids.max), and LimitNPROC= (ulimit -u)."
    if least is None or least >= threads:
        return ok("processes", f"It may have {least or 'any number of'} processes and threads.")
    words = f"It may have {least} processes and threads"
    if least < needed:
        return fail(
            "processes",
            f"{words}; during a reload {counted(settings.workers, 'worker needs', 'workers need')} {needed}.",
            remedy,
        )
    return warn(
        "processes", f"{words}; {counted(settings.workers, 'worker')} with "
        f"{counted(settings.engine.concurrency, 'plain `def` task')} each may need {threads} during a reload.", remedy,
    )  # fmt: skip


def memory(settings: Settings, limit: int | None, of_a_worker: float) -> Finding:
    """The limit of the control group against what --max-memory lets the workers grow to."""
    available = limit or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    where = "The control group has" if limit else "The machine has"
    if settings.max_memory is None:
        if limit is None:
            return ok("memory", f"{where} {megabytes(available)}; workers are not limited (--max-memory).")
        return warn(
            "memory", f"{where} {megabytes(limit)}, and no --max-memory: a task that leaks makes the kernel kill "
            "whatever it chooses there, and innocent tasks with it.",
            f"Give --max-memory, about {megabytes(0.8 * limit / settings.workers - of_a_worker)}.",
        )  # fmt: skip
    most = settings.workers * (of_a_worker + settings.max_memory)
    words = (
        f"{where} {megabytes(available)}; {counted(settings.workers, 'worker')} may take {megabytes(most)} "
        f"with --max-memory {megabytes(settings.max_memory)}"
    )
    if most > available:
        return warn(
            "memory", f"{words}: the kernel kills before a worker is replaced.",
            "Lower --max-memory or --workers, or raise the limit.",
        )  # fmt: skip
    return ok("memory", f"{words}.")


def limit_of(pid: int, name: str) -> int | None:
    """A soft limit of a process; None when there is none, or it can't be seen."""
    for line in read(Path(f"/proc/{pid}/limits")).splitlines():
        if line.startswith(name):
            soft = line[len(name) :].split()[0]
            return int(soft) if soft.isdigit() else None
    return None


def owner_of(pid: int) -> int:
    """Whose process it is; 0 is root, whose processes nobody counts."""
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except FileNotFoundError:
        return os.geteuid()


def tightest(pid: int, name: str) -> int | None:
    """The least limit of a process's control group and all above it."""
    group = group_of(pid)
    limits = [read(CGROUPS.joinpath(*group.parts[1:depth], name)).strip() for depth in range(1, len(group.parts) + 1)]
    return min((int(limit) for limit in limits if limit.isdigit()), default=None)


def group_of(pid: int) -> Path:
    """A process's control group; the root when there is none."""
    lines = read(Path(f"/proc/{pid}/cgroup")).splitlines()
    return Path(next((line[3:] for line in lines if line.startswith("0::/")), "/"))


def read(path: Path) -> str:
    """The text of a file of the kernel; empty when there is none."""
    try:
        return path.read_text()
    except OSError:
        return ""

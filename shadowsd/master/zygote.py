"""The zygote: imports the tasks once, and is copied for each worker.

1. The master executes it, and sends what to import.
2. It imports, looks whether it may be forked, and answers.
3. For each request it forks twice, so that the worker becomes a child of the master, and answers with its pid.

It has one thread, no loop and no connection to Redis, and nothing else of ours ever forks. It is executed, and
not forked, so that a reload imports the new code into a fresh interpreter, and so that a master which looked up
a host name, and has threads since, passes none of their locks on.
"""

import faulthandler
import gc
import logging
import os
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

from setproctitle import setproctitle

from shadows import __version__
from shadowsd.observe.logs import configure_logging, rest_log

from .assignment import Assignment
from .channel import Channel
from .exits import MISCONFIGURED, ORPHANED
from .importing import CanNotImport, import_tasks
from .inherited import GROUP_SIGNALS, leave_to_master
from .prctl import die_with
from .selfcheck import obstacles
from .serve import serve


class Zygote:
    """This process."""

    def __init__(self, channel: Channel, plan: dict[str, Any]) -> None:
        self._channel = channel
        self._plan = plan
        self._fallback: Callable[..., Any] | None = None

    def run(self) -> NoReturn:
        """Imports, tells what came of it, and forks on request, until the master is gone."""
        setproctitle(f"shadowsd zygote, generation {self._plan['generation']} of {self._plan['shadow']}")
        came = self._prepare()
        self._channel.send(came)
        if "failed" in came:
            # The master reads it all the same; and where this code must serve on, it sees the end and tries again.
            os._exit(MISCONFIGURED)
        while True:
            received = self._channel.receive()
            if received is None:
                os._exit(0)
            self._fork(*received)

    def _prepare(self) -> dict[str, Any]:
        began = time.monotonic()
        try:
            shadow, self._fallback = import_tasks(self._plan)
        except CanNotImport as error:
            return {"failed": str(error), "traceback": error.traceback}
        rest_log()  # whose thread the modules may have started by logging something
        found = obstacles()
        gc.collect()
        # What is there now is never looked at again by the collectors of the copies, so that its memory stays shared.
        gc.freeze()
        return {
            "ready": time.monotonic() - began, "obstacles": found, "functions": shadow.registry.names(),
            "title": self._plan["shadow"],
        }  # fmt: skip

    def _fork(self, request: dict[str, Any], descriptors: list[int]) -> None:
        number = request["number"]
        rest_log()
        try:
            between = os.fork()
        except OSError as error:  # pragma: no cover # where no process can be had, what ran can't be written down
            self._channel.send({"number": number, "failed": f"fork: {error}"})
        else:
            if between == 0:
                self._fork_again(
                    request, descriptors
                )  # pragma: no cover # a fork sees only the functions that it calls
            os.waitpid(between, 0)
        for fd in descriptors:
            os.close(fd)

    def _fork_again(self, request: dict[str, Any], descriptors: list[int]) -> NoReturn:
        try:
            child = os.fork()
        except OSError as error:
            self._channel.send({"number": request["number"], "failed": f"fork: {error}"})
            os._exit(1)
        if child:
            self._channel.send({"number": request["number"], "pid": child})
            os._exit(0)
        self._become_worker(request, descriptors)  # pragma: no cover # as above

    def _become_worker(self, request: dict[str, Any], descriptors: list[int]) -> NoReturn:
        self._channel.close()
        serve(Assignment.of(request, descriptors), self._fallback)


def main() -> NoReturn:
    """The entry of the process: its one argument is the descriptor of its channel."""
    channel = Channel.of_descriptor(int(sys.argv[1]), blocking=True)
    # The first thing it says, in every release: a master of another one can tell that it is.
    channel.send({"version": __version__})
    received = channel.receive()
    if received is None:
        os._exit(ORPHANED)
    plan = received[0]
    if not die_with(plan["master"]):
        os._exit(ORPHANED)
    faulthandler.enable()
    leave_to_master(*GROUP_SIGNALS)
    configure_logging(plan["logging_level"], plan["logging_format"])
    logging.getLogger("shadowsd").debug("Importing %s.", ", ".join(plan["tasks"]) or "no tasks")
    Zygote(channel, plan).run()


if __name__ == "__main__":
    main()

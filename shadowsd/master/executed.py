"""The entry of a child that was executed instead of forked: it imports the tasks itself, and then serves.

So it is where `--spawn exec` says so, or the zygote found a thread or an open connection that a fork would copy.
"""

import faulthandler
import os
import signal
import sys
from typing import NoReturn

from .assignment import Assignment
from .channel import Channel
from .exits import MISCONFIGURED, ORPHANED
from .importing import CanNotImport, import_tasks
from .inherited import GROUP_SIGNALS, leave_to_master
from .prctl import die_with
from .serve import serve


def main() -> NoReturn:
    """Its arguments are the descriptors of page, channel and stacks; its orders come by the channel."""
    descriptors = [int(argument) for argument in sys.argv[1:]]
    channel = Channel.of_descriptor(os.dup(descriptors[1]), blocking=True)
    received = channel.receive()
    if received is None:
        os._exit(ORPHANED)
    message, _ = received
    # The imports may take long, or for ever: they end with the master, and can tell where they are.
    if not die_with(message["master"]):
        os._exit(ORPHANED)
    faulthandler.enable(descriptors[2])
    faulthandler.register(signal.SIGUSR1, descriptors[2])
    leave_to_master(*GROUP_SIGNALS)
    try:
        _, fallback = import_tasks(message.pop("plan"))
    except CanNotImport as error:
        # Its master tells of it as of a zygote that can't: with the user's traceback, and as a setting that is wrong.
        channel.send({"refused": str(error), "traceback": error.traceback})
        os._exit(MISCONFIGURED)
    channel.close()
    serve(Assignment.of(message, descriptors), fallback)


if __name__ == "__main__":
    main()

"""The entry of a child that was executed instead of forked: it imports the tasks itself, and then serves.

So it is where `--spawn exec` says so, or the zygote found a thread or an open connection that a fork would copy.
"""

import faulthandler
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from shadows import Shadow
from shadowsd.engine.loading import load_fallback, load_tasks, make_importable

from .assignment import Assignment
from .channel import Channel
from .exits import ORPHANED
from .inherited import GROUP_SIGNALS, leave_to_master
from .prctl import die_with
from .serve import serve


def main() -> NoReturn:
    """Its arguments are the descriptors of page, channel and stacks; its orders come by the channel."""
    descriptors = [int(argument) for argument in sys.argv[1:]]
    channel = Channel.of_descriptor(os.dup(descriptors[1]), blocking=True)
    received = channel.receive()
    channel.close()
    if received is None:
        os._exit(ORPHANED)
    message, _ = received
    # The imports may take long, or for ever: they end with the master, and can tell where they are.
    if not die_with(message["master"]):
        os._exit(ORPHANED)
    faulthandler.enable(descriptors[2])
    faulthandler.register(signal.SIGUSR1, descriptors[2])
    leave_to_master(*GROUP_SIGNALS)
    plan = message.pop("plan")
    directory = Path(plan["app_dir"])
    os.chdir(directory)
    make_importable(directory)
    load_tasks(Shadow(plan["shadow"]), plan["tasks"], directory)
    serve(Assignment.of(message, descriptors), load_fallback(plan["fallback_task"], directory))


if __name__ == "__main__":
    main()

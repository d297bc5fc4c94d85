"""Puts a worker together from parts that each do one thing.

The reader takes entries, attempts run them, the settler writes outcomes, the scheduler moves what is due, the pulse
shows that the worker lives, the sweeper takes over from those that don't, and signals tell all of them what happened
elsewhere.
"""

from datetime import timedelta
from functools import partial
from logging import DEBUG, WARNING
from typing import Any

from shadows.connection import Link
from shadows.priorities import PRIORITIES
from shadows.subscriptions import Subscriptions

from .asides import Asides
from .attempt import Attempts
from .beats import Beats
from .error_hook import ErrorHook
from .fetch import Reader
from .finish import Finish
from .gates import Gates
from .hosting import Suspects
from .intake import Intake
from .limits import Limits
from .membership import Membership
from .outage import Outage
from .pauses import Pauses
from .places import Places
from .pulse import Pulse
from .row import row_of
from .schedule import Scheduler
from .settle import Settler
from .signals import Signals
from .slots import Slots
from .sweep import Sweeper
from .threads import Threads
from .verdicts import Verdicts
from .watched import Watched

UNKNOWN_TIMEOUT = timedelta(hours=24)
# A read blocks at most this long; a reader whose connection died silently is so noticed.
LONGEST_BLOCK_MS = 5000


class Assembly:
    """The parts of one worker, for one time that it is open; nothing runs yet."""

    def __init__(self, worker: Any) -> None:
        shadow = worker.shadows
        keys, settings = shadow.keys, shadow.settings
        lease = settings.lease
        hosting = worker.hosting
        suspects = hosting.suspects if hosting else Suspects.ALONE
        self.membership = membership = Membership(worker.name, hosting.ledger.named if hosting else None)
        self.slots = slots = Slots(worker.concurrency, hosting.ledger if hosting else None)
        # A master tells of an outage once, for all its children.
        self.outage = outage = Outage(worker.events, worker.reconnection_delay, DEBUG if hosting else WARNING)
        server = shadow.server
        self.reading = Link(server, f"reader:{membership.incarnation}")
        self.settling, self.control = Link(server, "settler"), Link(server, "control")
        self.passing = Link(server, "gates")
        self.links = (self.reading, self.settling, self.control, self.passing)
        self.signal_link = Subscriptions(server, "signals")
        self.threads = Threads(worker.concurrency)
        self.limits = Limits()
        unknown_ms = int(UNKNOWN_TIMEOUT.total_seconds() * 1000)
        asides = Asides(
            self.control, keys, outage, worker.events, settings.ttl_ms, unknown_ms, worker.fallback is not None
        )
        self.settler = Settler(self.settling, keys, slots, outage, worker.events, settings.ttl_ms, asides.quarantine)
        hook = ErrorHook(worker.on_error, membership.spawn) if worker.on_error is not None else None
        self.verdicts = Verdicts(shadow.codec, worker, slots, self.settler, self.limits, worker.events, hook)
        self.pauses = Pauses(shadow.strikelist, slots, self.verdicts, asides, membership)
        self.watched = watched = Watched(self.control, keys, membership)
        self.places = places = Places(
            self.passing, keys, slots, membership, outage, lease.total_seconds(), self.settler, settings.ttl_ms
        )
        self.gates = gates = Gates(self.passing, keys, membership, places)
        self.attempts = Attempts(
            shadow,
            worker,
            slots,
            self.verdicts,
            asides,
            gates,
            self.pauses,
            watched,
            self.limits,
            self.threads,
            worker.events,
        )
        self.intake = intake = Intake(keys, PRIORITIES if suspects is Suspects.ONLY else worker.priorities)
        block_ms = min(LONGEST_BLOCK_MS, int(lease.total_seconds() * 500))
        self.reader = Reader(
            self.reading,
            self.control,
            keys,
            intake,
            slots,
            self.attempts,
            asides,
            membership,
            outage,
            block_ms,
            lease.total_seconds(),
            worker.seed_again,
            lambda: None in shadow.strikelist.paused,
            suspects,
        )
        self.pauses.serve(self.reader.look_beside)
        places.serve(self.reader, self.attempts.has_gates)
        scheduler = Scheduler(
            self.control, keys, self.signal_link, outage, worker.events, settings.ttl_ms, worker.scheduling_resolution
        )
        sweeper = Sweeper(self.control, keys, membership, worker.events, lease.total_seconds(), settings.ttl_ms)
        self.finish = Finish(self.control, keys, slots, self.settler, self.pauses.release, intake)
        self.signals = Signals(
            self.control, keys, slots, self.reader, scheduler, shadow.strikelist, membership, self.finish.look,
            places.look, watched, self.pauses,
        )  # fmt: skip
        self.beats = Beats(
            worker, self.control, scheduler, sweeper, self.signals, asides, self.finish, places.look_again
        )
        self.pulse = Pulse(
            server, keys, membership, settings.heartbeat_interval.total_seconds(),
            int(lease.total_seconds() * 1000), worker.redelivery_timeout.total_seconds(),
            partial(row_of, worker), self.beats.came, self.beats.failed,
        )  # fmt: skip
        self.beats.beat_now = self.pulse.beat_now
        self.repeating = (scheduler.run, sweeper.sweep_forever, self.beats.verify_forever, places.keep_forever)

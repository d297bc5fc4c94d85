"""Reloads, from the wish to the outcome; the steps between are decided like everything else."""

import logging

from shadows.errors import ConfigurationError
from shadowsd.observe.logs import change_logging

from .acting import Acting
from .generation import Stage
from .node import Node
from .reloading import Outcome
from .world import Complete, Fail, Promote

logger = logging.getLogger("shadowsd")


class Reloads:
    """Carries out the steps of one node's reloads."""

    def __init__(self, node: Node, acting: Acting) -> None:
        self._node = node
        self._acting = acting

    def take_in(self) -> None:
        """Begins one that is wanted; notes that the new generation can't be imported."""
        node = self._node
        under_way = node.reloading.under_way
        if under_way is not None:
            generation = node.fleet.generations[under_way.generation]
            if generation.stage is Stage.FAILED:
                node.reloading.fail(generation.failure)
        elif node.reloading.wanted and node.served and not node.stopping:
            self._begin()

    def _begin(self) -> None:
        node = self._node
        node.notifier.reloading()
        now = node.clock.now()
        try:
            newer = node.reread()
        except ConfigurationError as error:
            node.reloading.begin(node.target, node.target, now)
            self._end(Outcome(False, str(error)))
            return
        if changed := node.settings.changed(newer):
            logger.warning("These settings changed and need a restart to take effect: %s.", ", ".join(changed))
        if newer.workers != node.settings.workers:
            node.workers = newer.workers
        node.settings = newer.with_fixed_of(node.settings)
        change_logging(newer.logging_level, newer.logging_format)
        number = self._acting.begin_generation()
        node.reloading.begin(number, node.target, now)
        logger.info("Reloading: generation %d imports its tasks; generation %d serves meanwhile.", number, node.target)

    def step(self, step: Promote | Complete | Fail) -> None:
        """Carries one out."""
        node = self._node
        under_way = node.reloading.under_way
        assert under_way is not None
        match step:
            case Promote():
                node.reloading.promote()
                node.target = under_way.generation
                logger.info("The first worker of generation %d is well; the others follow.", node.target)
            case Complete():
                took = node.clock.now() - node.reloading.began
                self._end(Outcome(True, f"generation {node.target} serves whole after {took:.1f} s"))
            case Fail(why):
                failed = node.fleet.generations[under_way.generation]
                node.target = node.reloading.before
                self._end(Outcome(False, why, failed.traceback))

    def _end(self, outcome: Outcome) -> None:
        """Tells everybody who waits, the log and the service manager."""
        node = self._node
        if outcome.ok:
            logger.info("Reloaded: %s.", outcome.words)
        else:
            logger.error(
                "The reload failed, and generation %d serves on: %s", node.target,
                "\n".join(part for part in (outcome.words, outcome.traceback.rstrip()) if part),
            )  # fmt: skip
        node.metrics.reload("succeeded" if outcome.ok else "failed")
        node.reloading.end(outcome)
        node.notifier.ready()

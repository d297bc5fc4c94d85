"""Whatever is done in whatever order: no key is lost, none runs twice without a death, and the replaced never count."""

import os
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.properties.machine import Machine
from tests.properties.victims import Victims

# `SHADOWS_HUNT=500 pytest --timeout 3600 tests/properties` looks at many more orders than the suite has time for.
HUNT = int(os.environ.get("SHADOWS_HUNT", "0"))


def test_a_shadow_and_its_model_agree_after_each_step(shadows_url: str, tmp_path: Path) -> None:
    """What failed is shown as it was: to make it shorter would take longer than a test may."""
    profile = settings(
        max_examples=HUNT or 40,
        stateful_step_count=50 if HUNT else 30,
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    with Victims() as victims:
        run_state_machine_as_test(lambda: Machine(shadows_url, victims, tmp_path), settings=profile)

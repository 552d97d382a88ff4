"""Our own limits as tests set them, in one place: long for what is not about them, short for what waits one out.

A limit is a promise to people: a switch keeps writers waiting for ten seconds at most. On a busy machine the promise may be
broken, and the switch is then rightly given up; a test of something else must not depend on that. So the run's stack comes
with long limits. A test that waits a limit out sets this one short, and once, marked `deep`, as it is in production.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import TypeAlias

import pytest
from shopferry.cutover import gates, locks, routing, section, way_back

Limits: TypeAlias = Mapping[tuple[ModuleType, str], float]
PATIENT_S = 120.0  # far longer than anything here takes on a busy machine
CALM_S = 30.0
CALM_MS = 10_000.0  # else each turn waits for a calm moment that a busy machine does not have

LONG: Limits = {
    (section, "LIMIT_S"): PATIENT_S,
    (locks, "LIMIT_S"): PATIENT_S,
    (section, "LOCK_WAIT_S"): PATIENT_S / 2,
    (section, "_OPEN_WAIT_S"): PATIENT_S / 4,
    (section, "_CALM_S"): CALM_S,
    (section, "_CALM_MS"): CALM_MS,
    (gates, "LAG_LIMIT_S"): PATIENT_S,
    (gates, "_STEADY_MS"): PATIENT_S * 1000,
    (gates, "SIGN_OF_LIFE_S"): PATIENT_S,
    (way_back, "SIGN_OF_LIFE_S"): PATIENT_S,
    (way_back, "ROUND_TRIP_S"): PATIENT_S,
    (way_back, "PATIENCE_S"): 5 * PATIENT_S,  # it begins with the start of a JVM
}
SHORT: Limits = {
    (section, "LIMIT_S"): 5.0,
    (locks, "LIMIT_S"): 5.0,
    (section, "LOCK_WAIT_S"): 1.0,
    (section, "LOOK_S"): 0.5,
    (locks, "_YIELD_S"): 2.0,
    (gates, "LAG_LIMIT_S"): 1.0,
    (gates, "SIGN_OF_LIFE_S"): 4.0,
    (way_back, "ROUND_TRIP_S"): 2.0,
    (routing, "PATIENCE_S"): 1.0,
    (routing, "ANSWER_S"): 0.2,
}
REAL: Limits = {place: getattr(*place) for place in (*LONG, *SHORT)}


def set_limits(patch: pytest.MonkeyPatch, limits: Limits, *names: str) -> None:
    """Set the limits of these names, in every module that knows them, as long as the patch lasts."""
    unknown = set(names) - {name for _, name in limits}
    assert not unknown, unknown
    for (module, name), value in limits.items():
        if name in names:
            patch.setattr(module, name, value)

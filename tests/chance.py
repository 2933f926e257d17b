"""Chance in tests is the same each time: what was right when a change was made is right when it is looked at again.

LANTAI_SEED=N draws otherwise, always alike for one N; LANTAI_SEED=new as never before, and prints the N. Hypothesis
draws as never before with either (--hypothesis-seed=N: always alike), and LANTAI_EXAMPLES times, if that is set.
"""

from __future__ import annotations

import os
import random

from hypothesis import HealthCheck, settings

_ALWAYS = 2733


def seeded() -> random.Random:
    """Where what is drawn depends on it, a test that fails tells it."""
    given = os.environ.get("LANTAI_SEED") or str(_ALWAYS)
    seed = random.SystemRandom().randrange(1 << 32) if given == "new" else int(given)
    print(f"LANTAI_SEED={seed}")
    return random.Random(seed)


def quieten_hypothesis() -> None:
    """What it draws by default, and no verdict on how quick the machine is; for tests that are loaded afterwards."""
    settings.register_profile(
        "lantai", deadline=None, derandomize=not os.environ.get("LANTAI_SEED"), print_blob=True,
        max_examples=int(os.environ.get("LANTAI_EXAMPLES") or 100), suppress_health_check=[HealthCheck.too_slow],
    )  # fmt: skip
    settings.load_profile("lantai")

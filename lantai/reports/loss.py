"""How likely it is that a package is lost, by the model of Baker, Shah, Roussopoulos, Giuli, Rosenthal, Maniatis and
Bungale, "A Fresh Look at the Reliability of Long-term Digital Storage", EuroSys 2006 (arXiv:cs/0508130). Pure.

Each copy of a package has visible faults, noticed at once (a disk dies), and latent ones, noticed by the next audit (a
sector rots). Means, of each copy: MV and ML until a visible and a latent fault, MRV and MRL until it is repaired, MDL
until a latent fault is detected: half the time between two audits. While some copy is faulty, faults of the others are
1/alpha times as likely (alpha = 1: independent). A package is lost when all of its copies are faulty at once. For two:

    1/MTTDL = (1/MV + 1/ML) * (MRV/MV + (MRL + MDL)/ML) / alpha        times 2, see below

which where latent faults prevail is MTTDL = alpha * ML^2 / (MRL + MDL). The paper counts the first fault once, with MV
and ML of the pair; published rates are of one disk, and either of two may fail first, so that here it is twice. That
formula is an approximation for faults that are rare; here the same model is solved exactly, as a Markov chain in
continuous time, for any number of copies, each audited as its store is. For r alike copies with latent faults alone and
D = MRL + MDL, it comes to MTTDL = alpha^(r-1) * ML^r / (r * D^(r-1)).

What stands behind it: times are exponential; a package is whole at first; a copy repaired is whole; audits find every
latent fault; alpha is the same for all. What it leaves out: one that deletes all copies, software that writes the same
fault everywhere, an archive that ends. So it is good for comparing schedules and numbers of copies, and says too little
of loss rather than too much (Greenan, Plank and Wylie, "Mean time to meaningless", HotStorage 2010).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import expm1, inf, log1p
from typing import Literal, TypeAlias

YEAR = timedelta(days=365.25)

VISIBLE = 0.03
"""Faults a year. Schroeder and Gibson, "Disk failures in the real world", FAST 2007: of about 100,000 disks 2 to 4 %
are commonly replaced in a year.
"""
LATENT = -log1p(-0.0345) / (32 / 12)
"""Faults a year: 0.0132. Bairavasundaram, Goodson, Pasupathy and Schindler, "An analysis of latent sector errors in
disk drives", SIGMETRICS 2007: of 1.53 million disks 3.45 % had one within 32 months. Counted as if it hit each package
on the disk.
"""


@dataclass(frozen=True, slots=True)
class Faults:
    """A year, of each copy. alpha: of the model; repair: from when a fault is known until the copy is whole again."""

    visible: float = VISIBLE
    latent: float = LATENT
    alpha: float = 1.0
    repair: timedelta = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Loss:
    """mean: years until a package is lost (MTTDL)."""

    mean: float

    @property
    def a_year(self) -> float:
        """How many of such packages are lost in a year, of one."""
        return 1 / self.mean

    def within(self, years: float) -> float:
        """How likely one is lost within so many years."""
        return -expm1(-years / self.mean)


Condition: TypeAlias = Literal["whole", "visible", "latent"]
Copy: TypeAlias = tuple[timedelta, Condition]
"""The time between two audits of one copy of a package, and how it is."""
State: TypeAlias = tuple[Copy, ...]
"""Of all copies, in one order: it does not matter which of two alike ones is faulty. (): lost."""


def loss(audited: Iterable[timedelta], faults: Faults) -> Loss:
    """Of a package with a copy for each of these, the times between two audits of it. At least one.

    With one copy the first fault is the loss, whatever the audits: there is nothing to repair it from.
    """
    start: State = tuple(sorted((every, "whole") for every in audited))
    assert start, "what has no copy is lost"
    rates: dict[State, Mapping[State, float]] = {}
    left = [start]
    while left:
        state = left.pop()
        if state and state not in rates:
            rates[state] = _moves(state, faults)
            left += rates[state]
    return Loss(_mean(start, rates))


def _moves(state: State, faults: Faults) -> dict[State, float]:
    """What may happen to a state next, and how often a year."""
    found: defaultdict[State, float] = defaultdict(float)
    sooner = 1.0 if all(condition == "whole" for _every, condition in state) else 1 / faults.alpha
    for at, (every, condition) in enumerate(state):
        for to, rate in _changes(every, condition, faults, sooner):
            after = tuple(sorted((*state[:at], (every, to), *state[at + 1 :])))
            if all(one != "whole" for _every, one in after):
                after = ()
            found[after] += rate
    return {after: rate for after, rate in found.items() if rate}


def _changes(
    every: timedelta, condition: Condition, faults: Faults, sooner: float
) -> Iterator[tuple[Condition, float]]:
    if condition == "whole":
        yield "visible", faults.visible * sooner
        yield "latent", faults.latent * sooner
    else:
        away = faults.repair if condition == "visible" else every / 2 + faults.repair
        yield "whole", YEAR / away


def _mean(start: State, rates: Mapping[State, Mapping[State, float]]) -> float:
    """The mean time from start until nothing is left to happen.

    One state after the other is taken out, what led to it now leading on from it (Grassmann, Taksar and Heyman 1985):
    nothing is ever subtracted, so that a mean of 10^20 years is as exact as one of ten.
    """
    moves = {state: dict(to) for state, to in rates.items()}
    spent = dict.fromkeys(moves, 1.0)
    # Those with the most faults first: of the states that are left fewest lead to them.
    for out in sorted(moves, key=lambda state: sum(condition == "whole" for _every, condition in state)):
        if out == start:
            break
        gone, longer = moves.pop(out), spent.pop(out)
        total = sum(gone.values())
        for state, to in moves.items():
            if (rate := to.pop(out, 0.0)) == 0:
                continue
            spent[state] += rate * longer / total
            for after, share in gone.items():
                if after != state:
                    to[after] = to.get(after, 0.0) + rate * share / total
    lost = moves[start].get((), 0.0)
    return spent[start] / lost if lost else inf

"""The likelihood of loss: against values worked out by hand, against the paper, and against chance itself."""

from __future__ import annotations

from datetime import timedelta
from heapq import heapify, heappop, heappush
from math import exp, isclose
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lantai.reports.loss import LATENT, YEAR, Faults, loss

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def years(span: timedelta) -> float:
    return span / YEAR


def test_with_one_copy_the_first_fault_is_the_loss_whatever_the_audits() -> None:
    """2 faults a year in a hundred: a mean of 50 years, and 1 - e^(-10/50) within ten."""
    faults = Faults(visible=0.015, latent=0.005)
    for every in (DAY, 90 * DAY, 3650 * DAY):
        assert isclose(loss([every], faults).mean, 50)
        assert isclose(loss([every], faults).within(10), 1 - exp(-0.2))
        assert isclose(loss([every], faults).a_year, 0.02)


def test_two_copies_by_hand() -> None:
    """Latent faults alone, of rate l, found and repaired at rate m: (3 l + m) / 2 l^2.

    From whole: 1/2l until the first. From one faulty: 1/(l + m), then lost with l/(l + m), else whole again.
    """
    faults = Faults(visible=0, latent=0.1, repair=YEAR / 4)
    audited = YEAR / 2  # found after a quarter of a year in the mean, repaired after one more: m = 2
    assert isclose(loss([audited, audited], faults).mean, (3 * 0.1 + 2) / (2 * 0.1**2))  # 115 years


def test_three_copies_by_hand() -> None:
    """l = 1, m = 1. With none faulty the next is a fault; with one, a fault twice as often as a repair; with two, a
    repair twice as often as the loss; a third of a year each: T0 = 1/3 + T1, T1 = 1/3 + 2/3 T2 + 1/3 T0,
    T2 = 1/3 + 2/3 T1, so that T1 = 3 and T0 = 10/3.
    """
    faults = Faults(visible=0, latent=1, repair=YEAR / 2)
    assert isclose(loss([YEAR] * 3, faults).mean, 10 / 3)


def test_as_the_paper_says() -> None:
    """ML = 2.8 * 10^5 hours, three audits a year, so that MDL = 1460 hours, MRL = 20 minutes, latent faults prevailing:
    6128.7 years. Here one half of that, since either copy may fail first; the paper leaves out terms of the
    order of MDL/ML, three halves of a hundredth.
    """
    faults = Faults(visible=0, latent=8760 / 2.8e5 * (YEAR / (365 * DAY)), repair=HOUR / 3)
    found = loss([2920 * HOUR] * 2, faults).mean * (YEAR / (365 * DAY))
    assert isclose(2 * found, 6128.7, rel_tol=0.02)
    tenth = loss([2920 * HOUR] * 2, Faults(0, faults.latent, 0.1, faults.repair)).mean * (YEAR / (365 * DAY))
    assert isclose(2 * tenth, 612.9, rel_tol=0.12)


@pytest.mark.parametrize("copies", [2, 3, 4, 5])
@pytest.mark.parametrize("alpha", [1.0, 0.2])
def test_where_faults_are_rare_it_is_the_formula(copies: int, alpha: float) -> None:
    """alpha^(r-1) ML^r / (r D^(r-1))."""
    ml, d = 1e5, years(45 * DAY)
    found = loss([90 * DAY] * copies, Faults(visible=0, latent=1 / ml, alpha=alpha, repair=timedelta(0))).mean
    assert isclose(found, alpha ** (copies - 1) * ml**copies / (copies * d ** (copies - 1)), rel_tol=1e-4)


def test_both_kinds_of_fault_are_the_formula_of_two_copies() -> None:
    """1/MTTDL = 2 (1/MV + 1/ML) (MRV/MV + (MRL + MDL)/ML) / alpha."""
    faults = Faults(visible=3e-6, latent=1e-6, alpha=0.5, repair=7 * DAY)
    away = 3e-6 * years(7 * DAY) + 1e-6 * years(52 * DAY)
    assert isclose(loss([90 * DAY] * 2, faults).a_year, 2 * 4e-6 * away / 0.5, rel_tol=1e-4)


def test_a_mean_beyond_what_subtraction_could_tell_is_exact() -> None:
    """8 copies: one in 10^40 or so; the formula's next terms are of the order of 10^-5."""
    d, rate = years(45 * DAY), 1e-5
    found = loss([90 * DAY] * 8, Faults(visible=0, latent=rate, repair=timedelta(0))).mean
    assert found > 1e40
    assert isclose(found, 1 / (8 * rate**8 * d**7), rel_tol=1e-3)


def test_copies_audited_differently_count_each_as_it_is() -> None:
    """Two copies, rare faults: l^2 (D1 + D2)."""
    rate = 1e-6
    found = loss([30 * DAY, 300 * DAY], Faults(visible=0, latent=rate, repair=timedelta(0)))
    assert isclose(found.a_year, rate**2 * years(165 * DAY), rel_tol=1e-4)
    assert loss([300 * DAY, 30 * DAY], Faults()) == loss([30 * DAY, 300 * DAY], Faults())


@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=3), st.floats(1e-4, 1), st.floats(1e-4, 1), st.floats(0.05, 1)
)
def test_more_audits_and_more_copies_never_lose_more(
    every: list[int], visible: float, latent: float, alpha: float
) -> None:
    faults = Faults(visible, latent, alpha)
    audited = [days * DAY for days in every]
    mean = loss(audited, faults).mean
    alone = Faults(visible, latent)
    assert loss([*audited, 400 * DAY], alone).mean > loss(audited, alone).mean
    assert loss([max(DAY, one / 2) for one in audited], faults).mean >= mean * (1 - 1e-12)
    assert loss(audited, Faults(visible, latent, alpha / 2)).mean <= mean * (1 + 1e-12)


def test_the_published_figure_is_what_the_rate_says_again() -> None:
    assert isclose(1 - exp(-LATENT * 32 / 12), 0.0345)


def lived(audited: list[timedelta], faults: Faults, chance: Random) -> float:
    """Years until all copies of one package are faulty at once, by drawing every fault and every repair.

    Independent copies: the rest of each one's life does not depend on the others'.
    """
    events = [(chance.expovariate(faults.visible + faults.latent), number, True) for number in range(len(audited))]
    heapify(events)
    faulty = 0
    while True:
        at, number, fails = heappop(events)
        faulty += 1 if fails else -1
        if faulty == len(audited):
            return at
        if fails:
            seen = chance.random() < faults.visible / (faults.visible + faults.latent)
            away = years(faults.repair if seen else faults.repair + audited[number] / 2)
            heappush(events, (at + chance.expovariate(1 / away), number, False))
        else:
            heappush(events, (at + chance.expovariate(faults.visible + faults.latent), number, True))


@pytest.mark.parametrize("days", [[400, 400], [100, 700], [500, 200, 800]])
def test_chance_itself_says_the_same(days: list[int]) -> None:
    """4,000 lives: the mean within four standard errors, each of 1/63; and how many were lost by then."""
    faults, chance = Faults(visible=0.4, latent=0.6, repair=60 * DAY), Random(2006)
    audited = [one * DAY for one in days]
    lives = [lived(audited, faults, chance) for _life in range(4000)]
    said = loss(audited, faults)
    assert isclose(sum(lives) / len(lives), said.mean, rel_tol=4 / 63)
    early = sum(one <= said.mean for one in lives) / len(lives)
    # That the time until loss is exponential holds the better the rarer faults are; here they are not rare.
    assert isclose(early, said.within(said.mean), abs_tol=0.04)

"""The journal and the catalogue under fire: commands that are killed anywhere, histories that crash, a full disk.

LANTAI_FAULTS=full: as often as one would before a release. LANTAI_SEED: others (tests/chance.py).
"""

from __future__ import annotations

import random
import resource
import shutil
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.chance import seeded
from tests.faults.test_backends import FULL, Place, place, processes
from tests.integration.command import Lantai, folder
from tests.integration.test_rebuild import answers, forget

__all__ = ["place", "processes"]  # fixtures

KILLS = 200 if FULL else 25
HISTORIES = 1000 if FULL else 8
STEPS = 6


def rebuilt(lantai: Lantai, name: str) -> dict[str, str]:
    """What a catalogue made anew answers, beside the one of the home."""
    home = lantai.folder.with_name(name)
    shutil.copytree(lantai.folder, home, ignore=shutil.ignore_patterns("catalog.db*", "drafts"))
    copy = Lantai(home, lantai.environment)
    told = copy("rebuild", "--json")
    assert (told.code, told.object["errors"]) == (0, []), told
    found = answers(copy)
    shutil.rmtree(home)
    return found


def entered(lantai: Lantai, reason: str) -> int:
    """How many entries of the journal give that reason."""
    return sum(one["state"].get("reason") == reason for one in lantai("journal", "list", "--json").objects)


@pytest.mark.parametrize("place", ["filesystem"], indirect=True)
def test_killed_anywhere_and_run_again_nothing_is_lost_and_nothing_doubled(place: Place, tmp_path: Path) -> None:
    chance, lantai = seeded(), place.lantai
    ids = [
        lantai.stored(folder(tmp_path / f"submission-{number}", {"活动方案.txt": f"{number}\n"}))["package"]
        for number in range(8)
    ]
    lengths = dict.fromkeys(("access", "withdraw", "rebuild"), 0.0)
    met: Counter[tuple[str, bool]] = Counter()
    hidden = False
    for number in range(-3, KILLS):
        kind = tuple(lengths)[number % 3]
        reason = f"reason {number}"
        if kind == "access":
            words = ["access", "set", chance.choice(ids), chance.choice(["open", "closed", "2051-01-01"])]
            words += ["--reason", reason]
        elif kind == "withdraw":
            words = ["withdraw", ids[0], "--reason", reason, *(["--undo"] if hidden else [])]
            hidden = not hidden
        else:
            words = ["rebuild"]
        before = answers(lantai) if kind == "rebuild" else {}
        after = chance.uniform(0.001, lengths[kind]) if number >= 0 else 0
        process = place.begin("timed", f"killed-{number}", lantai, words=words, after=after)
        code = process.join()
        assert code in (0, -signal.SIGALRM), code
        if code == 0:  # the machine may be quicker now than it was
            lengths[kind] = float(process.told.with_suffix(".seconds").read_text())
        met[kind, code == 0] += number >= 0
        assert lantai(*words).code == 0, words
        if kind == "rebuild":
            assert answers(lantai) == before
        else:
            assert entered(lantai, reason) == 1, words
    print(dict(met))
    assert all(met[kind, False] for kind in lengths)
    assert lantai("journal", "verify").code == 0
    assert answers(lantai) == rebuilt(lantai, "anew")


@pytest.mark.parametrize("place", ["filesystem"], indirect=True)
def test_a_full_disk_leaves_the_old_catalogue_and_nothing_else(place: Place, tmp_path: Path) -> None:
    lantai = place.lantai
    for number in range(3):
        lantai.stored(folder(tmp_path / f"submission-{number}", {"活动方案.txt": f"{number}\n"}))
    before = answers(lantai)
    most = 100_000
    done = lantai.process(
        "rebuild", "--json", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    )
    assert (done.code, done.error["kind"]) == (1, "StoreUnavailable"), done
    assert list(lantai.folder.glob("catalog.db.new*")) == []
    assert answers(lantai) == before
    assert lantai("rebuild").code == 0
    assert answers(lantai) == before


@pytest.mark.parametrize("place", ["filesystem"], indirect=True)
@pytest.mark.parametrize("part", range(8))
def test_whatever_happened_a_catalogue_made_anew_answers_as_the_live_one(
    place: Place, tmp_path: Path, part: int
) -> None:
    """Random histories: ingest, update, access, withdraw, each of which may die before or after any change."""
    chance, lantai = seeded(), place.lantai
    made = 0
    for history in range(max(1, HISTORIES // 8)):
        for step in range(STEPS):
            name = f"{part}-{history}-{step}"
            known = [one["record"] for one in lantai("search", "文化节", "--json").objects]
            packages = [line["package"] for line in lantai("list", "--json").objects]
            words = _step(chance, packages, [*packages, *known], tmp_path / name)
            at = chance.choice([0, 0, chance.randrange(1, 30)])
            process = place.run(name, words, at=at, when=chance.choice(["before", "after"]))
            assert process.join() in (0, -signal.SIGKILL), (words, process.told.with_suffix(".err").read_text())
            made += 1
            assert lantai("clean", "--older-than", "0").code == 0
            assert answers(lantai) == rebuilt(lantai, f"anew-{name}"), (words, at)
        if history % 3 == 2:
            _afresh(place, tmp_path, f"{part}-{history}")
    assert made == STEPS * max(1, HISTORIES // 8)
    assert lantai("journal", "verify").code == 0


def _step(chance: random.Random, packages: Sequence[str], records: Sequence[str], where: Path) -> list[str | Path]:
    """records: the packages, and what the search finds, withdrawn or not."""
    kind = chance.choice(["ingest", "update", "access", "access", "withdraw"]) if packages else "ingest"
    if kind == "ingest":
        return ["ingest", folder(where, {"活动方案.txt": f"{where.name}\n", "照片/1.txt": "one\n"})]
    record, reason = chance.choice(records), ["--reason", where.name]
    if kind == "update":
        return ["update", chance.choice(packages), "--title", f"文化节 {where.name}", *reason]
    if kind == "withdraw":
        return ["withdraw", record, *reason, *chance.choice([[], ["--undo"]])]
    return ["access", "set", record, chance.choice(["open", "description", "closed", "2051-01-01"]), *reason]


def _afresh(place: Place, tmp_path: Path, name: str) -> None:
    """The archive's packages are put aside, so that a thousand histories do not take longer each."""
    lantai = place.lantai
    for kept in ("ocfl", "journal"):
        for one in (tmp_path / "store" / kept).iterdir():
            if kept == "journal" or len(one.name) == 3:
                shutil.move(one, tmp_path / f"aside-{name}-{kept}-{one.name}")
    forget(lantai)
    shutil.rmtree(lantai.folder / "journal", ignore_errors=True)
    assert lantai("rebuild").code == 0

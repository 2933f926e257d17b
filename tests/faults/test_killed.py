"""Real processes that end badly: killed as they ingest, interrupted, out of disk. The state is the old or the new."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest

from lantai.catalog import Catalog
from lantai.errors import StoreUnavailable
from tests.conformance.objects import objects, refused
from tests.integration.command import ENVIRONMENT, Lantai, contents, folder

PROJECT = Path(__file__).parents[2]
KILLS = 24
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


@pytest.fixture
def lantai(tmp_path: Path) -> Lantai:
    """The command, in an empty home."""
    done = Lantai(tmp_path)("init", "home")
    assert done.code == 0, done
    return Lantai(tmp_path / "home")


def listed(lantai: Lantai) -> dict[str, int]:
    """What the catalogue tells: packages and their newest version."""
    done = lantai("list", "--json")
    assert done.code == 0, done
    return {one["package"]: one["version"] for one in done.objects}


def valid(lantai: Lantai, packages: set[str]) -> None:
    done = lantai("validate", "--json", *(word for one in sorted(packages) for word in ("--package", one)))
    assert [one for one in done.objects if not one["valid"]] == []
    assert {one["object"] for one in done.objects} == packages
    assert done.code == 0


def nothing_is_left(lantai: Lantai) -> None:
    """No draft, no staging, no unfinished file; and the judge from outside says yes to all."""
    store = lantai.folder / "store"
    assert list((lantai.folder / "drafts").iterdir()) == []
    assert [path for path in (store / "staging").rglob("*") if path.is_file()] == []
    assert refused(store / "ocfl", *objects(store)) == ""


def killed(lantai: Lantai, submissions: Path, name: str, chance: random.Random) -> list[tuple[str, int]]:
    """Ingest and update until killed at a random moment; package and version of what was reported as stored."""
    program = str(PROJECT / "tests/faults/ingest_process.py")
    command = [sys.executable, program, str(lantai.folder), str(submissions), name]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _line in range(1 + chance.randrange(4))]
        time.sleep(chance.uniform(0, 0.08))
        process.kill()
        lines += process.stdout.readlines()
    assert lines[0] == "ready\n"
    assert process.returncode == -signal.SIGKILL
    return [(line.split()[0], int(line.split()[1])) for line in lines[1:] if line.endswith("\n")]


def test_a_writer_killed_at_any_moment_loses_nothing_that_it_reported(lantai: Lantai, tmp_path: Path) -> None:
    """Every other time the next one is killed as well, so that settling what was left is interrupted too."""
    chance = random.Random(4)
    submissions = folder(tmp_path / "submissions", {})
    reported: dict[str, int] = {}
    told = 0
    before: dict[str, int] = {}
    for number in range(KILLS):
        stored = killed(lantai, submissions, str(number), chance)
        told += len(stored)
        reported.update(stored)
        now = listed(lantai)
        assert all(now[package] >= version for package, version in reported.items())
        if number % 2:
            extra = folder(tmp_path / "submissions" / f"whole-{number}", {"纪要.txt": f"minutes {number}\n"})
            done = lantai.stored(extra)
            reported[done["package"]] = done["version"]
            told += 1
            now = listed(lantai)
            valid(lantai, {package for package, version in now.items() if before.get(package) != version})
            before = now
    assert lantai("clean", "--older-than", "0").code == 0
    now = listed(lantai)
    assert all(now[package] >= version for package, version in reported.items())
    assert told <= sum(now.values()) <= told + KILLS
    assert told >= KILLS
    valid(lantai, set(now))
    assert {path.name for path in objects(lantai.folder / "store")} == {one.replace(":", "%3a") for one in now}
    nothing_is_left(lantai)


@pytest.mark.parametrize("command", ["clean", "ingest"])
def test_what_the_catalogue_was_not_told_of_it_is_told_later(lantai: Lantai, tmp_path: Path, command: str) -> None:
    """However often it fails: until the catalogue knows a version, its home remembers that it must be told."""
    locked = StoreUnavailable("the catalogue is locked", subject="catalog.db", remedy="Try again.")
    words = {"clean": ["clean"], "ingest": ["ingest", str(folder(tmp_path / "next", {"b.txt": "next\n"}))]}[command]
    with mock.patch.object(Catalog, "index", side_effect=locked):
        done = lantai("ingest", folder(tmp_path / "first", {"a.txt": "first\n"}), "--json")
        assert (done.code, done.error["what"]) == (1, locked.what)
        for _turn in range(2):
            assert lantai(*words).code == 1
    assert listed(lantai) == {}
    assert lantai(*words).code == 0
    assert len(listed(lantai)) == {"clean": 1, "ingest": 2}[command]
    valid(lantai, set(listed(lantai)))
    nothing_is_left(lantai)


def test_a_store_that_lost_a_version_gets_no_other_of_its_number(lantai: Lantai, tmp_path: Path) -> None:
    """An old copy of the store was brought back; the catalogue remembers."""
    package = lantai.stored(folder(tmp_path / "first", {"a.txt": "first\n"}))["package"]
    shutil.copytree(lantai.folder / "store", tmp_path / "copy")
    assert lantai("update", package, "--title", "two", "--reason", "r").code == 0
    shutil.rmtree(lantai.folder / "store")
    shutil.copytree(tmp_path / "copy", lantai.folder / "store")
    before = contents(lantai.folder)
    done = lantai("update", package, "--title", "other", "--reason", "r", "--json")
    assert (done.code, done.error["kind"], done.error["subject"]) == (1, "Damaged", package)
    assert contents(lantai.folder) == before


def test_what_is_known_is_called_present_only_if_the_store_can_read_it(lantai: Lantai, tmp_path: Path) -> None:
    submission = folder(tmp_path / "first", {"a.txt": "first\n"})
    lantai.stored(submission)
    assert lantai("ingest", submission, "--json").object["status"] == "present"
    (object_folder,) = objects(lantai.folder / "store")
    inventory = object_folder / "v1" / "inventory.json"
    inventory.write_bytes(inventory.read_bytes()[:-10])
    done = lantai("ingest", submission, "--json")
    assert (done.code, done.error["kind"]) == (1, "Damaged")
    shutil.rmtree(object_folder)
    assert lantai("ingest", submission, "--json").object["status"] == "stored"


def size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # it has been put
        return 0


@pytest.mark.parametrize("interrupts", [1, 2])
def test_an_interrupt_leaves_the_old_state_and_says_so(lantai: Lantai, tmp_path: Path, interrupts: int) -> None:
    """To the whole group of processes, as a terminal sends it."""
    lantai.stored(folder(tmp_path / "first", {"a.txt": "kept\n"}))
    large = folder(tmp_path / "large", {"small.txt": "small\n", "tape.bin": b""})
    with (large / "tape.bin").open("r+b") as file:
        file.truncate(8 << 30)
    before, catalogue = contents(lantai.folder), listed(lantai)
    process = subprocess.Popen(
        [sys.executable, "-m", "lantai", "ingest", large], cwd=lantai.folder, env=ENVIRONMENT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    temporary = lantai.folder / "store" / ".tmp"
    while not any(size(one) > 1 << 20 for one in temporary.iterdir()):
        assert process.poll() is None
        time.sleep(0.01)
    for _interrupt in range(interrupts):
        os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Interrupted" in err
    assert out == ""
    if interrupts == 1:  # a second one may meet the tidying up, which the next run then does
        assert "Traceback" not in err
        assert contents(lantai.folder) == before
    assert listed(lantai) == catalogue
    lantai.stored(folder(tmp_path / "second", {"b.txt": "next\n"}))
    assert list(temporary.iterdir()) == []
    nothing_is_left(lantai)


STUCK = """\
import os, re
def identify_many(paths, workers=1):
    for path in paths:
        with open(os.environ["BUSY"], "w") as file:
            file.write(str(os.getpid()))
        re.match("(a*)*b", "a" * 64)
    return dict(siegfried="0", signature="none", identifiers=[dict(details="")], files=[])
"""
"""A library that comes to no end with any file, and holds the interpreter's lock meanwhile."""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("command", ["ingest", "identify"])
def test_an_interrupt_does_not_wait_for_the_identifier(
    lantai: Lantai, tmp_path: Path, command: str, sent: signal.Signals
) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "pygfried.py").write_text(STUCK)
    scratch = folder(tmp_path / "scratch", {})
    before = contents(lantai.folder)
    environment = {
        **ENVIRONMENT, "PYTHONPATH": str(tmp_path / "library"), "TMPDIR": str(scratch), "BUSY": str(tmp_path / "busy"),
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "lantai", command, folder(tmp_path / "first", {"a.txt": "a\n"})], cwd=lantai.folder,
        env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    while not (tmp_path / "busy").is_file() or not (child := (tmp_path / "busy").read_text()):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(sent)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, ""), err
    (line,) = err.split("\n")[1:-1]  # the first ends what the terminal echoes
    assert line.startswith("Interrupted.")
    assert "goes on" not in line  # nothing was stored yet
    with pytest.raises(ProcessLookupError):
        os.kill(int(child), 0)
    assert list(scratch.iterdir()) == []
    assert contents(lantai.folder) == before


@contextmanager
def disk(place: Path, size: str) -> Iterator[Path]:
    """A small file system."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "lantai-test", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


LARGE: dict[str, str | bytes] = {"a.txt": "small\n", "film.bin": os.urandom(1 << 20) * 12}
MANY: dict[str, str | bytes] = {f"照片/{number:04d}.txt": os.urandom(3000) for number in range(3000)}


@ROOT_ONLY
@pytest.mark.parametrize("files", [LARGE, MANY], ids=["one large file", "many small files"])
@pytest.mark.parametrize("home", ["elsewhere", "on the same disk"])
def test_a_full_disk_leaves_the_old_state_and_is_told(tmp_path: Path, files: dict[str, str | bytes], home: str) -> None:
    with disk(tmp_path / "disk", "12m") as small:
        where = tmp_path if home == "elsewhere" else small
        assert Lantai(where).process("init", "home", "--store", small / "store").code == 0
        lantai = Lantai(where / "home")
        ballast = small / "ballast"
        ballast.write_bytes(b"x" * (1 << 20))
        done = lantai.process("ingest", folder(tmp_path / "first", {"a.txt": "kept\n"}), "--json")
        assert done.code == 0, done
        kept = {done.object["package"]: 1}

        submission = folder(tmp_path / "too much", files)
        done = lantai.process("ingest", submission, "--json")
        assert done.code == 1, done
        assert done.error["kind"] == "StoreUnavailable"
        assert done.error["what"] == "the disk is full"
        assert done.error["subject"].startswith(str(small))
        assert "Free space" in done.error["remedy"]
        assert "Traceback" not in done.err
        done = lantai.process("list", "--json")
        assert {one["package"]: one["version"] for one in done.objects} == kept, done

        if home != "elsewhere":  # the catalogue has no room either, so that only the person can make some
            ballast.unlink()
        done = lantai.process("ingest", folder(tmp_path / "next", {"b.txt": "next\n"}), "--json")
        assert done.code == 0, done
        kept[done.object["package"]] = 1
        assert lantai.process("validate", "--json").code == 0
        done = lantai.process("list", "--json")
        assert {one["package"]: one["version"] for one in done.objects} == kept
        assert list((lantai.folder / "drafts").iterdir()) == []
        assert [path for path in (small / "store" / "staging").rglob("*") if path.is_file()] == []
        assert refused(small / "store" / "ocfl", *objects(small / "store")) == ""

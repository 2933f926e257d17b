"""An audit that is told to stop: what it has wholly read counts, what was under way does not; the next one goes on."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from lantai.fixity import audit as auditing
from lantai.fixity import run
from lantai.fixity.control import Missed
from lantai.storage import Store, open_store, workers
from lantai.storage.ocfl import Root
from tests.integration.command import Lantai, folder
from tests.integration.test_audit import checks, runs

PACKAGES = 5


@pytest.fixture
def ids(lantai: Lantai, tmp_path: Path) -> list[str]:
    """Packages in one store, in the order in which an audit comes to them."""
    for number in range(PACKAGES):
        lantai.stored(folder(tmp_path / f"submission-{number}", {"方案.txt": f"{number}\n", "照片.jpg": b"\x01" * 999}))
    return list(Root(open_store(lantai.folder / "store")).places())


def signalled(place: int, *, times: int = 1) -> Callable[..., Any]:
    """The audit of a package. At the one in that place this process is sent Ctrl-C."""
    look, looks = run._audit, list[str]()

    def audit(*words: Any) -> Any:
        looks.append(words[3])
        if len(looks) == 1:
            time.sleep(1.1)  # the journal tells seconds apart, and no less
        if len(looks) == place + 1:
            for _time in range(times):
                os.kill(os.getpid(), signal.SIGINT)
        return look(*words)

    return audit


def test_what_was_wholly_read_counts_and_the_next_audit_reads_what_is_left(
    lantai: Lantai, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = len(checks(lantai))
    monkeypatch.setattr(workers, "PROCESSES", 0)
    with mock.patch.object(run, "_audit", signalled(3)):
        assert lantai("audit", "--all").code == 130
    assert (runs(lantai)[0]["verdict"], runs(lantai)[0]["reason"]) == ("incomplete", "interrupted")
    entered = checks(lantai)[known:]
    assert [one["subject"]["id"] for one in entered] == ids[:3]
    assert {(one["state"]["valid"], one["state"]["control"]) for one in entered} == {(True, "passed")}
    done = lantai("audit", "--all", "--json").object
    assert (done["checked"], done["before"], done["verdict"]) == (2, 3, "passed")
    assert lantai("audit", "--all", "--json").object["checked"] == PACKAGES


def test_what_was_found_damaged_before_the_stop_is_entered_and_put_right_by_the_next(
    lantai: Lantai, second: Path, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lantai("replicate").code == 0
    next((lantai.folder / "store" / "ocfl").glob(f"*/*/*/{ids[0].replace(':', '%3a')}/v1/**/照片.jpg")).unlink()
    known = len(checks(lantai))
    monkeypatch.setattr(workers, "PROCESSES", 0)
    with mock.patch.object(run, "_audit", signalled(2)):
        assert lantai("audit", "--all", "--store", "local").code == 130
    assert [one["state"]["valid"] for one in checks(lantai)[known:]] == [False, True]
    done = lantai("audit", "--all", "--store", "local", "--json").object
    assert ([one["package"] for one in done["repairs"]], done["before"]) == ([ids[0]], 1)
    assert lantai("audit", "--all", "--json").code == 0


@pytest.mark.parametrize("when", ["before anything was read", "a second time"])
def test_what_is_not_done_is_not_said_to_be(
    lantai: Lantai, ids: list[str], monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    assert ids
    known = len(checks(lantai))
    monkeypatch.setattr(workers, "PROCESSES", 0)
    place, times = (0, 1) if when.startswith("before") else (3, 2)
    with mock.patch.object(run, "_audit", signalled(place, times=times)):
        assert lantai("audit", "--all").code == 130
    assert checks(lantai)[known:] == []


def test_a_second_one_ends_the_self_audit_and_nothing_counts(
    lantai: Lantai, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ids
    known = len(checks(lantai))
    monkeypatch.setattr(workers, "PROCESSES", 0)

    def again(*_words: Any, **_more: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(run, "control", again)
    with mock.patch.object(run, "_audit", signalled(3)):
        assert lantai("audit", "--all").code == 130
    assert checks(lantai)[known:] == []


def test_a_segment_that_is_void_stays_so_though_it_was_stopped(
    lantai: Lantai, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = len(checks(lantai))
    monkeypatch.setattr(workers, "PROCESSES", 0)
    monkeypatch.setattr(run, "control", lambda *_words, **_more: Missed("missing", ids[0], "a key"))  # type: ignore[arg-type]
    with mock.patch.object(run, "_audit", signalled(3)):
        assert lantai("audit", "--all").code == 130
    assert checks(lantai)[known:] == []


class Endless:
    """A store in which one file goes on and on. It sends Ctrl-C when it has been read for a while."""

    def __init__(self, store: Store) -> None:
        self.store, self.reads = store, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def open(self, key: str, start: int = 0, stop: int | None = None) -> Any:
        if not key.endswith("照片.jpg"):
            return self.store.open(key, start, stop)
        return _File(self)


class _File(io.RawIOBase):
    def __init__(self, store: Endless) -> None:
        self._store = store

    def readable(self) -> bool:
        return True

    def read(self, _size: int = -1, /) -> bytes:
        self._store.reads += 1
        if self._store.reads == 3:
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.001)
        return b"more" if self._store.reads < 20_000 else b""


@pytest.mark.parametrize("alone", [True, False])
def test_a_large_file_is_not_read_to_its_end(
    lantai: Lantai, ids: list[str], monkeypatch: pytest.MonkeyPatch, alone: bool
) -> None:
    """A package alone is read in threads of this process."""
    known = len(checks(lantai))
    monkeypatch.setattr(workers, "PROCESSES", 2 if alone else 0)
    made = list[Endless]()

    def opened(place: Any) -> Endless:
        made.append(Endless(open_store(place)))
        return made[-1]

    words = ("--package", ids[0]) if alone else ("--all",)
    with mock.patch("lantai.stores.open_store", opened):
        assert lantai("audit", *words, "--no-repair").code == 130
    assert 3 <= sum(one.reads for one in made) < 20_000
    assert checks(lantai)[known:] == []


def test_what_other_processes_finished_counts_and_what_one_of_them_reads_is_dropped(
    lantai: Lantai, ids: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first package is never read to its end; once another is, this process is told to stop."""
    known, parent = len(checks(lantai)), os.getpid()
    contents, answer = auditing._contents, workers._Teller.answer
    answered = tmp_path / "answered"

    def endless(head: Any, lines: Any) -> Iterator[Any]:
        if os.getpid() != parent and head.package == ids[0]:
            while not answered.exists():
                time.sleep(0.001)
            os.kill(parent, signal.SIGINT)
            time.sleep(600)
        return contents(head, lines)

    def noted(teller: Any, number: int, said: object) -> None:
        answer(teller, number, said)
        answered.touch()

    monkeypatch.setattr(workers, "PROCESSES", 2)
    with mock.patch.object(auditing, "_contents", endless), mock.patch.object(workers._Teller, "answer", noted):
        assert lantai("audit", "--all").code == 130
    entered = [one["subject"]["id"] for one in checks(lantai)[known:]]
    assert entered
    assert set(entered) <= set(ids[1:])
    assert len(entered) == len(set(entered))
    assert {one["state"]["control"] for one in checks(lantai)[known:]} == {"passed"}


@pytest.mark.parametrize(
    ("sent", "command", "code"),
    [(signal.SIGINT, "audit", 130), (signal.SIGHUP, "audit", 130), (signal.SIGTERM, "worker", 0)],
)
def test_a_process_that_is_told_to_stop_within_a_large_file_keeps_what_came_before(
    lantai: Lantai, tmp_path: Path, sent: signal.Signals, command: str, code: int
) -> None:
    settings = lantai.folder / "lantai.toml"
    settings.write_text(settings.read_text().replace("required = true", 'audit_rate = "1MB"\nrequired = true', 1))
    small = lantai.stored(folder(tmp_path / "small", {"a.txt": "a"}))["package"]
    large = lantai.stored(folder(tmp_path / "large", {"large.bin": os.urandom(1 << 20) * 64}))["package"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    asked = ("audit", "--package", small, "--package", large) if command == "audit" else ("worker",)
    words = [sys.executable, "-m", "lantai", "--home", str(lantai.folder), *asked, "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        while not reads(process.pid, "large.bin"):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(sent)
        _out, said = process.communicate(timeout=300)
    assert process.returncode == code, said
    (audited,) = [one for one in runs(lantai) if one["command"] == "audit"]
    assert (audited["verdict"], audited["reason"]) == ("incomplete", "interrupted")
    assert [one["subject"]["id"] for one in checks(lantai)] == [small]


def reads(process: int, name: str) -> bool:
    """Whether a process has a file of that name open (proc(5))."""
    with suppress(FileNotFoundError):
        return any(one.readlink().name == name for one in Path(f"/proc/{process}/fd").iterdir())
    return False

"""worker: what is due is done by itself, once, and what was missed is made up for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest

from lantai import jobs
from lantai.archive import Archive
from lantai.errors import Damaged
from lantai.fixity import run
from lantai.storage.views import Paced
from tests.integration.command import Lantai


def told(lantai: Lantai) -> list[tuple[str, str]]:
    return [(one["command"], one["verdict"]) for one in lantai("worker", "--once", "--json").objects]


def timetable(lantai: Lantai, task: str, line: str) -> None:
    settings = lantai.folder / "lantai.toml"
    text = settings.read_text().splitlines()
    settings.write_text("\n".join(f'{task} = "{line}"' if one.startswith(f"{task} = ") else one for one in text) + "\n")


@pytest.fixture
def stocked(stocked: tuple[Lantai, str]) -> tuple[Lantai, str]:
    """What never ran is due; what ran is not, for half a day, whatever the time is now."""
    lantai, _id = stocked
    far(lantai)
    return stocked


def far(lantai: Lantai) -> None:
    """The times of the timetable."""
    with Archive(lantai.folder, by="王芳") as archive:
        then = datetime.now(archive.zone) + timedelta(hours=12)
    for task in jobs.TASKS:
        timetable(lantai, task, f"{then.minute} {then.hour} * * *")


def test_what_is_due_runs_once(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    assert told(lantai) == [("clean", "passed"), ("replicate", "passed"), ("audit", "passed")]
    assert told(lantai) == []
    assert [one["store"] for one in lantai("show", id, "--json").object["checks"]] == ["local"]
    assert {one["asked"].get("what") for one in lantai("jobs", "--json").objects} == {"due", None}


def test_what_is_never_to_run_does_not(stocked: tuple[Lantai, str]) -> None:
    lantai, _id = stocked
    timetable(lantai, "audit", "")
    assert told(lantai) == [("clean", "passed"), ("replicate", "passed")]


def test_a_line_that_is_none_is_refused(stocked: tuple[Lantai, str]) -> None:
    lantai, _id = stocked
    timetable(lantai, "audit", "at night")
    done = lantai("worker", "--once", "--json")
    assert (done.code, done.error["kind"]) == (2, "UsageError")
    assert "worker.audit" in done.error["what"]


def test_an_audit_of_one_package_is_not_the_audit_of_the_night(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    assert lantai("audit", "--package", id).code == 0
    assert ("audit", "passed") in told(lantai)


def test_a_run_that_was_broken_off_runs_again(stocked: tuple[Lantai, str], monkeypatch: pytest.MonkeyPatch) -> None:
    lantai, _id = stocked

    def interrupted(*_arguments: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(run, "_audit", interrupted)
        assert lantai("worker", "--once").code == 130
    assert told(lantai) == [("audit", "passed")]


def test_a_fault_is_an_exit_code_and_the_rest_is_done(stocked: tuple[Lantai, str]) -> None:
    lantai, _id = stocked
    next((lantai.folder / "store").glob("ocfl/*/*/*/*/v1/content/*/bag-info.txt")).unlink()
    done = lantai("worker", "--once", "--json")
    assert (done.code, [one["verdict"] for one in done.objects]) == (1, ["passed", "passed", "faults"])


def test_an_audit_that_cannot_be_made_as_it_is_asked_for_leaves_its_trace(stocked: tuple[Lantai, str]) -> None:
    lantai, _id = stocked
    settings = lantai.folder / "lantai.toml"
    settings.write_text(settings.read_text().replace('level = "full"', 'level = "server"'))
    done = lantai("worker", "--once", "--json")
    assert done.code == 1
    assert [(one["command"], one["verdict"]) for one in done.objects][-1] == ("audit", "failed")
    assert told(lantai) == []


def test_what_ends_without_an_entry_is_not_taken_for_the_run_before_and_waits_for_its_time(
    stocked: tuple[Lantai, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lantai, _id = stocked
    assert lantai("audit", "--all").code == 0
    timetable(lantai, "audit", "* * * * *")

    def fails(_archive: Archive) -> None:
        raise Damaged("it cannot be read", subject="journal/", remedy="Look at the disk.")

    later = (datetime.now(UTC) + timedelta(minutes=2)).replace(second=59, microsecond=900_000)

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return later.astimezone(tz)

    monkeypatch.setattr(jobs, "datetime", Later)
    monkeypatch.setattr(jobs, "TASKS", {**jobs.TASKS, "audit": fails})
    found, failed, tried = list[str](), list[str](), dict[str, datetime]()
    for _poll in range(2):
        found += (
            run.command
            for run in jobs.run_due(
                lantai.folder, by="王芳", tried=tried, failed=lambda name, _error: failed.append(name),
                after=lambda _archive: None,
            )
        )  # fmt: skip
    assert failed == ["audit"]
    assert "audit" not in found


def test_a_store_that_is_away_and_owes_nothing_is_not_missed(lantai: Lantai, second: Path, records: Path) -> None:
    lantai.stored(records)
    far(lantai)
    assert told(lantai)[-1] == ("audit", "passed")
    second.rename(second.with_name("in the safe"))
    assert lantai("audit", "--due", "--json").code == 0
    assert lantai("audit", "--all", "--json").object["not_reached"] == ["second"]


def test_there_is_one_worker_and_it_ends_when_it_is_told_to(stocked: tuple[Lantai, str]) -> None:
    lantai, _id = stocked
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "LANTAI_LANG": "en"}
    words = [sys.executable, "-m", "lantai", "--home", str(lantai.folder), "worker", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as worker:
        assert worker.stdout is not None
        lines = [worker.stdout.readline() for _task in range(3)]
        assert ['"command": "audit"' in one for one in lines] == [False, False, True]
        refused = lantai("worker", "--once", "--json")
        assert (refused.code, refused.error["kind"]) == (2, "UsageError")
        time.sleep(0.1)
        worker.send_signal(signal.SIGTERM)
        _out, said = worker.communicate(timeout=60)
    assert worker.returncode == 0, said
    assert "The worker has ended" in said
    assert told(lantai) == []


def test_an_audit_keeps_within_its_rate(stocked: tuple[Lantai, str], monkeypatch: pytest.MonkeyPatch) -> None:
    lantai, _id = stocked
    settings = lantai.folder / "lantai.toml"
    settings.write_text(settings.read_text().replace("required = true", 'audit_rate = "1MB"\nrequired = true', 1))
    asked: list[int] = []

    def noted(store: Any, rate: int) -> Any:
        asked.append(rate)
        return Paced(store, rate, sleep=lambda _seconds: None)

    monkeypatch.setattr(run, "Paced", noted)
    assert lantai("audit", "--all", "--json").object["verdict"] == "passed"
    assert asked == [1_000_000]

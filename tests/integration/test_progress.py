"""Progress: told on standard error of work over a second; Ctrl-C leaves the old state."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lantai.cli import output
from tests.integration.command import ENVIRONMENT, Lantai, folder, read_until

# The program, except that it tells of work after an instant instead of after a second.
IMPATIENT = (
    "from lantai.cli import main, output; output._FIRST_SHOWN = 0.02; output._PLAIN_EVERY = 0.02; "
    "output._LINE_EVERY = 0.02; main()"
)
PATIENCE = 120.0
GIB = 1 << 30


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "_FIRST_SHOWN", 0.001)
    monkeypatch.setattr(output, "_PLAIN_EVERY", 0.001)


def told(work: tuple[int, int], total: tuple[int, int] | None) -> str:
    """The last line that is told of so many files and bytes done."""
    err = io.StringIO()
    deadline = time.monotonic() + PATIENCE
    with contextlib.redirect_stderr(err), output.metered(total) as meter:
        meter(*work)
        while not err.getvalue().endswith("\n") and time.monotonic() < deadline:
            time.sleep(0.001)
    return err.getvalue().splitlines()[-1]


@pytest.mark.usefixtures("impatient")
def test_a_line_tells_files_bytes_rate_share_and_time_left() -> None:
    line = told((3, 2_000_000), (12, 8_000_000))
    assert line.startswith("3 of 12 files, 2.0 MB of 8.0 MB, ")
    assert re.search(r", [0-9.]+ [KMGT]?B/s, [0-9]+ files?/s, 25%, [0-9:]+ left$", line)


@pytest.mark.usefixtures("impatient")
def test_without_a_total_nothing_is_foretold() -> None:
    assert re.fullmatch(r"1 file, 5 B, [0-9.]+ [KMGT]?B/s, [0-9]+ files?/s", told((1, 5), None))


@pytest.mark.usefixtures("impatient")
def test_more_than_was_expected_is_not_over_all() -> None:
    assert ", 100%, 0:00 left" in told((3, 900), (2, 500))


@pytest.mark.usefixtures("impatient")
def test_nothing_is_told_before_anything_is_done() -> None:
    err = io.StringIO()
    with contextlib.redirect_stderr(err), output.metered((12, 8_000_000)):
        time.sleep(0.05)
    assert err.getvalue() == ""


def test_short_work_is_not_worth_a_line() -> None:
    err = io.StringIO()
    with contextlib.redirect_stderr(err), output.metered((1, 1)) as meter:
        meter(1, 1)
    assert err.getvalue() == ""


def test_every_thread_may_tell() -> None:
    with output.metered() as meter:

        def work() -> None:
            for _ in range(1000):
                meter(1, 10)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert meter.line().startswith("8000 files, 80.0 KB, ")


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A submission that takes a while: a file of holes, which is read and hashed like any other."""
    records = folder(tmp_path / "large", {"a.txt": "a"})
    with (records / "录像.mkv").open("wb") as file:
        file.truncate(3 * GIB)
    return records


def test_where_there_is_no_terminal_lines_are_plain(lantai: Lantai, large: Path) -> None:
    with (large / "录像.mkv").open("r+b") as file:
        file.truncate(GIB // 2)
    done = subprocess.run(
        [sys.executable, "-c", IMPATIENT, "check", str(large), "--json"], cwd=lantai.folder, env=ENVIRONMENT,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1, "progress is none of standard output's"
    lines = done.stderr.splitlines()
    assert len(lines) > 1
    assert all(" of 2 files, " in line and " of 536.9 MB, " in line and line.endswith(" left") for line in lines)
    assert "\x1b" not in done.stderr
    assert "\r" not in done.stderr


@contextlib.contextmanager
def terminal(command: Lantai, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The impatient program on a terminal of 80 columns, which is its controlling one, so that Ctrl-C reaches it."""
    primary, secondary = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", IMPATIENT, *arguments],
        cwd=command.folder, stdin=secondary, stdout=secondary, stderr=secondary, start_new_session=True,
        env={**ENVIRONMENT, "TERM": "xterm-256color", "COLUMNS": "80"}, preexec_fn=_take_terminal,
    )  # fmt: skip
    os.close(secondary)
    try:
        yield process, primary
    finally:
        process.kill()
        process.wait()
        os.close(primary)


def _take_terminal() -> None:
    # A session's leader without a terminal gets the first one that it opens.
    os.close(os.open(os.ttyname(0), os.O_RDWR))


def test_on_a_terminal_one_line_is_written_over(lantai: Lantai, large: Path) -> None:
    with (large / "录像.mkv").open("r+b") as file:
        file.truncate(GIB // 2)
    with terminal(lantai, "check", str(large)) as (process, primary):
        shown = read_until(primary)
        assert process.wait(PATIENCE) == 0
    updates = shown.split("\r\x1b[2K")
    assert len(updates) > 2
    assert all("\n" not in one for one in updates[:-1]), "nothing scrolls"
    assert all(len(one) < 80 for one in updates[:-1])
    assert "left" in updates[-2]
    last = re.sub(r"\x1b\[[0-9;]*m", "", updates[-1])
    assert last.startswith(str(large)), "the line is gone before the result is told"


def test_ctrl_c_gives_130_and_leaves_the_old_state(stocked: tuple[Lantai, str], large: Path, records: Path) -> None:
    lantai, id = stocked
    before = lantai("list", "--json").objects
    with terminal(lantai, "ingest", str(large)) as (process, primary):
        assert "录像" not in read_until(primary, r" [1-9][0-9.]* [MG]B of ")
        os.write(primary, b"\x03")
        shown = read_until(primary)
        assert process.wait(PATIENCE) == 130, shown
    assert "Interrupted" in shown
    assert "Traceback" not in shown
    assert lantai("list", "--json").objects == before
    (large / "录像.mkv").unlink()
    assert lantai("validate", "--json").object == {"object": id, "valid": True, "errors": [], "warnings": []}
    assert lantai("clean").code == 0
    assert not [one for one in (lantai.folder / "store").rglob("*") if one.is_file() and one.stat().st_size > 10**6]
    assert lantai.stored(large)["files"] == 1, "the next command works"


def test_an_interrupted_export_leaves_nothing(lantai: Lantai, large: Path) -> None:
    with (large / "录像.mkv").open("r+b") as file:
        file.truncate(GIB // 2)
    id = lantai.stored(large)["package"]
    with terminal(lantai, "export", id, "out") as (process, primary):
        read_until(primary, r" [1-9][0-9.]* MB, ")
        process.send_signal(signal.SIGINT)
        shown = read_until(primary)
        assert process.wait(PATIENCE) == 130, shown
    assert list((lantai.folder / "out").iterdir()) == []

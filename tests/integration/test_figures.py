"""What Prometheus and a collector of logs are given, and what they are not."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.command import Lantai, folder
from tests.integration.test_telling import NAME, flip

DOCS = Path(__file__).parents[2] / "docs"
TITLE = "不公开的题名"


@pytest.fixture
def id(lantai: Lantai, second: Path, tmp_path: Path) -> str:
    assert second
    settings = lantai.folder / "lantai.toml"
    text = settings.read_text("utf-8").replace("[metrics]\n", '[metrics]\ntextfile = "lantai.prom"\n')
    settings.write_text(text.replace("[log]\n", '[log]\nfile = "logs/lantai.jsonl"\n'), "utf-8")
    found = lantai.stored(folder(tmp_path / "submission", {NAME: "方案\n"}), "--title", TITLE)
    return str(found["package"])


def figures(lantai: Lantai) -> dict[tuple[str, ...], float]:
    """Value by name and labels."""
    text = (lantai.folder / "lantai.prom").read_text("utf-8")
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def lines(lantai: Lantai) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (lantai.folder / "logs/lantai.jsonl").read_text("utf-8").splitlines()]


def test_counters_go_on_from_run_to_run(lantai: Lantai, id: str) -> None:
    assert id
    assert lantai("audit", "--all").code == 0
    one = figures(lantai)
    assert one["lantai_audit_runs_total", "passed"] == 1
    assert one["lantai_audit_packages_total", "passed"] == 2
    assert one["lantai_audit_bytes_total", "passed"] > 0
    flip(lantai, NAME)
    assert lantai("audit", "--all").code == 1
    two = figures(lantai)
    assert two["lantai_audit_bytes_total", "passed"] == one["lantai_audit_bytes_total", "passed"]
    assert two["lantai_audit_runs_total", "faults"] == 1
    assert (two["lantai_audit_faults_total", "faults"], two["lantai_audit_repaired_total", "faults"]) == (1, 1)
    assert (two["lantai_last_audit", "faults"], two["lantai_last_audit", "passed"]) == (1, 0)
    assert abs(two["lantai_last_audit_timestamp_seconds",] - datetime.now(UTC).timestamp()) < 300


def test_gauges_tell_what_is_not_proven(lantai: Lantai, id: str) -> None:
    assert id
    assert lantai("audit", "--all", "--store", "local", "--level", "listing").code == 0
    before = figures(lantai)
    assert before["lantai_packages", "local"] == before["lantai_packages", "second"] == 1
    assert before["lantai_unproven_packages", "full", "local"] == 1
    assert before["lantai_unproven_packages", "listing", "local"] == 0
    assert before["lantai_unproven_packages", "listing", "second"] == 1
    assert ("lantai_oldest_check_timestamp_seconds", "full", "local") not in before
    flip(lantai, NAME)
    assert lantai("audit", "--all", "--no-repair").code == 1
    after = figures(lantai)
    assert after["lantai_unproven_packages", "full", "local"] == 1
    assert after["lantai_unproven_packages", "full", "second"] == 0
    assert after["lantai_overdue_packages", "full", "second"] == 0
    assert ("lantai_oldest_check_timestamp_seconds", "full", "second") in after


def test_every_figure_is_documented(lantai: Lantai, id: str) -> None:
    assert id
    assert lantai("audit", "--all").code == 0
    page = (DOCS / "metrics.md").read_text("utf-8")
    for name in {key[0] for key in figures(lantai)}:
        assert f"| `{name}` |" in page


def test_alerts_are_on_figures_that_exist() -> None:
    rules = (DOCS.parent / "examples/nightly/lantai.rules.yml").read_text("utf-8")
    named = set(re.findall(r"lantai_\w+", rules))
    page = (DOCS / "metrics.md").read_text("utf-8")
    assert named
    assert {name for name in named if f"| `{name}` |" not in page} == set()


def test_figures_that_cannot_be_written_are_noted(lantai: Lantai, id: str) -> None:
    assert id
    (lantai.folder / "lantai.prom").mkdir()
    done = lantai("audit", "--all")
    assert done.code == 0
    assert "lantai.prom" in done.err


def test_the_log_has_what_a_run_did_by_its_id(lantai: Lantai, id: str) -> None:
    flip(lantai, NAME)
    done = lantai("audit", "--all")
    assert done.code == 1
    told = lines(lantai)
    assert [one["event"] for one in told] == ["run began", "run ended", "fault", "repaired"]
    (run,) = {one["run"] for one in told}
    (entered,) = lantai("jobs", "--json").objects
    assert run == entered["run"]
    for one in told:
        assert one["command"] == "audit"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", one["timestamp"])
    assert told[2] == {**told[2], "level": "error", "store": "local", "package": id, "code": "E092"}
    assert told[3] == {**told[3], "source": "second", "files": 1, "valid": True}
    assert told[1] == {**told[1], "verdict": "faults", "faults": 1}
    assert lantai("replicate").code == 0
    assert [one["event"] for one in lines(lantai)[4:]] == ["run began", "run ended"]


def test_neither_names_a_record(lantai: Lantai, id: str) -> None:
    flip(lantai, NAME)
    assert lantai("audit", "--all").code == 1
    logged = (lantai.folder / "logs/lantai.jsonl").read_text("utf-8")
    measured = (lantai.folder / "lantai.prom").read_text("utf-8")
    assert NAME not in logged + measured
    assert TITLE not in logged + measured
    assert id in logged
    assert id not in measured


def test_a_log_that_cannot_be_written_stops_nothing(lantai: Lantai, id: str) -> None:
    assert id
    (lantai.folder / "logs").write_text("")
    done = lantai("audit", "--all")
    assert done.code == 0
    assert done.err.count("lantai.jsonl") == 1


def test_without_settings_nothing_of_it_is_loaded(lantai: Lantai) -> None:
    program = (
        "import sys; from lantai.cli import run; run(['audit', '--all']);"
        "print(sorted({'structlog', 'prometheus_client', 'smtplib'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=lantai.folder, capture_output=True, text=True, check=False
    )
    assert done.stderr.splitlines()[-1] == "[]"

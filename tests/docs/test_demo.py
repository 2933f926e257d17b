"""make demo and make demo-s3: what they show, and that a second run goes on from the first."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]


def ran(home: Path, *options: str, language: str = "C.UTF-8") -> str:
    """What the demo prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LANTAI", "LC_", "AWS_"))}
    command = [sys.executable, str(ROOT / "examples" / "demo.py"), str(home), *options]
    environment["LANG"] = language
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def shown(printed: str, command: str) -> str:
    """What a command of the demo answered."""
    return re.split(rf"^\$ lantai {command}\b.*$", printed, maxsplit=1, flags=re.MULTILINE)[1].split("\n$ lantai ")[0]


def harvested(printed: str) -> list[str]:
    """Lines of the records that were given to a harvester."""
    return re.findall(r"^  \d{4}-\d\d-\d\dT[\d:]{8}Z  .+  \[.*\]$", printed, flags=re.MULTILINE)


@pytest.mark.usefixtures("moto_server")
def test_the_demo_keeps_its_example_in_two_stores_and_fills_the_new_bucket_of_a_second_run(tmp_path: Path) -> None:
    first = ran(tmp_path / "demo")
    assert "preserved as package" in shown(first, "ingest")
    assert "15 files" in shown(first, "ingest")
    assert re.search(r"\blocal \(.*\bcloud \(", shown(first, "show"))
    assert re.findall(r"Store (\w+)\n\w{8}  valid", shown(first, "validate")) == ["local", "cloud"]
    assert "repaired, and whole by a full audit" in shown(first, "audit")
    *_others, last = first.split("$ lantai audit")
    assert "2 packages audited" in last
    assert "0 faults" in last
    records = harvested(first)
    assert re.search(r"given (\d+) records", first)[1] == str(len(records)) != "0"  # type: ignore[index]
    assert "第十二届金秋文化节" in "".join(records)
    second = ran(tmp_path / "demo", language="zh_CN.UTF-8")
    assert "复制 1 个信息包、1 个版本" in shown(second, "replicate")
    assert "此前已保存" in shown(second, "ingest")
    assert re.findall(r"存储 (\w+)\n\w{8}  有效", shown(second, "validate")) == ["local", "cloud"]
    assert harvested(second) == records
    settings = (tmp_path / "demo" / "lantai.toml").read_text("utf-8")
    assert settings.count('name = "cloud"') == 1


@pytest.mark.usefixtures("moto_server")
def test_the_demo_in_a_bucket_alone_goes_on_from_its_first_run(tmp_path: Path) -> None:
    first = ran(tmp_path / "demo-s3", "--bucket-alone")
    assert "preserved as package" in shown(first, "ingest")
    assert "lies in: s3://lantai-demo/archive/" in shown(first, "ingest")
    assert "1 valid, 0 not" in shown(first, "validate")
    assert not (tmp_path / "demo-s3" / "store").exists()
    second = ran(tmp_path / "demo-s3", "--bucket-alone")
    assert "already preserved" in shown(second, "ingest")
    assert "1 valid, 0 not" in shown(second, "validate")


@pytest.mark.usefixtures("moto_server")
def test_what_make_demo_installs_lacks_nothing_that_it_requires() -> None:
    listed = _list("S3_SERVER", (ROOT / "Makefile").read_text("utf-8"))
    lantai = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE))
    locked = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements-dev.lock").read_text("utf-8"), re.MULTILINE))
    assert listed <= locked
    for name in listed:
        for requirement in map(Requirement, metadata.requires(name) or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                needed = re.sub(r"[-_.]+", "-", requirement.name).lower()
                assert needed in listed | lantai, f"{name} needs {needed}"


def _list(name: str, makefile: str) -> set[str]:
    match = re.search(rf"^{name} := ((?:.*\\\n)*.*)$", makefile, re.MULTILINE)
    assert match
    return set(match[1].replace("\\\n", " ").split())

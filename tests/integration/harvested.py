"""`lantai serve` itself, for harvesters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.integration.command import ENVIRONMENT, Lantai


@contextmanager
def running(lantai: Lantai, *arguments: str, **more: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """lantai serve on a port that is free, and what it says of itself. more: of its environment."""
    program = [sys.executable, "-m", "lantai", "serve", "--port", "0", "--json", *arguments]
    environment = {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join(sys.path), **more}
    process = subprocess.Popen(
        program, cwd=lantai.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.stderr and process.stderr.read()
        yield process, json.loads(line)
    finally:
        process.kill()
        process.communicate()

"""Lines of JSON for programs: one for each thing that a run did, found or told, with the run's id."""

from __future__ import annotations

import os
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import LantaiError
from ..fixity.outcome import Fault, Outcome
from ..storage.linux import unavailable


class Log:
    """file: None: nothing is written. It is opened for each line, so that it may be taken away at any time."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self.unwritten: list[LantaiError] = []
        """Why a line could not be written, the first time; what is logged goes on."""

    def bind(self, **values: str) -> Log:
        """This log, each line of which has these values too. Not by a context of the process: a run that is a
        generator would leave them to its caller.
        """
        bound = copy(self)
        if self._file is not None:
            bound._logger = self._logger.bind(**values)
        return bound

    def info(self, event: str, **values: object) -> None:
        self._say("info", event, values)

    def warning(self, event: str, **values: object) -> None:
        self._say("warning", event, values)

    def error(self, event: str, **values: object) -> None:
        self._say("error", event, values)

    def outcome(self, outcome: Outcome) -> None:
        """What it found and did, the worst first."""
        for missed in outcome.missed:
            self.error("own damage missed", package=missed.package, damage=missed.damage)
        for lost in outcome.lost:
            self.error("lost", store=lost.store, package=lost.package, reason=lost.reason)
        for one in outcome.faults:
            self.error("fault", **_fault(one))
        for one in outcome.warnings:
            self.warning("warning", **_fault(one))
        for done in outcome.repaired:
            self.warning(
                "repaired", store=done.store, package=done.package, source=done.source, files=len(done.keys),
                valid=done.valid,
            )  # fmt: skip
        for store, reason in outcome.away:
            self.error("store away", store=store, reason=reason)
        if outcome.spent:
            self.info("budget used up")

    def _say(self, level: str, event: str, values: dict[str, Any]) -> None:
        if self._file is None:
            return
        try:
            getattr(self._logger, level)(event, **values)
        except OSError as error:
            if not self.unwritten:
                self.unwritten.append(unavailable(error, os.fsencode(self._file)))

    @cached_property
    def _logger(self) -> Any:
        import structlog  # noqa: PLC0415

        assert self._file is not None
        return structlog.wrap_logger(
            _Lines(self._file),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(0),
        )  # fmt: skip


class _Lines:
    """What structlog writes to: whole lines at the end of a file, from however many processes."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def info(self, line: str) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("ab", buffering=0) as file:
            file.write(line.encode("utf-8", "backslashreplace") + b"\n")

    warning = error = info


def _fault(one: Fault) -> dict[str, str]:
    """Of what is in a package neither path nor words: its name may tell what its description must not."""
    where = {"package": one.package} if one.package is not None else {"key": one.finding.subject}
    return {"store": one.store, "code": one.finding.code, **where}

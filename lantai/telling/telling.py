"""Whether what came of a run is news, and telling it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from ..errors import LantaiError
from ..fixity.outcome import Outcome
from ..messages import language, speaking
from ..storage.journal import moment
from ..stores import write
from .message import Message, news_of, of_failure, of_outcome, of_recovery, of_test, standing, standing_failure
from .ways import Way

FILE = "told.json"


@dataclass(frozen=True, slots=True)
class Told:
    """What was told last by one way of one kind of run: the digest of what was wrong and stayed so, and when."""

    standing: str
    at: datetime


def due(
    wrong: str | None, told: Told | None, now: datetime, *, repeat: timedelta, is_repaired: bool, is_passed: bool
) -> Literal["wrong", "well", ""]:
    """What there is to tell. wrong: the digest of what stands, None: nobody is to hear of this run. Pure.

    A repair is told whenever there was one: it cannot be the one that was told before.
    """
    if wrong is None:
        return "well" if told and is_passed else ""
    known = told is not None and told.standing == wrong and now - told.at < repeat
    return "" if known and not is_repaired else "wrong"


class Telling:
    """language: the archive's; called: what it calls itself; repeat: after which time what has not changed is told
    again.
    """

    def __init__(
        self, home: Path, ways: Sequence[Way], *, repeat: timedelta, language: str | None, called: str,
        now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._path, self._ways, self._repeat, self._now = home / FILE, ways, repeat, now
        self._language, self._called = language, called
        self.unsent: list[LantaiError] = []
        """Why what there was to tell did not arrive."""

    def outcome(self, kind: str, outcome: Outcome, *, command: str) -> None:
        """kind: what tells runs apart of which one says nothing of the other, such as those of two stores."""
        self._tell(
            kind, standing(outcome) if news_of(outcome) else None,
            lambda: of_outcome(outcome, archive=self._called, command=command),
            command=command, is_repaired=any(one.valid for one in outcome.repaired),
            is_passed=outcome.verdict == "passed",
        )  # fmt: skip

    def failure(self, kind: str, error: LantaiError, *, command: str) -> None:
        """A run that came to no outcome."""
        self._tell(
            kind, standing_failure(error), lambda: of_failure(error, archive=self._called, command=command),
            command=command, is_repaired=False, is_passed=False,
        )  # fmt: skip

    def test(self) -> Iterator[tuple[Way, LantaiError | None]]:
        """A message by every way, and what became of it."""
        with speaking(self._language or language()):
            message = of_test(archive=self._called)
        for way in self._ways:
            yield way, self._sent(way, message)

    def _tell(
        self, kind: str, wrong: str | None, message: Callable[[], Message], *, command: str, is_repaired: bool,
        is_passed: bool,
    ) -> None:  # fmt: skip
        if not self._ways:
            return
        now, told = self._now(), self._read()
        changed = False
        for way in self._ways:
            key = f"{kind}; {way.name}"
            what = due(
                wrong, told.get(key), now, repeat=self._repeat, is_repaired=is_repaired, is_passed=is_passed
            )  # fmt: skip
            if not what:
                continue
            with speaking(self._language or language()):
                said = message() if what == "wrong" else of_recovery(archive=self._called, command=command)
            if error := self._sent(way, said):
                self.unsent.append(error)
                continue
            changed = True
            told.pop(key, None)
            if what == "wrong":
                told[key] = Told(wrong or "", now)
        if changed:
            self._write(told)

    def _sent(self, way: Way, message: Message) -> LantaiError | None:
        try:
            way.send(message, at=self._now())
        except LantaiError as error:
            return error
        return None

    def _read(self) -> dict[str, Told]:
        """What cannot be read was told to nobody: rather twice than never."""
        try:
            found = json.loads(self._path.read_text("utf-8"))
            return {key: Told(one["standing"], datetime.fromisoformat(one["at"])) for key, one in found.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def _write(self, told: Mapping[str, Told]) -> None:
        state = {key: {"standing": one.standing, "at": moment(one.at)} for key, one in sorted(told.items())}
        write(self._path, json.dumps(state, ensure_ascii=False, indent=2) + "\n")

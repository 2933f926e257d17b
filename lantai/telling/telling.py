"""Whether what came of a run is news, and telling it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, Protocol

from ..errors import LantaiError
from ..fixity.outcome import Outcome
from ..messages import language, speaking
from ..storage.journal import moment
from ..storage.linux import unavailable, write_whole
from .log import Log
from .message import Message, news_of, of_failure, of_outcome, of_recovery, of_test, standing, standing_failure

FILE = "told.json"


class Way(Protocol):
    @property
    def name(self) -> str:
        """As people, and the state of what was told, call it."""

    def send(self, message: Message, *, at: datetime) -> None:
        """Raises StoreUnavailable: it did not arrive; UsageError: it cannot, as it is configured."""


@dataclass(frozen=True, slots=True)
class Told:
    """What was told last by one way of one kind of run: the digest of what was wrong and stayed so, and when."""

    standing: str
    at: datetime


@dataclass(frozen=True, slots=True)
class News:
    """What a run has to tell. wrong: the digest of what stands; None: nobody is to hear of it, though not all was seen
    that was to be, unless is_passed.
    """

    message: Message
    wrong: str | None
    is_repaired: bool = False
    is_passed: bool = False


def due(news: News, told: Told | None, now: datetime, *, repeat: timedelta) -> Literal["wrong", "well", ""]:
    """What there is to tell, told being what was. Pure.

    A repair is told whenever there was one: it cannot be the one that was told before.
    """
    if news.wrong is None:
        return "well" if told and news.is_passed else ""
    known = told is not None and told.standing == news.wrong and now - told.at < repeat
    return "" if known and not news.is_repaired else "wrong"


class Telling:
    """figures: writes them, where they are wanted; language: the archive's; called: what it calls itself; repeat: after
    which time what has not changed is told again.
    """

    def __init__(
        self, home: Path, ways: Sequence[Way], log: Log, figures: Callable[[], None], *, repeat: timedelta,
        language: str | None, called: str, now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._path, self._ways, self._repeat, self._now = home / FILE, ways, repeat, now
        self._log, self._figures, self._language, self._called = log, figures, language, called
        self.unsent: list[LantaiError] = []
        """Why what there was to tell did not arrive."""

    def outcome(self, kind: str, outcome: Outcome, *, command: str, run: str) -> None:
        """kind: what tells runs apart of which one says nothing of the other, such as those of two stores."""
        log = self._log.bind(run=run, command=command)
        log.outcome(outcome)
        self._write_figures()
        with self._speaking():
            message = of_outcome(outcome, archive=self._called, command=command)
        wrong = standing(outcome) if news_of(outcome) else None
        is_repaired = any(one.valid for one in outcome.repaired)
        self._tell(log, kind, News(message, wrong, is_repaired, outcome.verdict == "passed"), command)

    def failure(self, kind: str, error: LantaiError, *, command: str) -> None:
        """A run that came to no outcome."""
        self._write_figures()
        with self._speaking():
            message = of_failure(error, archive=self._called, command=command)
        self._tell(self._log.bind(command=command), kind, News(message, standing_failure(error)), command)

    def test(self) -> Iterator[tuple[Way, LantaiError | None]]:
        """A message by every way, and what became of it."""
        with self._speaking():
            message = of_test(archive=self._called)
        for way in self._ways:
            yield way, self._sent(self._log, way, message)

    def _speaking(self) -> AbstractContextManager[None]:
        return speaking(self._language or language())

    def _tell(self, log: Log, kind: str, news: News, command: str) -> None:
        now, told = self._now(), self._read() if self._ways else {}
        with self._speaking():
            recovery = of_recovery(archive=self._called, command=command)
        is_changed = False
        for way in self._ways:
            key = f"{kind}; {way.name}"
            what = due(news, told.get(key), now, repeat=self._repeat)
            if what and self._sent(log, way, news.message if what == "wrong" else recovery) is None:
                is_changed = True
                told.pop(key, None)
                if what == "wrong":
                    told[key] = Told(news.wrong or "", now)
        if is_changed:
            self._write(told)

    def _write_figures(self) -> None:
        try:
            self._figures()
        except LantaiError as error:
            self.unsent.append(error)

    def _sent(self, log: Log, way: Way, message: Message) -> LantaiError | None:
        try:
            way.send(message, at=self._now())
        except LantaiError as error:
            log.error("not told", way=way.name, reason=error.what)
            self.unsent.append(error)
            return error
        log.info("told", way=way.name, verdict=message.facts["verdict"])
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
        try:
            write_whole(self._path, ((json.dumps(state, ensure_ascii=False, indent=2) + "\n").encode(),))
        except OSError as error:
            self.unsent.append(unavailable(error, os.fsencode(self._path)))

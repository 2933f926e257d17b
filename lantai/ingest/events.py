"""What was done, as PREMIS events: one for each act, not one for each file and tool.

Types are those of the Library of Congress vocabulary eventType. Details are English, since they are read by whoever
comes later, wherever that is.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ..digest import Algorithm
from ..metadata.xml import legible
from ..model import Agent, Event, Finding

_LISTED = 200
"""Findings that an event spells out; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Scribe:
    """Writes events down for one piece of work: who does it, with what, for which archive, and by
    whose clock and ids.
    """

    software: Agent
    person: Agent
    agency: str
    now: Callable[[], datetime]
    new_id: Callable[[], str]

    def _event(
        self,
        kind: str,
        detail: str,
        objects: str | None,
        *agents: Agent,
        outcome: Literal["success", "warning"] = "success",
    ) -> Event:
        named = tuple(agent.id for agent in agents)
        return Event(self.new_id(), kind, self.now(), outcome, legible(detail), named, objects)

    def ingestion(self, package: str, submission: str, kind: str, files: int, octets: int) -> Event:
        detail = f"submission {submission} ({kind}) of {files} files and {octets} bytes taken in"
        return self._event("ingestion", detail, package, self.person, self.software)

    def validation(self, package: str, findings: Sequence[Finding]) -> Event:
        """Of the submission: what was found and did not stand in the way."""
        what = "names, links, archive structure, readability, descriptions against files, nothing changed while read"
        lines = [f"{one.code} {one.subject}: {one.english}" for one in findings[:_LISTED]]
        if len(findings) > _LISTED:
            lines.append(f"and {len(findings) - _LISTED} more")
        detail = "\n".join([f"the submission was checked: {what}", *lines])
        return self._event("validation", detail, package, self.software, outcome="warning" if findings else "success")

    def unpacking(self, objects: str | None, kind: str) -> Event:
        return self._event("unpacking", f"files taken out of a {kind} archive", objects, self.software)

    def digests(self, objects: str | None, algorithms: Sequence[Algorithm]) -> Event:
        detail = f"{', '.join(algorithms)} of {_files(objects)}, calculated while it was stored, in the same read"
        return self._event("message digest calculation", detail, objects, self.software)

    def identification(self, objects: str | None, tool: Agent) -> Event:
        detail = f"format of {_files(objects)} identified against PRONOM by {tool.name} {tool.version}"
        return self._event("format identification", detail, objects, tool)

    def second_opinion(self, tool: Agent) -> Event:
        detail = f"{tool.name} {tool.version} asked as well, since the first tool knew the name only, or nothing"
        return self._event("format identification", detail, None, tool)

    def fixity(self) -> Event:
        return self._event("fixity check", "digests equal those of the submission's own manifest", None, self.software)

    def renaming(self) -> Event:
        detail = "stored under another name, since the original one is no path that all software reads alike"
        return self._event("filename change", detail, None, self.software)

    def modification(self, package: str, detail: str) -> Event:
        return self._event("modification", detail, package, self.person, self.software)

    def description(self, package: str, detail: str) -> Event:
        return self._event("metadata modification", detail, package, self.person, self.software)


def _files(objects: str | None) -> str:
    return "every file of version 1" if objects else "each file that names this event"


def person(name: str) -> Agent:
    """A person by name. The id is the same wherever and whenever the name is given."""
    name = legible(name)
    return Agent(uuid.uuid5(_PEOPLE, name).urn, "person", name)


_PEOPLE = uuid.uuid5(uuid.NAMESPACE_URL, "https://lantai.invalid/agents/person")

"""Errors.

* LantaiError
  x UsageError            the caller's mistake
  x Rejected              a submission was refused; holds every finding
  x NotFound
  x Exists                a create-only write lost
  x Damaged               stored bytes are not what was stored
  x StoreUnavailable      may succeed later: the only retryable kind
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol


class LantaiError(Exception):
    """What happened, to which thing, and what to do. All three are required, in the reader's language."""

    def __init__(self, what: str, *, subject: str, remedy: str) -> None:
        super().__init__(f"{subject}: {what}. {remedy}")
        self.what, self.subject, self.remedy = what, subject, remedy

    def __reduce__(self) -> tuple[Callable[[str], LantaiError], tuple[str]]:
        """So that one process can tell another."""
        values = dict(vars(self))
        what = values.pop("what")
        return partial(type(self), **values), (what,)


class UsageError(LantaiError): ...


class Fault(Protocol):
    """What Rejected holds: model.Finding, seen from the floor below it."""

    @property
    def code(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def fatal(self) -> bool: ...


class Rejected(LantaiError):
    """findings: every one of the submission, fatal ones and warnings."""

    def __init__(self, what: str, *, subject: str, remedy: str, findings: Iterable[Fault]) -> None:
        super().__init__(what, subject=subject, remedy=remedy)
        self.findings = tuple(findings)


class NotFound(LantaiError): ...


class Exists(LantaiError): ...


class Damaged(LantaiError): ...


class StoreUnavailable(LantaiError): ...

"""Through a list of another archive's server to its end, whatever the server does."""

from __future__ import annotations

from collections.abc import Iterator

from ..messages import _
from ..model import Scope
from .fetch import refused
from .remote import Answer, Ended, Remote

_IDLE = 10
"""Answers in a row that bring nothing new, before a list counts as endless: one that changes may have empty answers."""


def answers(
    remote: Remote, asked: Scope, going: tuple[str, str] | None, url: str
) -> Iterator[tuple[str, Answer]]:  # fmt: skip
    """Every answer of a list, with the responseDate of its first one. going: the resumption token at which it is gone
    on with, and that responseDate. Where a token does not hold any more the list begins again, as it was asked: no
    server says that its lists are in the order of datestamps, so none can be gone on with by them.

    Damaged: it does not end, or not as the protocol has it.
    """
    began, answer, anew = "", None, False
    if going is not None:
        try:
            began, answer = going[1], remote.go_on(going[0])
        except Ended:
            anew = True
    if answer is None:
        answer = remote.begin(asked)
        began = answer.at
    seen, idle = set[int](), 0
    while True:
        yield began, answer
        if answer.token is None:
            return
        told = hash(tuple((one.identifier, one.datestamp) for one in answer.records))
        idle = idle + 1 if not answer.records or told in seen else 0
        seen.add(told)
        token = answer.token
        try:
            answer = remote.go_on(token)
        except Ended as error:
            if anew:
                raise refused(url, _("the server does not take its own resumption tokens")) from error
            anew, answer = True, remote.begin(asked)
            began, idle, seen = answer.at, 0, set()
            continue
        if idle >= _IDLE or (idle and answer.token == token):
            raise refused(url, _("the list does not end: its answers bring nothing new any more"))

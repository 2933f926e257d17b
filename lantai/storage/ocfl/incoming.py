"""Files on their way into a draft."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ...digest import Digests
from .. import Body

_TASK_FILES, _FEW_FILES, _TASK_BYTES = 32, 8, 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Incoming:
    """One file on its way into a draft: logical path, bytes, their expected number, and what they must digest to.

    mark: whatever has the same path and mark has the same bytes. "": nothing is known of that.
    """

    path: str
    body: Body
    size: int
    expect: Digests | None = None
    mark: str = ""


def tasks(items: Iterable[Incoming], *, durable: bool) -> Iterator[list[Incoming]]:
    """Small files many to a task, so that the threads' bookkeeping is not what takes the time.

    durable: a put is on stable storage by itself; then it is noted task by task, and a death costs little.
    """
    most = _FEW_FILES if durable else _TASK_FILES
    task: list[Incoming] = []
    weight = 0
    for item in items:
        task.append(item)
        weight += item.size
        if len(task) >= most or weight >= _TASK_BYTES:
            yield task
            task, weight = [], 0
    if task:
        yield task

"""agent: the persons on whose behalf things are done."""

from __future__ import annotations

import click

from ..errors import UsageError
from ..messages import N_, _
from .shell import Command, Group, Session, common, options_of_all


@click.group(
    cls=Group,
    help=N_("The persons on whose behalf things are done."),
    examples=("lantai agent rename 王芳 '王芳 (利用科)'",),
)
def agent(**_common: object) -> None: ...


agent = options_of_all(agent, home=True)  # type: ignore[assignment]


@agent.command(
    cls=Command,
    help=N_("Tell that a person has another name from now on, and is the same agent.\n\n"
            "What was done stays under the name of its time; --by with either name means this person."),
    examples=("lantai agent rename 王芳 '王芳 (利用科)' --by 李明",),
)  # fmt: skip
@click.argument("old")
@click.argument("new")
@common(by=True)
def rename(session: Session, old: str, new: str) -> int:
    if not new.strip():
        raise UsageError(_("the new name is empty"), subject="NEW", remedy=_("Give the name from now on."))
    with session.open() as archive:
        output = session.output(archive)
        person, done = archive.entries.rename(old, new)
        status = "renamed" if done else "present"
        output.object({"agent": person.id, "name": person.name, "status": status})
        told = _("{name} from now on") if done else _("{name}, as it stands already")
        output.say(told.format(name=person.name))
    return 0

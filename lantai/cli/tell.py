"""check-telling: whether those who are to hear of faults would."""

from __future__ import annotations

import click

from ..errors import UsageError
from ..messages import N_, _
from . import shapes
from .shell import Command, Session, common


@click.command(
    cls=Command, name="check-telling",
    help=N_("Send a test message to each recipient of [tell], and say whether it went.\n\n"
            "That a mail server took a mail does not say that it arrived: look into the mailbox."),
    examples=("lantai check-telling",),
)  # fmt: skip
@common()
def check_telling(session: Session) -> int:
    failed = 0
    with session.open() as archive:
        output = session.output(archive)
        ways = 0
        for way, error in archive.telling.test():
            ways += 1
            failed += error is not None
            output.object({"way": way.name, "sent": error is None, **(shapes.error(error) if error else {})})
            output.say(str(error) if error else f"{way.name}: {_('sent')}", "red" if error else "green")
        if not ways:
            raise UsageError(
                _("nobody is named who would be told"), subject="[tell]",
                remedy=_("Name mail_to, mail_from and smtp, or webhook, in lantai.toml."),
            )  # fmt: skip
    return 1 if failed else 0

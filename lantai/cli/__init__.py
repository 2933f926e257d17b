"""Parse, call, print. The only place of exit codes.

0 done, warnings included; 1 something was refused, failed or was found wrong; 2 wrong use; 130 interrupted.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from ..archive import VERSION
from ..errors import LantaiError, Rejected, StoreUnavailable, UsageError
from ..messages import N_, _
from . import agent, audit, decide, harvest, intake, jobs, journal, keep, look, prepare, report, serve, tell
from .output import Output, note
from .shell import Command, Group, Option, Session, ask_language, common, options_of_all


@click.group(
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=N_("lantai keeps records: readable, provably unchanged and findable, for as long as there are archives.\n\n"
            "check looks at a submission before ingest; validate reads all that is stored and holds it against the "
            "standards."),
    examples=("lantai init archive", "lantai ingest records/ --home archive", "lantai search 活动 --home archive"),
)  # fmt: skip
@click.version_option(
    VERSION, prog_name="lantai", message="%(prog)s %(version)s", cls=Option, help=N_("Show the version and exit.")
)
def lantai(**_common: object) -> None: ...


lantai = options_of_all(lantai, home=True)  # type: ignore[assignment]


@click.command(
    cls=Command,
    help=N_("Print the script that lets a shell complete lantai's commands."),
    examples=("lantai completion bash > ~/.local/share/bash-completion/completions/lantai",),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@common(home=False)
def completion(_session: Session, shell: str) -> int:
    kind = get_completion_class(shell)
    assert kind is not None
    sys.stdout.write(kind(lantai, {}, "lantai", "_LANTAI_COMPLETE").source() + "\n")
    return 0


for command in (
    intake.init, completion, prepare.check, prepare.identify, prepare.metadata, intake.ingest, intake.update,
    look.list_packages, look.show, look.search, keep.validate, keep.clean, keep.check_store, keep.replicate,
    keep.rebuild, audit.audit, jobs.jobs, jobs.worker, tell.check_telling, journal.journal, report.report,
    keep.export, serve.serve, harvest.harvest, decide.access, decide.withdraw, agent.agent,
):  # fmt: skip
    lantai.add_command(command)


def main() -> None:
    """The program."""
    # A name with undecodable bytes must not stop a line from being printed; in JSON the escape is JSON's own.
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    sys.stderr.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    for sent in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(sent) is signal.SIG_DFL:  # who ignores one, as nohup does, goes on ignoring it
            signal.signal(sent, signal.default_int_handler)
    ask_language(sys.argv[1:], os.environ)
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError:  # told already
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    as_json = "--json" in arguments
    try:
        result = lantai.main(list(arguments), prog_name="lantai", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        if as_json:
            context = error.ctx if isinstance(error, click.UsageError) else None
            what, command = error.format_message(), context.command_path if context else "lantai"
            remedy = _("{command} --help tells how.").format(command=command)
            Output(as_json).error(UsageError(what, subject=command, remedy=remedy))
        else:
            error.show()
        return 2
    except (click.Abort, KeyboardInterrupt) as error:
        told = _("Interrupted. What was done so far stays done.")
        if not {"ingest", "update"}.isdisjoint(arguments):
            told = _(
                "Interrupted. What was not reported as stored is not in the archive; everything else is as it was."
            )
        told = " ".join((told, *getattr(error.__cause__ or error, "__notes__", ())))
        if as_json:
            # No kind of lantai's errors: the person's own act.
            sys.stdout.write(
                json.dumps({"error": {"kind": "Interrupted", "what": told, "subject": "", "remedy": ""}}) + "\n"
            )
        note(told)
        return 130
    except Rejected as error:
        intake.tell_refused(Output(as_json), Path(error.subject), error)
        return 1
    except LantaiError as error:
        Output(as_json).error(error)
        return 2 if isinstance(error, UsageError) else 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # what nobody nearer to it foresaw
        unavailable = StoreUnavailable(
            _("the system does not do it ({reason})").format(reason=error.strerror or error),
            subject=os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "lantai",
            remedy=_("See that it is there, that this user may read and write it, and that the disk has room."),
        )
        try:
            Output(as_json).error(unavailable)
        except OSError:  # it is standard output that fails
            Output(False).error(unavailable)
        return 1

"""click, as this command line uses it: help in two languages, grouped by work, with examples; options common to all."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import update_wrapper
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from .. import config, messages
from ..archive import Archive
from ..errors import UsageError
from ..messages import N_, _
from .output import Output

P = ParamSpec("P")
T = TypeVar("T")

PATH = click.Path(path_type=Path, readable=False)
"""Of a path that is not there or cannot be read, whoever opens it tells, with what to do."""

SECTIONS: Sequence[tuple[str, Sequence[str]]] = (
    (N_("Set up"), ("init", "completion")),
    (N_("Prepare"), ("check", "identify", "metadata")),
    (N_("Take in"), ("ingest", "update")),
    (N_("Look"), ("list", "show", "search")),
    (
        N_("Keep"),
        (
            "audit",
            "validate",
            "replicate",
            "check-store",
            "check-telling",
            "clean",
            "rebuild",
            "journal",
            "worker",
            "jobs",
        ),
    ),
    (N_("Account"), ("report",)),
    (N_("Decide"), ("access", "withdraw", "agent")),
    (N_("Share"), ("export", "serve", "harvest")),
)


@dataclass(frozen=True, slots=True)
class Session:
    """What the common options say."""

    home: Path | None
    as_json: bool
    by: str | None

    def open(self, *, judging: bool = False) -> Archive:
        """The home named, or the nearest one upward. UsageError if there is none, Damaged if its primary store does not
        say any more whose it is, unless that is to be judged.
        """
        archive = Archive(self._home(), by=self.person())
        _speak(archive.settings.archive.language)
        if archive.stores.broken is not None and not judging:
            with archive:
                raise archive.stores.broken
        return archive

    def speak(self) -> None:
        """For a command that needs no home: the language of the one that is at hand, if one is."""
        with suppress(UsageError):
            _speak(config.read(self._home()).archive.language)

    def _home(self) -> Path:
        named = self.home or os.environ.get("LANTAI_HOME")
        return Path(named).absolute() if named else config.find_home(Path.cwd())

    def person(self) -> str:
        return self.by or os.environ.get("LANTAI_BY") or _login()

    def output(self, archive: Archive | None = None) -> Output:
        return Output(self.as_json, archive.zone if archive else None)


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _speak(language: str | None) -> None:
    """The home's language counts where neither --lang nor the environment asks for one."""
    if language and _asked[0] is None:
        messages.use(language)


_asked: list[str | None] = [None]


def ask_language(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Before click sees the arguments, since help must be in the language: --lang, LANTAI_LANG, then LANG."""
    asked: str | None = None
    for at, argument in enumerate(arguments):
        if argument == "--lang" and at + 1 < len(arguments):
            asked = arguments[at + 1]
        elif argument.startswith("--lang="):
            asked = argument.removeprefix("--lang=")
    asked = asked or environment.get("LANTAI_LANG")
    if asked is None:
        found = messages.of_environment(environment)
        asked = found if found[:2].lower() in messages.LANGUAGES else None
    _asked[0] = asked
    messages.use(asked or "en")


class Option(click.Option):
    """Its help is written in English and shown in the language in use."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        english, self.help = self.help, _(self.help) if self.help else None
        try:
            return super().get_help_record(ctx)
        finally:
            self.help = english


class Command(click.Command):
    """help and examples in English, shown in the language in use."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **more: Any) -> None:
        super().__init__(*args, **more)
        self.examples = examples

    def get_short_help_str(self, limit: int = 45) -> str:
        return (_(self.help) if self.help else "").split("\n\n")[0].replace("\n", " ")

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_paragraph()
        with formatter.indentation():
            for at, paragraph in enumerate((_(self.help) if self.help else "").split("\n\n")):
                if at:
                    formatter.write_paragraph()
                formatter.write_text(paragraph)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples:
            with formatter.section(_("Examples")):
                for example in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{example}\n")


class Group(Command, click.Group):
    """Its commands are listed by the work they belong to."""

    command_class = Command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        listed = {name: command for name in self.list_commands(ctx) if (command := self.get_command(ctx, name))}
        sections = SECTIONS if ctx.parent is None else ((N_("Commands"), tuple(listed)),)
        width = max(map(len, listed), default=0)
        for title, names in sections:
            rows = [(name.ljust(width), listed[name].get_short_help_str()) for name in names if name in listed]
            if rows:
                with formatter.section(_(title)):
                    formatter.write_dl(rows)


def option(*names: str, help: str, **more: Any) -> Callable[[Callable[P, T]], Callable[P, T]]:
    return click.option(*names, cls=Option, help=help, **more)


def common(*, home: bool = True, by: bool = False) -> Callable[[Callable[Concatenate[Session, P], T]], Callable[P, T]]:
    """The options that every command takes; the command gets them as its first argument."""

    def decorate(function: Callable[Concatenate[Session, P], T]) -> Callable[P, T]:
        def call(*args: Any, **values: Any) -> T:
            values.pop("lang")
            session = Session(
                values.pop("home", None) or _said("home"),
                bool(values.pop("as_json") or _said("as_json")),
                values.pop("by", None),
            )
            return function(session, *args, **values)

        wrapped: Any = update_wrapper(call, function)
        if by:
            wrapped = option("--by", metavar="NAME", help=N_("Who does this; else LANTAI_BY, else the login name."))(
                wrapped
            )
        return options_of_all(wrapped, home=home)

    return decorate


def _said(name: str) -> Any:
    """The value of an option given before the command's name: lantai --home archive list."""
    context = click.get_current_context().parent
    while context and not context.params.get(name):
        context = context.parent
    return context.params[name] if context else None


def options_of_all(function: Callable[P, T], *, home: bool) -> Callable[P, T]:
    wrapped: Any = function
    wrapped = option("--json", "as_json", is_flag=True, help=N_("One JSON object a line, for programs."))(wrapped)
    wrapped = option(
        "--lang", type=click.Choice(messages.LANGUAGES), help=N_("Language; else LANTAI_LANG, else LANG.")
    )(wrapped)
    if home:
        wrapped = option(
            "--home", type=PATH, metavar="DIR",
            help=N_("The archive's home; else LANTAI_HOME, else the nearest folder upward that is one."),
        )(wrapped)  # fmt: skip
    return wrapped  # type: ignore[no-any-return]

"""The reference pages, written from the program itself: python -m tools.reference write | check

docs/cli.md            from the commands
docs/configuration.md  from the settings, and the comments of the lantai.toml that init writes
docs/findings.md       from the table of findings

check: 1 if a page is not what write would write.
"""

from __future__ import annotations

import json
import re
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import click
from pydantic import BaseModel

from lantai import messages
from lantai.cli import lantai
from lantai.cli.shell import SECTIONS
from lantai.config import template
from lantai.messages import FINDINGS
from lantai.settings import Settings
from lantai.storage import Bucket

DOCS = Path(__file__).parents[1] / "docs"
_NOTE = "<!-- Written by python -m tools.reference; a change here is lost. -->\n"


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by the words that call it, in the order of the help."""
    for _section, names in SECTIONS:
        for name in names:
            yield from _commands(f"lantai {name}", lantai.commands[name])


def _commands(called: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name in command.commands:
            yield from _commands(f"{called} {name}", command.commands[name])
    else:
        yield called, command


def options(command: click.Command) -> Iterator[click.Option]:
    return (one for one in command.params if isinstance(one, click.Option))


_COMMON = ("--home", "--lang", "--json", "--by")


def cli() -> str:
    """Every command, argument and option."""
    lines = [
        _NOTE,
        "# The command line\n",
        *(_paragraph(text) for text in (lantai.help or "").split("\n\n")),
        "Options that commands share, and that may stand before the command as well:\n",
        *_options([one for one in options(lantai) if _is_common(one)] + _by()),
        "`lantai --version` prints the version. Every command has `--help`.\n",
        "With `--json` standard output holds one JSON object a line and nothing else; progress and messages go to",
        'standard error. A failure is one line `{"error": {"kind", "what", "subject", "remedy"}}`, a finding is',
        '`{"code", "subject", "message"}` everywhere; [findings.md](findings.md) lists the codes.\n',
        "| exit code | meaning |\n|---|---|",
        "| 0 | done, warnings included |",
        "| 1 | something was refused, failed or was found wrong; a path that does not exist, too |",
        "| 2 | wrong use |",
        "| 130 | interrupted |\n",
    ]
    by_section = {name: title for title, names in SECTIONS for name in names}
    section = ""
    for called, command in commands():
        name = called.split()[1]
        if by_section[name] != section:
            section = by_section[name]
            lines.append(f"## {section}\n")
        lines += [f"### {called}\n", *_command(called, command)]
    return "\n".join(lines)


def _command(called: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=called)
    yield f"```\n{called} {' '.join(command.collect_usage_pieces(context))}\n```\n"
    for text in (command.help or "").split("\n\n"):
        yield _paragraph(text)
    own = [one for one in options(command) if not _is_common(one)]
    yield from _options(own)
    shared = [name for name in _COMMON if any(name in one.opts for one in options(command))]
    yield f"Also {', '.join(f'`{name}`' for name in shared)}.\n"
    examples: Sequence[str] = getattr(command, "examples", ())
    if examples:
        yield "```\n" + "\n".join(examples) + "\n```\n"


def _options(chosen: Sequence[click.Option]) -> Iterator[str]:
    if not chosen:
        return
    yield "| option | meaning |\n|---|---|"
    for one in chosen:
        value = "" if one.is_flag else " " + one.make_metavar(click.Context(lantai))
        notes = ["required"] if one.required else []
        if one.show_default:
            notes.append(f"default: {one.default}")
        if one.multiple:
            notes.append("may be given several times")
        note = f" ({'; '.join(notes)})" if notes else ""
        yield f"| {_code(', '.join(one.opts) + value)} | {_cell(one.help or '')}{note} |"
    yield ""


def _is_common(option: click.Option) -> bool:
    return any(name in option.opts for name in _COMMON)


def _by() -> list[click.Option]:
    return [next(one for _called, command in commands() for one in options(command) if "--by" in one.opts)]


def configuration() -> str:
    """Every key of lantai.toml."""
    lines = [
        _NOTE,
        "# lantai.toml\n",
        "`lantai init` writes it into the home with these comments. A relative path is relative to the home. A key",
        "that is unknown or out of range is an error that names it. An environment variable takes the place of a line:",
        "`LANTAI_INGEST__IDENTIFIER=both` of `[ingest] identifier`; a list is written as JSON, as in",
        '`LANTAI_INGEST__DIGESTS=\'["sha256", "sm3"]\'`.\n',
    ]
    comments = _comments()
    for table, field in Settings.model_fields.items():
        model, many = table_of(field.annotation)
        lines.append(f"## {f'[[{table}]]' if many else f'[{table}]'}\n")
        lines.append("| key | value | default | meaning |\n|---|---|---|---|")
        for name, one in model.model_fields.items():
            default = "*must be given*" if one.is_required() else _toml(one.default)
            meaning = _cell(comments[table, name])
            lines.append(f"| `{name}` | {_cell(_values(one.annotation))} | {default} | {meaning} |")
        lines.append("")
    lines += [
        "## Environment\n",
        "| variable | meaning |\n|---|---|",
        "| `LANTAI_HOME` | the home, where `--home` is not given |",
        "| `LANTAI_BY` | who does this, where `--by` is not given |",
        "| `LANTAI_LANG` | `zh` or `en`, where `--lang` is not given; then `LANG`, then `[archive] language` |",
        "| `LANTAI_SMTP_PASSWORD`, `LANTAI_WEBHOOK_TOKEN` | in the place of the files that `[tell]` names |",
        "| `NO_COLOR` | set to anything: no colours |",
        "| `LANTAI_<TABLE>__<KEY>` | takes the place of a line of lantai.toml |\n",
    ]
    return "\n".join(lines)


def _comments() -> Mapping[tuple[str, str], str]:
    """The English half of the comment after each key of the template; of a key without one, nothing."""
    found: dict[tuple[str, str], str] = {}
    table = ""
    both = "".join(template(name="", language="", store=store) for store in ("", Bucket("")))
    for line in both.splitlines():
        if match := re.match(r"\[+(\w+)\]+", line):
            table = match[1]
        elif match := re.match(r"#? ?(\w+) = [^#]*(?:# (.*?)(?: / .*)?)?$", line):
            found[table, match[1]] = (match[2] or "").strip()
    return found


def table_of(annotation: Any) -> tuple[type[BaseModel], bool]:
    """The model of a table, and whether there may be several."""
    if get_origin(annotation) is tuple:
        return table_of(get_args(annotation)[0])[0], True
    assert isinstance(annotation, type)
    assert issubclass(annotation, BaseModel)
    return annotation, False


def _values(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _values(arguments[0])
    if origin is Literal:
        return " or ".join(f'`"{one}"`' for one in arguments)
    if origin is tuple:
        return f"list of {_values(arguments[0])}"
    if origin in (Union, types.UnionType):
        return " or ".join(_values(one) for one in arguments if one is not type(None))
    return {str: "text", bool: "`true` or `false`", int: "number"}[annotation]


def _toml(value: object) -> str:
    return "none" if value is None else _code(json.dumps(value, ensure_ascii=False))


def findings() -> str:
    """Every finding code, with both texts."""
    lines = [
        _NOTE,
        "# Findings\n",
        "What `check`, `ingest`, `update` and `validate` find has one of these codes. A *fatal* finding refuses the",
        "submission, or makes the package not valid; the others are warnings. *Clause* is where the rule comes from;",
        "E000 codes are those of the OCFL 1.1 specification's validation table.\n",
        "| code | fatal | clause | English | 中文 |\n|---|---|---|---|---|",
    ]
    for one in FINDINGS.values():
        fatal = "fatal" if one.fatal else "warning"
        lines.append(f"| `{one.code}` | {fatal} | {one.clause} | {_cell(one.text['en'])} | {_cell(one.text['zh'])} |")
    return "\n".join(lines) + "\n"


def _paragraph(text: str) -> str:
    return " ".join(text.split()) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{_cell(text)}`"


PAGES: Mapping[str, Callable[[], str]] = {
    "cli.md": cli, "configuration.md": configuration, "findings.md": findings,
}  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    messages.use("en")
    match list(arguments):
        case ["write"]:
            for name, page in PAGES.items():
                (DOCS / name).write_text(page(), encoding="utf-8")
            return 0
        case ["check"]:
            old = [name for name, page in PAGES.items() if (DOCS / name).read_text("utf-8") != page()]
            sys.stdout.writelines(f"docs/{name} is out of date: python -m tools.reference write\n" for name in old)
            return 1 if old else 0
        case _:
            sys.stderr.write(__doc__ or "")
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The Chinese words: python -m tools.messages update | compile | check

update:   take every message out of the program into the .po; what is new stands there untranslated, what is gone goes
compile:  make the .mo that the program reads; both files are committed, so that nothing has to be built to install
check:    say what is missing or out of date; 1 if anything is
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from string import Formatter
from typing import TypeAlias

import click
from babel.messages import Catalog
from babel.messages.catalog import Message
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).parents[1]
PO = ROOT / "lantai/locale/zh/LC_MESSAGES/lantai.po"
MO = PO.with_suffix(".mo")

Forms: TypeAlias = tuple[str, ...]
"""A message: itself, or its singular and plural. gettext looks a message up by the first."""

_CALLS: Mapping[str, int] = {"_": 1, "N_": 1, "gettext": 1, "ngettext": 2}
"""What marks a message, and how many of its arguments are forms of it."""
# click's modules whose words a command line prints. It asks gettext for them at run time, in our domain.
_CLICK = ("core", "decorators", "exceptions", "formatting", "parser", "types")


def extracted() -> dict[Forms, list[str]]:
    """Every message of the program and of the installed click, with the files it stands in."""
    found: dict[Forms, list[str]] = {}
    sources = [(path, str(path.relative_to(ROOT))) for path in sorted((ROOT / "lantai").rglob("*.py"))]
    sources += [(Path(click.__file__).with_name(f"{name}.py"), f"click/{name}.py") for name in _CLICK]
    for path, shown in sources:
        for message in _marked(path):
            places = found.setdefault(message, [])
            if shown not in places:
                places.append(shown)
    return found


def _marked(path: Path) -> Iterator[Forms]:
    """By the syntax tree: what reads tokens, as xgettext and Babel do, misses a call inside an f-string."""
    calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda one: (one.lineno, one.col_offset)):
        count = _CALLS.get(call.func.id, 0) if isinstance(call.func, ast.Name) else 0
        texts = [one.value for one in call.args[:count] if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        if count and len(texts) == count and texts[0]:
            yield tuple(texts)


def read() -> Catalog:
    """The .po as it stands."""
    with PO.open("rb") as file:
        return read_po(file, locale="zh")


def updated(before: Catalog) -> Catalog:
    """before, with the program's messages of today. Words of other versions of click stay: those may be installed."""
    template = Catalog(locale="zh", domain="lantai")
    found = extracted()
    keys = {id[0] for id in found}
    for id, message in messages(before).items():
        places = [place for place, _line in message.locations]
        if id[0] not in keys and all(place.startswith("click/") for place in places):
            found[id] = places
    for id, places in found.items():
        template.add(id if len(id) > 1 else id[0], locations=[(place, 0) for place in places])
    before.update(template, no_fuzzy_matching=True, update_creation_date=False)
    before.obsolete.clear()
    return before


def messages(catalog: Catalog) -> dict[Forms, Message]:
    """Those of a catalogue, without its header."""
    return {forms(message.id): message for message in catalog if message.id}


def forms(text: str | Sequence[str] | None) -> Forms:
    return (text or "",) if text is None or isinstance(text, str) else tuple(text)


def compiled(catalog: Catalog) -> bytes:
    """The .mo of a catalogue."""
    buffer = BytesIO()
    write_mo(buffer, catalog)
    return buffer.getvalue()


def table(mo: bytes) -> dict[Forms, Forms]:
    """What a .mo says, without its header, where Babel's version stands."""
    return {id: forms(message.string) for id, message in messages(read_mo(BytesIO(mo))).items()}


def placeholders(text: Forms) -> set[str]:
    """The names in braces and after %, in any of the forms."""
    braces = {name for form in text for _text, name, _spec, _as in Formatter().parse(form) if name is not None}
    return braces | {name for form in text for name in re.findall(r"%\((\w+)\)s", form)}


def problems() -> Iterator[str]:
    """What keeps the Chinese from being complete and true, a line each."""
    catalog = read()
    known = messages(catalog)
    keys = {id[0] for id in known}
    for id, places in extracted().items():
        if id[0] not in keys:
            yield f"{places[0]}: not in the .po: {id[0]!r}"
    for key in sorted(keys - {id[0] for id in messages(updated(read()))}):
        yield f"no longer in the program: {key!r}"
    for id, message in known.items():
        string = forms(message.string)
        meant, given = placeholders(id), placeholders(string)
        if message.fuzzy or not all(string):
            yield f"not translated: {id[0]!r}"
        # Chinese has one form, which may leave out what only one of the English forms names.
        elif given != meant if len(id) == 1 else not given <= meant:
            yield f"placeholders differ: {id[0]!r}"
    if not MO.exists() or table(MO.read_bytes()) != table(compiled(catalog)):
        yield "the .mo is not that of the .po: python -m tools.messages compile"


def main(arguments: Sequence[str]) -> int:
    match list(arguments):
        case ["update"]:
            catalog = updated(read())
            with PO.open("wb") as file:
                write_po(file, catalog, width=100, sort_output=False, include_lineno=False)
            return 0
        case ["compile"]:
            MO.write_bytes(compiled(read()))
            return 0
        case ["check"]:
            found = list(problems())
            sys.stdout.writelines(f"{line}\n" for line in found)
            return 1 if found else 0
        case _:
            sys.stderr.write(__doc__ or "")
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

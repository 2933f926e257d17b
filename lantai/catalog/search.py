"""Full-text search: SQLite's FTS5, fed with our own tokens (tokens.py).

A document is a record's description with its reference codes, or a file's name. One document must have all that a query
asks for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import Connection, Row, select, text

from . import tables
from .pen import Pen
from .rows import FONDS, RecordHit, Snippet
from .tables import SEARCH_TABLES, elements, files, places, records
from .tokens import TOKENIZER, Phrase, find, joined, phrases

TITLE = "dc.title"

# A description says more than a file's name, so records found by it come first; then bm25, a word in the title
# weighing ten in the rest; then the record's id, so that a rebuilt catalogue answers in the same order.
_SEARCH = text(
    """
    WITH hits AS (
        SELECT rowid AS record, 0 AS by_name, bm25(record_words, 10.0, 1.0) AS score, NULL AS path, NULL AS name
        FROM record_words WHERE record_words MATCH :query
        UNION ALL
        SELECT files.record, 1, found.score, files.path, files.original_name
        FROM (SELECT rowid AS file, bm25(file_words) AS score FROM file_words WHERE file_words MATCH :query) AS found
        JOIN files ON files.key = found.file
    ), ranked AS (
        SELECT *, row_number() OVER (PARTITION BY record ORDER BY by_name, score, path) AS place FROM hits
    )
    SELECT records.key, records.id, packages.id AS package, records.title, records.level, ranked.path, ranked.name,
        (SELECT reference_code FROM places WHERE places.record = records.key AND hierarchy = :fonds) AS reference_code
    FROM ranked JOIN records ON records.key = ranked.record LEFT JOIN packages ON packages.key = records.package
    WHERE ranked.place = 1
    ORDER BY by_name, score, records.id
    LIMIT :limit OFFSET :after
    """
)

_PAGE = 100
_BEFORE, _AFTER = 24, 60
"""Characters of a snippet on either side of the hit."""


def search(connection: Connection, query: str, after: int, limit: int | None) -> Iterator[RecordHit]:
    """Best first; memory does not grow with their number."""
    wanted = phrases(query)
    if not wanted:
        return
    values = {"query": match(wanted), "fonds": FONDS, "after": after, "limit": -1 if limit is None else limit}
    for page in connection.execute(_SEARCH, values).partitions(_PAGE):
        described = _texts(connection, [row.key for row in page if row.path is None])
        for row in page:
            yield _hit(row, described.get(row.key, ()), wanted)


def add_record(pen: Pen, key: int, said: Sequence[tuple[str, str]]) -> None:
    """Index a record's description and reference codes. said: term and value of each."""
    title = joined(*(value for term, value in said if term == TITLE))
    body = joined(*(value for term, value in said if term != TITLE))
    pen.then(
        "INSERT INTO record_words (rowid, title, body) VALUES (:key, :title, :body)", key=key, title=title, body=body
    )


def add_file(pen: Pen, key: int, name: str) -> None:
    """Index a file's original name."""
    pen.then("INSERT INTO file_words (rowid, name) VALUES (:key, :name)", key=key, name=joined(name))


def remove_records(connection: Connection, keys: Iterable[int]) -> None:
    """keys must not be empty."""
    connection.exec_driver_sql("DELETE FROM record_words WHERE rowid = ?", [(key,) for key in keys])


def remove_files(connection: Connection, keys: Iterable[int]) -> None:
    """keys must not be empty."""
    connection.exec_driver_sql("DELETE FROM file_words WHERE rowid = ?", [(key,) for key in keys])


def current(connection: Connection) -> bool:
    """Whether the search tables hold what this tokenizer makes."""
    state = tables.state
    kept = connection.execute(select(state.c.value).where(state.c.name == "tokenizer")).scalar_one_or_none()
    return kept == str(TOKENIZER)


def reindex(connection: Connection) -> None:
    """Make the search tables anew from what the catalogue holds."""
    state = tables.state
    for name in SEARCH_TABLES:
        connection.exec_driver_sql(f"DELETE FROM {name}")
    pen = Pen(connection)
    last = 0
    key = records.c.key
    while keys := connection.scalars(select(key).where(key > last).order_by(key).limit(1000)).all():
        for one, said in _texts(connection, keys).items():
            add_record(pen, one, said)
        last = keys[-1]
    last = 0
    columns = select(files.c.key, files.c.path, files.c.original_name).order_by(files.c.key).limit(5000)
    while rows := connection.execute(columns.where(files.c.key > last)).all():
        for row in rows:
            add_file(pen, row.key, row.original_name or row.path)
        last = rows[-1].key
    pen.flush()
    connection.execute(state.delete().where(state.c.name == "tokenizer"))
    connection.execute(state.insert().values(name="tokenizer", value=str(TOKENIZER)))


def match(wanted: Sequence[Phrase]) -> str:
    """The same for FTS5."""
    # Tokens are letters and digits only: none can end the string or be an operator.
    return " AND ".join(f'"{" ".join(phrase.tokens)}"{" *" if phrase.open else ""}' for phrase in wanted)


def _texts(connection: Connection, keys: Sequence[int]) -> dict[int, list[tuple[str, str]]]:
    """By record: term and value of its elements, then its reference codes; the title first."""
    found: dict[int, list[tuple[str, str]]] = {key: [] for key in keys}
    said = select(elements.c.record, elements.c.term, elements.c.value).where(elements.c.record.in_(keys))
    for record, term, value in connection.execute(said.order_by(elements.c.record, elements.c.position)):
        found[record].append((term, value))
    codes = select(places.c.record, places.c.reference_code).where(
        places.c.record.in_(keys), places.c.reference_code.is_not(None)
    )
    for record, code in connection.execute(codes.order_by(places.c.record, places.c.hierarchy)):
        found[record].append(("reference_code", code))
    for texts in found.values():
        texts.sort(key=lambda one: one[0] != TITLE)
    return found


def _hit(row: Row[tuple[object, ...]], described: Iterable[tuple[str, str]], wanted: Sequence[Phrase]) -> RecordHit:
    if row.path is None:
        said = [value for _term, value in described]
    else:
        said = [row.path if row.name is None else tables.name_text(row.name)]
    return RecordHit(row.id, row.package, row.title, row.level, row.reference_code, row.path, snippet(said, wanted))


def snippet(said: Sequence[str], wanted: Sequence[Phrase]) -> Snippet | None:
    """Where the first of these texts that has any of what is wanted has it."""
    for value in said:
        for phrase in wanted:
            if span := find(value, phrase):
                return _cut(value, *span)
    return None


def _cut(value: str, start: int, end: int) -> Snippet:
    first, last = max(0, start - _BEFORE), min(len(value), end + _AFTER)
    before = "…" if first > 0 else ""
    after = "…" if last < len(value) else ""
    shift = len(before) - first
    return Snippet(before + value[first:last] + after, start + shift, end + shift)

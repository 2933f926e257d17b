"""The catalogue's tables. Constraints first: what they forbid cannot be in a catalogue.

Packages, records and files have a number of their own (key), since rows by the million point at them; it means nothing
outside one catalogue and is never shown. Instants are text in UTC of one width, so that their order is that of time.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

from ..model import LEVELS

metadata = MetaData()

SCHEMA = "0014"
"""The newest revision in migrations/versions."""

SEARCH_TABLES = ("record_words", "file_words", "remote_words")
"""Made by the database's own full-text search, so not described here: rowid is the record's or file's key. On SQLite
FTS5 with tokenize='ascii': it splits at ASCII other than letters and digits, of which tokens have none, and folds
nothing beyond."""

# In the order of its code points, which is that of its UTF-8, in every database.
Ordered = Text().with_variant(Text(collation="C"), "postgresql")
Key = Integer().with_variant(BigInteger(), "postgresql")


class Instant(TypeDecorator[datetime]):
    """A datetime with a zone, kept and given back in UTC."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        return None if value is None else instant(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromisoformat(value)


class Name(TypeDecorator[str]):
    """A name as a producer wrote it: bytes, since not every name is text. Undecodable ones are surrogate escapes."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        return None if value is None else name_bytes(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else name_text(value)


def instant(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="microseconds")


def name_bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def name_text(name: bytes) -> str:
    return bytes(name).decode("utf-8", "surrogateescape")


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    allowed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({allowed})", name=f"{column}_known")


def _id() -> Column[str]:
    return Column("id", Ordered, nullable=False, unique=True)


def _part_of(table: str, *, primary: bool = True) -> Column[int]:
    """The record, package or file that a row is a part of and goes with."""
    target = ForeignKey(f"{table}s.key", ondelete="CASCADE")
    return Column(table, Key, target, primary_key=primary, nullable=False, autoincrement=False)


def _position() -> Column[int]:
    return Column("position", Integer, primary_key=True, autoincrement=False)


def _ending(table: str) -> Index:
    """A UUIDv7 begins with a clock; its end tells things apart. See resolve.py."""
    return Index(f"{table}_ending", text(ENDING))


ENDING = "substr(id, 40, 6)"
"""The last six hexadecimal digits of urn:uuid:xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx."""

state = Table(
    "state",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

packages = Table(
    "packages",
    metadata,
    Column("key", Key, primary_key=True),
    _id(),
    Column("version", Integer, CheckConstraint("version >= 1", name="version_counts"), nullable=False),
    Column("created", Instant, nullable=False),
    Column("submission", Name, nullable=False),
    Column("files", Integer, nullable=False),
    Column("bytes", Key, nullable=False),
    _ending("packages"),
)

package_formats = Table(
    "package_formats",
    metadata,
    _part_of("package"),
    Column("puid", Text, primary_key=True),
    Column("files", Integer, nullable=False),
    sqlite_with_rowid=False,
)

contents = Table(
    "contents",
    metadata,
    Column("content", Text, primary_key=True),
    _part_of("package"),
    Index("contents_package", "package"),
    sqlite_with_rowid=False,
)

versions = Table(
    "versions",
    metadata,
    _part_of("package"),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
)

copies = Table(
    "copies",
    metadata,
    _part_of("package"),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("store", Text, primary_key=True),
    Column("since", Instant, nullable=False),
)

agents = Table(
    "agents",
    metadata,
    _part_of("package"),
    _position(),
    Column("id", Text, nullable=False),
    Column("kind", Text, _one_of("kind", ("person", "organization", "software")), nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Text),
    UniqueConstraint("package", "id"),
)

events = Table(
    "events",
    metadata,
    _part_of("package"),
    _position(),
    Column("id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("outcome", Text, _one_of("outcome", ("success", "warning", "fail")), nullable=False),
    Column("detail", Text, nullable=False),
    Column("objects", Text),  # of which package or representation; null: of the files that name it
    UniqueConstraint("package", "id"),
)

event_agents = Table(
    "event_agents",
    metadata,
    Column("package", Key, primary_key=True, autoincrement=False),
    Column("event", Text, primary_key=True),
    _position(),
    Column("agent", Text, nullable=False),
    ForeignKeyConstraint(["package", "event"], ["events.package", "events.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["package", "agent"], ["agents.package", "agents.id"], ondelete="CASCADE"),
    Index("event_agents_agent", "package", "agent"),
)

records = Table(
    "records",
    metadata,
    Column("key", Key, primary_key=True),
    _id(),
    Column("package", Key, ForeignKey("packages.key", ondelete="CASCADE")),  # null: in no package
    Column("position", Integer, nullable=False),
    Column("level", Text, _one_of("level", LEVELS), nullable=False),
    Column("title", Text, nullable=False),
    Column("files", Integer, nullable=False, server_default="0"),
    Index("records_package", "package", "position"),
    _ending("records"),
)

elements = Table(
    "elements",
    metadata,
    _part_of("record"),
    _position(),
    Column("term", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("language", Text),
    Column("scheme", Text),
    sqlite_with_rowid=False,
)

dates = Table(
    "dates",
    metadata,
    _part_of("record"),
    _position(),
    Column("text", Text, nullable=False),
    Column("earliest", Date),
    Column("latest", Date),
    Column("approximate", Boolean(create_constraint=True, name="approximate_known"), nullable=False),
    Column("edtf", Text),
    sqlite_with_rowid=False,
)

extents = Table(
    "extents",
    metadata,
    _part_of("record"),
    _position(),
    Column("number", Float, nullable=False),
    Column("unit", Text, nullable=False),
    sqlite_with_rowid=False,
)

record_paths = Table(
    "record_paths",
    metadata,
    _part_of("record"),
    _position(),
    Column("path", Ordered, nullable=False),
    sqlite_with_rowid=False,
)

# parent is an id and no key: the record above may become known later than those below it.
places = Table(
    "places",
    metadata,
    _part_of("record"),
    Column("hierarchy", Text, primary_key=True),
    Column("parent", Ordered),
    Column("position", Integer, nullable=False),
    Column("reference_code", Ordered),
    Index("places_parent", "hierarchy", "parent", "position"),
    Index("places_reference_code", "reference_code"),
)

# record is an id and no key: what was decided outlives the record's being known.
decisions = Table(
    "decisions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("record", Ordered, nullable=False),
    Column("shown", Text, _one_of("shown", ("closed", "description", "open")), nullable=False),
    Column("since", Instant, nullable=False),
    Column("ground", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("clause", Text, nullable=False, server_default=""),
    Index("decisions_record", "record", "at"),
)

# What a decision replaces may become known later than the decision.
replacements = Table(
    "replacements",
    metadata,
    Column("decision", Text, ForeignKey("decisions.id", ondelete="CASCADE"), primary_key=True),
    Column("replaced", Text, primary_key=True),
)

# The chains of the journal, as far as they were taken in.
chains = Table(
    "chains",
    metadata,
    Column("writer", Text, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("seal", Text, nullable=False),
)

# subject is an id and no key, as a decision's record is. body: the entry as the journal has it.
entries = Table(
    "entries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("writer", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Ordered, nullable=False),
    Column("at", Instant, nullable=False),
    Column("body", Text, nullable=False),
    Index("entries_subject", "subject", "at"),
    Index("entries_at", "at"),
    Index("entries_runs", "at", "id", sqlite_where=text("kind = 'run'")),
)

# Derived from entries: what is withdrawn now.
withdrawn = Table("withdrawn", metadata, Column("subject", Ordered, primary_key=True))

# What harvesters see of records over time, in seconds since 1970; one that was never open has no row. record is an id
# and no key: what was seen outlives the record. until: the since of its next row; sets: setSpecs, spaces between them.
exposures = Table(
    "exposures",
    metadata,
    Column("record", Ordered, primary_key=True),
    Column("since", Key, primary_key=True, autoincrement=False),
    Column("until", Key),
    Column("live", Boolean(name="live_known"), nullable=False),
    Column("sets", Ordered, nullable=False),
    Column("content", Text, nullable=False),  # a digest of all that can be seen of it; "": it is deleted
    Column("files", Boolean(name="files_known"), nullable=False, server_default=text("0")),  # their names are seen too
    Column("above", Text, nullable=False, server_default=""),  # live records above it, the nearest first, with spaces
    Index("exposures_since", "since", "record", "until"),
)

# From when on what is given of all records is made in another way (seconds since 1970).
crosswalks = Table(
    "crosswalks",
    metadata,
    Column("since", Key, primary_key=True, autoincrement=False),
    Column("version", Text, primary_key=True),
    sqlite_with_rowid=False,
)

# What was given of an exposure, kept to be given again: whole <record> elements; of prefix "" headers. digest: of the
# metadata alone, as receipts have it. With a rowid: of a table without, SQLite reads a quarter of a page at most in one
# go, which is less than most are.
renderings = Table(
    "renderings",
    metadata,
    Column("prefix", Text, nullable=False),
    Column("since", Key, nullable=False),
    Column("record", Ordered, nullable=False),
    Column("digest", Text, nullable=False),
    Column("xml", LargeBinary, nullable=False),
    Index("renderings_given", "prefix", "since", "record", unique=True),
    Index("renderings_record", "record"),
)

# How many exposures have their datestamps on a day in UTC, of a set ("": of all), and what receipts say of them in a
# format ("": nothing), in answers from at up to until; of all in a format, where what was harvested is shown on, it is
# among them. day -1: all days of that set and format are here. count null: it
# has to be counted anew.
exposure_days = Table(
    "exposure_days",
    metadata,
    Column("spec", Ordered, primary_key=True),
    Column("prefix", Text, primary_key=True),
    Column("day", Key, primary_key=True, autoincrement=False),
    Column("count", Key),
    Column("root", Text),
    Column("at", Key),
    Column("until", Key),
    Index("exposure_days_all", "spec", "prefix", sqlite_where=text("day = -1")),
    sqlite_with_rowid=False,
)

exposure_sets = Table(
    "exposure_sets",
    metadata,
    Column("spec", Ordered, primary_key=True),
    Column("since", Key, primary_key=True, autoincrement=False),
    Column("record", Ordered, primary_key=True),
    Index("exposure_sets_record", "record"),
    sqlite_with_rowid=False,
)

# When what harvesters see of a record was changed other than by the coming of its time; sets: those that it keeps if it
# is deleted then; entered: the journal says so.
applied = Table(
    "applied",
    metadata,
    Column("record", Ordered, primary_key=True),
    Column("at", Key, nullable=False),
    Column("entered", Boolean(name="entered_known"), nullable=False),
    Column("sets", Text),
    Index("applied_left", "record", sqlite_where=text("NOT entered")),
    sqlite_with_rowid=False,
)

# What a part of the arrangement of a fonds is called in setSpecs: for good, once since is past, when it is seen first.
# entered: whether the journal says so; null: it need not, since its code says the same.
nodes = Table(
    "nodes",
    metadata,
    Column("record", Ordered, primary_key=True),
    Column("part", Ordered, nullable=False),
    Column("since", Key, nullable=False),
    Column("entered", Boolean(name="entered_known")),
    Index("nodes_part", "part"),
    Index("nodes_left", "record", sqlite_where=text("NOT entered")),
    sqlite_with_rowid=False,
)

# Derived from entries: the newest check of a package in a store at a level.
checked = Table(
    "checked",
    metadata,
    Column("package", Text, primary_key=True),
    Column("store", Text, primary_key=True),
    Column("level", Text, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("valid", Boolean(name="valid_known"), nullable=False),
    Column("software", Text, nullable=False),
)

# Derived from entries: which person a name stands for. The newest name of a person is the one in use.
names = Table(
    "names",
    metadata,
    Column("name", Text, primary_key=True),
    Column("agent", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("entry", Text, nullable=False),
    Index("names_agent", "agent", "at"),
)

# What was harvested from other archives, as far as it was taken in. identify: what a server says of itself, as XML.
remote_sources = Table(
    "remote_sources",
    metadata,
    Column("source", Ordered, primary_key=True),
    Column("url", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("seal", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("identify", Text, nullable=False),
)

# How far a list was harvested. spec "": of all records; since: where the next harvest begins, null where none was
# complete; token: where one that was broken off goes on; wanted, began: its from, and its first responseDate.
remote_lists = Table(
    "remote_lists",
    metadata,
    Column("source", Ordered, primary_key=True),
    Column("prefix", Text, primary_key=True),
    Column("spec", Text, primary_key=True),
    Column("since", Text),
    Column("token", Text),
    Column("wanted", Text),
    Column("began", Text),
    sqlite_with_rowid=False,
)

# Parts that records came in. url: of the server; answered: the responseDate of its last answer in it.
remote_parts = Table(
    "remote_parts",
    metadata,
    Column("source", Ordered, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("url", Text, nullable=False),
    Column("answered", Text, nullable=False),
    sqlite_with_rowid=False,
)

# When a part was told the catalogue, in seconds since 1970, where that was later than is derived; source "", number 0:
# since when what was harvested is shown on, while it is. entered: the journal says so.
gathered = Table(
    "gathered",
    metadata,
    Column("source", Ordered, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Key, nullable=False),
    Column("entered", Boolean(name="entered_known"), nullable=False),
    Index("gathered_left", "source", "number", sqlite_where=text("NOT entered")),
    sqlite_with_rowid=False,
)

# sets, about: lists in JSON; metadata: XML, "" if it is deleted; namespace, digest: of its element, the latter as
# receipts have it; part: the one that told it last, but for a deletion that was known; since: its datestamp where it is
# shown on, null: its identifier cannot be; hops: through how many archives it came to that server, by its provenance,
# at least.
remote_records = Table(
    "remote_records",
    metadata,
    Column("key", Key, primary_key=True),
    Column("source", Ordered, nullable=False),
    Column("prefix", Ordered, nullable=False),
    Column("identifier", Ordered, nullable=False),
    Column("datestamp", Ordered, nullable=False),
    Column("live", Boolean(name="live_known"), nullable=False),
    Column("sets", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("part", Integer, nullable=False),
    Column("namespace", Text, nullable=False, server_default=""),
    Column("since", Key),
    Column("hops", Integer, nullable=False, server_default="0"),
    Column("digest", Text, nullable=False, server_default=""),
    UniqueConstraint("source", "prefix", "identifier"),
    Index("remote_records_identifier", "identifier", "prefix", "since", "source"),
    Index("remote_records_part", "source", "part"),
    Index("remote_records_since", "prefix", "since", "identifier"),
    Index("remote_records_datestamp", "source", "prefix", "datestamp", "identifier"),
)

files = Table(
    "files",
    metadata,
    Column("key", Key, primary_key=True),
    _id(),
    _part_of("package", primary=False),
    Column("record", Key, ForeignKey("records.key"), nullable=False),
    Column("path", Ordered, nullable=False),
    Column("original_name", Name),  # null: as path
    Column("size", Key, CheckConstraint("size >= 0", name="size_counts"), nullable=False),
    Column("modified", Instant),
    UniqueConstraint("package", "path"),
    Index("files_record", "record"),
    _ending("files"),
)

digests = Table(
    "digests",
    metadata,
    _part_of("file"),
    Column("algorithm", Text, primary_key=True),
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
)

# What tools answer, once for all files that they answered so.
formats = Table(
    "formats",
    metadata,
    Column("key", Key, primary_key=True),
    Column("puid", Text),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("mime", Text),
    Column("tool", Text, nullable=False),
    Column("signature", Text, nullable=False),
)

# The answer at position 0 is the one that counts.
identifications = Table(
    "identifications",
    metadata,
    _part_of("file"),
    _position(),
    Column("format", Key, ForeignKey("formats.key"), nullable=False),
    Column("basis", Text, nullable=False),
    Column("warning", Text, nullable=False),
    sqlite_with_rowid=False,
)

file_events = Table(
    "file_events",
    metadata,
    _part_of("file"),
    _position(),
    Column("package", Key, nullable=False),
    Column("event", Text, nullable=False),
    # Deferred: a new version puts its events in the place of the old ones before it comes to the files.
    ForeignKeyConstraint(["package", "event"], ["events.package", "events.id"], deferrable=True, initially="DEFERRED"),
    Index("file_events_event", "package", "event"),
    sqlite_with_rowid=False,
)

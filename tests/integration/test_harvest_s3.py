"""lantai harvest into a bucket: what other archives show outlives the catalogue and their servers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from lantai.storage.remote import source_of
from tests.integration.command import Lantai, add_store
from tests.integration.county import County, Item, answering
from tests.integration.harvested import running
from tests.integration.test_harvest import FIVE, harvested, held, live
from tests.integration.test_s3 import begun
from tests.integration.test_union import SHOWN, harvest, settle
from tests.services import Server, bucket, client


def parts(server: Server, name: str) -> Mapping[str, bytes]:
    """What lies in the bucket of harvests, by its key below the store's own place."""
    with closing(client(server)) as s3:
        listed = s3.list_objects_v2(Bucket=name, Prefix="兰台/remote/").get("Contents", [])
        keys = [one["Key"] for one in listed]
        return {key.removeprefix("兰台/"): s3.get_object(Bucket=name, Key=key)["Body"].read() for key in keys}


def shown(lantai: Lantai) -> dict[str, tuple[str, str]]:
    """Title and datestamp of each record that this archive passes on to harvesters."""
    with running(lantai, **{**SHOWN, **lantai.environment}) as (_process, said):
        settle()
        return {name: (one.title, one.stamp) for name, one in harvest(said["url"]).items()}


def test_what_was_harvested_into_a_bucket_is_there_without_catalogue_and_county(server: Server, tmp_path: Path) -> None:
    name = bucket(server)
    lantai = begun(server, tmp_path, name)
    county = County(FIVE)
    with answering(county) as url:
        assert harvested(lantai, url)["held"] == 5
        first = parts(server, name)
        assert {key.split("/")[1] for key in first} == {source_of(url)}
        county.items = [*FIVE[1:], Item(1, "", "2026-06-01T00:00:00Z"), Item(6, "第 6 件", "2026-06-02T00:00:00Z")]
        assert harvested(lantai, url)["deleted"] == 1
        assert harvested(lantai, url)["unchanged"] == 2
    second = parts(server, name)
    assert first.items() < second.items()
    told = shown(lantai)
    before, known = held(lantai), live(lantai)
    assert sorted(known.values()) == [f"第 {number} 件" for number in range(2, 7)]
    assert {title for title, _stamp in told.values()} == {"", *known.values()}

    for left in lantai.folder.glob("catalog.db*"):
        left.unlink()
    assert lantai("rebuild").code == 0
    assert held(lantai) == before
    assert shown(lantai) == told
    assert parts(server, name) == second
    audited = lantai("audit", "--all", "--json")
    assert (audited.code, audited.object["failed"]) == (0, [])


def test_a_harvest_lies_in_the_bucket_and_in_the_copy_and_either_brings_it_back(server: Server, tmp_path: Path) -> None:
    name, copy = bucket(server), tmp_path / "copy"
    lantai = begun(server, tmp_path, name)
    copy.mkdir()
    add_store(lantai, f'name = "copy"\npath = "{copy}"')
    with answering(County(FIVE)) as url:
        assert harvested(lantai, url)["held"] == 5
    there = parts(server, name)
    assert there
    assert {path.relative_to(copy).as_posix(): path.read_bytes() for path in copy.glob("remote/*/*")} == there
    before = held(lantai)
    for store in ("copy", "local"):
        (lantai.folder / "catalog.db").unlink()
        done = lantai("rebuild", "--store", store)
        assert done.code == 0, done
        assert held(lantai) == before

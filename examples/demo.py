"""make demo: the records of a county's autumn festival, as an organiser hands them over, become a preserved package, on
the file system and in S3, and then open, for whoever harvests them. make demo-s3: in a bucket alone.

python examples/demo.py HOME [--bucket-alone]

The S3 server is moto, on the loopback, while this runs. It forgets everything when it ends.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import time
import types
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener
from xml.etree import ElementTree

from lantai import messages
from lantai.storage import Bucket, open_store

ROOT = Path(__file__).parent.parent
SUBMISSION = Path(__file__).parent / "autumn-festival"
BUCKET = Bucket("lantai-demo", "archive/")
SECOND = """
[[store]]                # a copy / 副本
name = "cloud"
kind = "s3"
bucket = "{bucket.name}"
prefix = "{bucket.prefix}"
endpoint_url = "{url}"
required = false         # the demo's server is there only while the demo runs / 演示服务器只在演示期间运行
"""
"""What joins lantai.toml."""


def say(english: str, chinese: str) -> None:
    asked = messages.of_environment(os.environ)[:2].lower()
    print("\n" + (chinese if asked == "zh" else english), flush=True)


def lantai(*arguments: str | Path, code: int = 0) -> None:
    """Shows the command, then what it says; it must end with code."""
    words = [str(argument) for argument in arguments]
    print("\n$ lantai " + " ".join(words), flush=True)
    if (found := subprocess.run([sys.executable, "-m", "lantai", *words], check=False).returncode) != code:
        raise SystemExit(found or 1)


def answers(*arguments: str | Path) -> list[dict[str, Any]]:
    """What a command says to programs."""
    command = [sys.executable, "-m", "lantai", *(str(argument) for argument in arguments), "--json"]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return [json.loads(line) for line in said.splitlines()]


@contextmanager
def server() -> Iterator[str | None]:
    """The address of an S3 server with the bucket, empty. Its keys are in the environment. None: there is no server."""
    # The tests know how. They are no package, so that an installed one of the same name would come before them.
    tests = types.ModuleType("tests")
    tests.__path__ = [str(ROOT / "tests")]
    sys.modules["tests"] = tests
    services, moto = (importlib.import_module(f"tests.services{name}") for name in ("", ".moto"))
    if missing := ", ".join(moto.lacking()):
        say(
            f"There is no S3 server here ({missing} not installed), so nothing is shown in S3.",
            f"此处没有 S3 服务器（未安装 {missing}），因此不演示 S3。",
        )
        yield None
        return
    with moto.moto() as running:
        os.environ |= {
            "AWS_ACCESS_KEY_ID": running.access_key,
            "AWS_SECRET_ACCESS_KEY": running.secret_key,
            "AWS_REGION": running.region,
            "no_proxy": "127.0.0.1",
        }
        with closing(services.client(running)) as s3:
            s3.create_bucket(Bucket=BUCKET.name)
        yield running.endpoint_url


def renewed(settings: Path, url: str) -> None:
    """The server has another port each time."""
    text = settings.read_text("utf-8")
    settings.write_text(re.sub(r'endpoint_url = "http://127\.0\.0\.1:\d+"', f'endpoint_url = "{url}"', text), "utf-8")


def ingest(home: Path) -> None:
    shown = SUBMISSION.relative_to(Path.cwd()) if SUBMISSION.is_relative_to(Path.cwd()) else SUBMISSION
    lantai("ingest", shown, "--home", home)


def look(home: Path) -> None:
    lantai("list", "--home", home)
    lantai("show", answers("list", "--home", home)[0]["package"][-8:], "--home", home)
    lantai("validate", "--home", home)


def damage(home: Path) -> None:
    """One bit of a photograph in the first store; the bucket has it whole."""
    photograph = min((home / "store" / "ocfl").rglob("*.jpg"))
    data = bytearray(photograph.read_bytes())
    data[len(data) // 2] ^= 1
    photograph.write_bytes(data)
    say(
        f"A disk decays: one bit of {photograph.name} is flipped in the first store. An audit finds it, restores it "
        "from the bucket, and ends with 1, so that somebody looks at the disk:",
        f"磁盘会老化：第一个存储中 {photograph.name} 的一个比特被翻转。"
        "审计会发现它，由存储桶恢复，并以 1 结束，提醒有人检查磁盘：",
    )
    lantai("audit", "--all", "--home", home, code=1)
    lantai("audit", "--all", "--home", home)


def harvest(home: Path) -> None:
    """The package is opened, and given over HTTP to a client that knows OAI-PMH alone."""
    say(
        "The records are opened: whoever harvests archives may have their descriptions and files.",
        "开放这些档案：任何采集方均可获取其著录和文件信息。",
    )
    package = answers("list", "--home", home)[0]["package"][-8:]
    lantai("access", "set", package, "open", "--reason", "演示：对外开放", "--home", home)
    time.sleep(2)  # an answer tells what was so before its second
    with serving(home) as url:
        found = list(harvested(url))
    say(f"A harvester was given {len(found)} records:", f"采集方获得 {len(found)} 条档案记录：")
    for datestamp, title, level in found:
        print(f"  {datestamp}  {title}  [{level}]", flush=True)


@contextmanager
def serving(home: Path) -> Iterator[str]:
    """lantai serve on a port that is free, until this ends: where harvesters reach it."""
    words = ["serve", "--port", "0", "--home", str(home)]
    print("\n$ lantai " + " ".join(words) + " &", flush=True)
    command = [sys.executable, "-m", "lantai", *words, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            if not line:
                raise SystemExit(server.wait() or 1)
            yield json.loads(line)["url"]
        finally:
            server.terminate()


def harvested(url: str) -> Iterator[tuple[str, str, str]]:
    """Of every record its datestamp, its title, and the set of its level, page by page, by OAI-PMH alone."""
    oai, title = "{http://www.openarchives.org/OAI/2.0/}", "{http://purl.org/dc/elements/1.1/}title"
    here = build_opener(ProxyHandler({}))
    query = "verb=ListRecords&metadataPrefix=oai_dc"
    while query:
        print(f"\nGET {url}?{query}", flush=True)
        with here.open(f"{url}?{query}") as answer:
            page = ElementTree.fromstring(answer.read())
        for record in page.iter(f"{oai}record"):
            told = next((one.text or "" for one in record.iter(title)), "(deleted / 已删除)")
            sets = [one.text or "" for one in record.iter(f"{oai}setSpec")]
            level = next((one for one in sets if one.startswith("level:")), "")
            yield record.findtext(f"{oai}header/{oai}datestamp") or "", told, level
        token = page.findtext(f".//{oai}resumptionToken")
        query = f"verb=ListRecords&resumptionToken={token}" if token else ""


def two_stores(home: Path) -> None:
    """The file system first, then the bucket as a copy of it."""
    settings = home / "lantai.toml"
    if not settings.exists():
        lantai("init", home, "--name", "云岭县档案馆")
    text = settings.read_text("utf-8")
    has_copy = 'name = "cloud"' in text
    if not has_copy:
        ingest(home)
    with server() as url:
        if url and has_copy:
            say(
                "The bucket of the last run went with its server. lantai fills a new one from the first store, and "
                "says what was lost, with exit code 1:",
                "上次演示的存储桶已随服务器消失。兰台由第一个存储补全新的存储桶，并说明丢失了什么，退出码为 1：",
            )
            renewed(settings, url)
        elif url:
            say(
                f"A second store, a bucket on an S3 server, is named in {settings}. lantai brings it up to the first:",
                f"在 {settings} 中写入第二个存储，即 S3 服务器上的一个存储桶。兰台据第一个存储补全它：",
            )
            added = SECOND.format(bucket=BUCKET, url=url)
            print(added.rstrip(), flush=True)
            settings.write_text(text + added, "utf-8")
        if url:
            lantai("replicate", "--home", home, code=1 if has_copy else 0)
        if has_copy:
            ingest(home)
        look(home)
        if url:
            damage(home)
        harvest(home)
    if url:
        say(
            "The demo's S3 server has ended, and the bucket with it; what lies on the file system stays.",
            "演示用的 S3 服务器已关闭，存储桶随之消失；文件系统上的内容仍在。",
        )


def bucket_alone(home: Path) -> None:
    """A folder of the home keeps what the bucket held from one run to the next."""
    kept, settings = home / "bucket", home / "lantai.toml"
    if settings.exists() and not (kept / "store.json").exists():
        say(
            f"The last run was ended before it kept its bucket: remove {home}, then run this again.",
            f"上次运行在保存存储桶之前中断：请删除 {home} 后重新运行。",
        )
        raise SystemExit(1)
    with server() as url:
        if url is None:
            raise SystemExit(1)
        place = Bucket(BUCKET.name, BUCKET.prefix, url)
        if settings.exists():
            say(
                f"The server forgets everything when it ends. What its bucket held was kept in {kept}: it is put back.",
                f"服务器关闭后不保留任何内容。存储桶的内容已保存在 {kept}，现在放回。",
            )
            copy(kept, place)
            renewed(settings, url)
        else:
            lantai("init", home, "--name", "云岭县档案馆", "--store", str(place), "--endpoint-url", url)
        try:
            ingest(home)
            look(home)
        finally:
            kept.mkdir(exist_ok=True)
            copy(place, kept)
    say(
        "The demo's S3 server has ended. list, show and search answer all the same, from the catalogue.",
        "演示用的 S3 服务器已关闭。list、show 和 search 由目录库回答，仍可使用。",
    )


def copy(source: Path | Bucket, target: Path | Bucket) -> None:
    """Make target hold what source holds."""
    taken, given = open_store(source), open_store(target)

    def body(key: str) -> Iterator[bytes]:
        with taken.open(key) as file:
            while chunk := file.read(1024 * 1024):
                yield chunk

    keys = {one.key for one in taken.list()}
    for key in sorted(keys):
        given.put(key, partial(body, key), algorithms=())
    for one in list(given.list()):
        if one.key not in keys:
            given.delete(one.key)
    given.sync()


def main(home: Path, *options: str) -> None:
    if "--bucket-alone" in options:
        bucket_alone(home)
    else:
        two_stores(home)
    folder = Path(sys.executable).parent
    shown = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    say(
        f"lantai is {shown}/lantai here; after source {shown}/activate it is lantai, as above.",
        f"以上命令用的是 {shown}/lantai；运行 source {shown}/activate 后可直接输入 lantai。",
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])

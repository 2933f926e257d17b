"""The identifiers before their judge, and what is each one's own."""

from __future__ import annotations

import os
import random
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lantai.formats import BY_CONTENT, BY_NAME, UNKNOWN, Identifier, agents, open_identifier, strength
from lantai.formats.apart import Apart
from lantai.formats.fido import CONTAINER_BUFFER, Fido
from lantai.formats.second_opinion import SecondOpinion
from lantai.formats.siegfried import Siegfried
from lantai.model import Format
from tests.conformance.identifier import GBK, IdentifierSuite, docx, odt, pdf, png, wav

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def corpus() -> tuple[Path, ...]:
    folder = Path(os.environ.get("LANTAI_SHARED", ROOT.parent / "shared"), "corpus")
    if not folder.is_dir():
        reason = f"no sample files at {folder}; LANTAI_SHARED names the folder that holds corpus/"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return tuple(sorted(path for path in folder.rglob("*") if path.is_file()))


@pytest.fixture(scope="module")
def apart() -> Iterator[Apart]:
    with Apart() as identifier:
        yield identifier


class TestSiegfried(IdentifierSuite):
    @pytest.fixture
    def identifier(self) -> Identifier:
        return Siegfried()


class TestSiegfriedByWindows(IdentifierSuite):
    """With windows so small that many files are seen in part."""

    @pytest.fixture
    def identifier(self) -> Identifier:
        return Siegfried(window=16 << 10)


class TestFido(IdentifierSuite):
    @pytest.fixture
    def identifier(self) -> Identifier:
        return Fido()


class TestSecondOpinion(IdentifierSuite):
    @pytest.fixture
    def identifier(self) -> Identifier:
        return open_identifier("siegfried")


class TestBoth(IdentifierSuite):
    @pytest.fixture
    def identifier(self) -> Identifier:
        return open_identifier("both")


class TestApart(IdentifierSuite):
    @pytest.fixture
    def identifier(self, apart: Apart) -> Identifier:
        return apart


# Siegfried


def large_png(size: int) -> bytes:
    """A PNG whose end is as telling as its start: PRONOM's signature for it has both."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return png()[:-12] + chunk(b"juNK", random.Random(5).randbytes(size)) + png()[-12:]


def test_windows_tell_what_the_whole_tells(tmp_path: Path) -> None:
    file = tmp_path / "large.png"
    file.write_bytes(large_png(50_000))
    [[whole]] = Siegfried(window=None).identify([file])
    [[part]] = Siegfried(window=2048).identify([file])
    assert (part.puid, part.name, part.mime, part.warning) == (whole.puid, whole.name, whole.mime, whole.warning)
    # Offsets at the file's end included: they are those in the file, not in what was shown.
    assert str(file.stat().st_size - 12) in whole.basis
    assert part.basis == f"{whole.basis}; first and last 2048 bytes looked at"


def test_a_small_file_is_seen_whole(tmp_path: Path) -> None:
    file = tmp_path / "small.png"
    file.write_bytes(png())
    assert Siegfried(window=2048).identify([file]) == Siegfried(window=None).identify([file])


def test_more_large_files_than_windows_at_once(tmp_path: Path) -> None:
    files = []
    for at in range(40):
        file = tmp_path / f"{at}.{'wav' if at % 2 else 'png'}"
        file.write_bytes(wav(0.2) if at % 2 else large_png(9000))
        files.append(file)
    answers = Siegfried(window=1024).identify(files)
    assert [said[0].puid for said in answers] == ["fmt/11", "fmt/141"] * 20
    assert all("first and last 1024 bytes" in said[0].basis for said in answers)


def test_pdf_a_is_declared_in_the_middle(tmp_path: Path) -> None:
    xmp = (
        b'5 0 obj\n<</Type/Metadata/Subtype/XML>>stream\n<rdf:Description rdf:about="" '
        b'xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/"><pdfaid:part>1</pdfaid:part>'
        b"<pdfaid:conformance>B</pdfaid:conformance></rdf:Description>\nendstream\nendobj\n"
    )
    noise = b"% " + random.Random(6).randbytes(20_000).replace(b"\n", b" ") + b"\n"
    file = tmp_path / "large.pdf"
    file.write_bytes(pdf(noise + xmp + noise))
    assert Siegfried(window=1024).identify([file])[0][0].puid == "fmt/354"


def test_a_large_container_is_seen_whole(tmp_path: Path) -> None:
    noise = "".join(random.Random(7).choices("abcdefghijkl0123456789", k=60_000))
    file = tmp_path / "large.docx"
    file.write_bytes(docx({"word/media/image1.txt": noise}))
    assert file.stat().st_size > 4 * 1024
    assert Siegfried(window=1024).identify([file])[0][0].puid == "fmt/412"


def test_what_the_ends_do_not_tell_the_whole_does(corpus: tuple[Path, ...]) -> None:
    """Up to 4,096 windows: an Access database is known by a table somewhere in it."""
    [file] = [file for file in corpus if file.name == "reviews.mdb"]
    assert 4096 * 64 < file.stat().st_size < 4096 * 256
    assert Siegfried(window=256).identify([file]) == Siegfried(window=None).identify([file])
    [[beyond]] = Siegfried(window=64).identify([file])
    assert strength(beyond) == UNKNOWN
    assert beyond.basis == "first and last 64 bytes looked at"


def test_scratch_is_left_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    file = tmp_path / "large.png"
    file.write_bytes(large_png(50_000))
    Siegfried(window=2048).identify([file])
    assert list(scratch.iterdir()) == []


# Fido


def test_fido_answers_as_its_own_command_does(tmp_path: Path, corpus: tuple[Path, ...]) -> None:
    made = {"a.png": png(), "b.docx": docx(), "c.odt": odt(), "d": wav(), "e.pdf": pdf(), "f.txt": GBK, "g": docx()[:9]}
    for name, data in made.items():
        (tmp_path / name).write_bytes(data)
    files = [*sorted(tmp_path.iterdir()), *corpus]
    line = "%(info.filename)s\t%(info.puid)s\t%(info.matchtype)s\n"
    said = subprocess.run(
        [sys.executable, "-m", "fido.fido", "-q", "-pronom_only", "-matchprintf", line, "-nomatchprintf", "",
         *map(str, files)],
        capture_output=True, check=True, encoding="utf-8",
    ).stdout  # fmt: skip
    theirs: dict[str, list[str]] = {str(file): [] for file in files}
    by_name: dict[str, list[str]] = {str(file): [] for file in files}
    for name, puid, kind in (line.split("\t") for line in said.splitlines()):
        (by_name if kind == "extension" else theirs)[name].append(puid)

    for file, ours in zip(files, Fido().identify(files), strict=True):
        seen = [one.puid for one in ours if strength(one) == BY_CONTENT]
        assert seen == list(dict.fromkeys(theirs[str(file)])), file
        if not seen:
            possible = by_name[str(file)]
            [one] = ours
            if len(possible) == 1:
                assert [one.puid] == possible
            else:
                assert one.puid is None
                assert all(puid in one.warning for puid in possible)


def test_fido_reads_no_more_of_a_container_than_its_buffer(tmp_path: Path) -> None:
    """A stream of a zip may swell a thousandfold, so what comes after the first 512 KiB counts no more."""
    inside, beyond = tmp_path / "inside.docx", tmp_path / "beyond.docx"
    inside.write_bytes(docx(padding=CONTAINER_BUFFER // 2))
    beyond.write_bytes(docx(padding=CONTAINER_BUFFER * 2))
    answers = Fido().identify([inside, beyond])
    assert answers[0][0].puid == "fmt/412"
    assert answers[1][0].puid != "fmt/412"


def test_fido_says_why_a_container_stays_closed(tmp_path: Path) -> None:
    data = bytearray(docx())
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        # APPNOTE 4.4.4, bit 0: encrypted.
        at = data.find(header)
        while at >= 0:
            data[at + flags] |= 1
            at = data.find(header, at + 1)
    file = tmp_path / "encrypted.docx"
    file.write_bytes(data)
    [[said]] = Fido().identify([file])
    assert said.puid == "x-fmt/263"
    assert said.warning.startswith("container cannot be read: ")


# Second opinion


class Told:
    """An identifier that says what it was told, and remembers what it was asked."""

    signature = "told"

    def __init__(self, tool: str, *answers: Format) -> None:
        self.tool = tool
        self.answers = answers
        self.asked: list[Path] = []

    def identify(self, files: Sequence[Path]) -> list[tuple[Format, ...]]:
        self.asked += files
        return [self.answers for _file in files]


def told(tool: str, puid: str | None, basis: str) -> Format:
    return Format(puid, "", "", None, basis, "", tool, "told")


BYTES = "byte match at 0, 4"
NAME = "extension match dat"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.dat"
    path.write_bytes(b"content")
    return path


@pytest.mark.parametrize(
    ("first", "second", "order"),
    [
        (("x/1", NAME), ("x/2", "signature match: X"), ["x/2", "x/1"]),
        (("x/1", NAME), ("x/2", "container match: X"), ["x/2", "x/1"]),
        ((None, ""), ("x/2", "signature match: X"), ["x/2", None]),
        ((None, ""), ("x/2", NAME), ["x/2", None]),
        (("x/1", NAME), ("x/2", NAME), ["x/1", "x/2"]),
        (("x/1", NAME), (None, ""), ["x/1", None]),
        ((None, ""), (None, ""), [None, None]),
        (("x/1", BYTES), ("x/2", "signature match: X"), ["x/1"]),
        (("x/1", f"{NAME}; {BYTES}"), ("x/2", "signature match: X"), ["x/1"]),
        (("x-fmt/111", "text match UTF-8 Unicode"), ("x/2", "signature match: X"), ["x-fmt/111"]),
    ],
)
def test_the_stronger_answer_counts_and_both_are_kept(
    file: Path, first: tuple[str | None, str], second: tuple[str | None, str], order: list[str | None]
) -> None:
    one, other = Told("one", told("one", *first)), Told("other", told("other", *second))
    [said] = SecondOpinion(one, other).identify([file])
    assert [answer.puid for answer in said] == order
    assert other.asked == ([file] if len(order) == 2 else [])


def test_always_asks_both_and_the_first_keeps_its_place(file: Path) -> None:
    one, other = Told("one", told("one", "x/1", BYTES)), Told("other", told("other", "x/2", "signature match: X"))
    [said] = SecondOpinion(one, other, always=True).identify([file])
    assert [answer.puid for answer in said] == ["x/1", "x/2"]


@pytest.mark.parametrize("always", [False, True])
def test_nobody_else_is_asked_about_what_cannot_be_seen(tmp_path: Path, always: bool) -> None:
    (tmp_path / "empty.dat").touch()
    one, other = Told("one", told("one", "x/1", NAME)), Told("other", told("other", "x/2", NAME))
    answers = SecondOpinion(one, other, always=always).identify([tmp_path / "empty.dat", tmp_path / "absent", tmp_path])
    assert [len(said) for said in answers] == [1, 1, 1]
    assert other.asked == []


def test_only_the_doubtful_of_a_batch_are_asked_about(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    (tmp_path / "b.csv").write_bytes(b"a,b\n1,2\n")
    (tmp_path / "c.txt").write_bytes(GBK)
    (tmp_path / "d").write_bytes(random.Random(9).randbytes(500))
    files = sorted(tmp_path.iterdir())
    answers = open_identifier("siegfried").identify(files)
    assert [[one.tool.split()[0] for one in said] for said in answers] == [
        ["siegfried"], ["siegfried", "fido"], ["siegfried"], ["siegfried", "fido"],
    ]  # fmt: skip
    assert [strength(said[0]) for said in answers] == [BY_CONTENT, BY_NAME, BY_CONTENT, UNKNOWN]


@pytest.mark.parametrize(
    ("identifier", "tools"),
    [
        (open_identifier("siegfried", second_opinion=False), ["siegfried"]),
        (open_identifier("fido"), ["fido"]),
        (open_identifier("both"), ["siegfried", "fido"]),
        (open_identifier("both", second_opinion=False), ["siegfried", "fido"]),
    ],
    ids=["siegfried alone", "fido alone", "both", "both means both"],
)
def test_who_answers(file: Path, identifier: Identifier, tools: list[str]) -> None:
    [said] = identifier.identify([file])
    assert [one.tool.split()[0] for one in said] == tools
    assert [tool.split()[0] for tool in identifier.tool.split("; ")] == tools


def test_tools_as_agents(file: Path) -> None:
    answers = [one for said in open_identifier("both").identify([file, file]) for one in said]
    siegfried, fido = agents(answers)
    assert (siegfried.name, fido.name) == ("siegfried", "fido")
    assert siegfried.kind == fido.kind == "software"
    assert siegfried.version == f"{answers[0].tool.split()[1]}, {answers[0].signature}"
    assert siegfried.id != fido.id
    assert agents([]) == ()


# Apart


def test_apart_answers_as_in_process(tmp_path: Path, apart: Apart, corpus: tuple[Path, ...]) -> None:
    inside = open_identifier()
    assert apart.identify(corpus) == inside.identify(corpus)
    assert (apart.tool, apart.signature) == (inside.tool, inside.signature)


def test_apart_serves_several_threads(tmp_path: Path, apart: Apart) -> None:
    files = []
    for at in range(24):
        file = tmp_path / f"{at}"
        file.write_bytes(png() if at % 2 else wav())
        files.append(file)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda file: apart.identify([file])[0][0].puid, files))
    assert answers == ["fmt/141", "fmt/11"] * 12


def test_apart_ends_with_its_block_and_may_be_closed_twice() -> None:
    with Apart(second_opinion=False) as apart:
        assert apart.tool.startswith("siegfried ")
    apart.close()


# A stand-in for the library. It dies as the real one does of a panic, without a word, and holds the interpreter's lock
# as the real one does.
LIBRARY = """\
import os, re, tempfile
def identify_many(paths, workers=1):
    for path in paths:
        if 'deadly' in path:
            os._exit(2)
        if 'endless' in path:
            tempfile.mkdtemp()
            open(path, 'w').write(str(os.getpid()))
            re.match('(a*)*b', 'a' * 64)
    match = dict(id='x/1', format='', version='', mime='', basis='byte match at 0, 1', warning='')
    return dict(siegfried='0', signature='none', identifiers=[dict(details='')],
                files=[dict(errors='', matches=[match]) for path in paths])
"""


def busy(file: Path) -> int:
    """The process that looks at an endless file, as soon as one does."""
    while not (text := file.read_text()).isdigit():
        time.sleep(0.01)
    return int(text)


def test_a_file_that_ends_the_tool_costs_its_own_answer_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pygfried.py").write_text(LIBRARY)
    files = [tmp_path / f"{at}{'deadly' if at in (3, 6) else ''}" for at in range(9)]
    for file in files:
        file.write_bytes(b"x")
    monkeypatch.syspath_prepend(tmp_path)
    with Apart(second_opinion=False) as apart:
        answers = apart.identify(files)
        assert [said[0].puid for said in answers] == ["x/1"] * 3 + [None] + ["x/1"] * 2 + [None] + ["x/1"] * 2
        assert "unexpected end" in answers[3][0].warning
        assert apart.identify(files[:1])[0][0].puid == "x/1"


def test_a_file_without_end_costs_its_own_answer_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pygfried.py").write_text(LIBRARY)
    files = [tmp_path / f"{at}{'endless' if at in (3, 16) else ''}" for at in range(17)]
    for file in files:
        file.write_bytes(b"x")
    monkeypatch.syspath_prepend(tmp_path)
    with Apart(second_opinion=False, patience=1) as apart:
        answers = apart.identify(files)
        assert [at for at, said in enumerate(answers) if said[0].puid != "x/1"] == [3, 16]
        for at in (3, 16):
            assert answers[at][0].warning == "the tool did not end on this file"
            assert not _runs(busy(files[at]))


def test_close_waits_for_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (tmp_path / "pygfried.py").write_text(LIBRARY)
    file = tmp_path / "endless"
    file.write_bytes(b"x")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    apart = Apart(second_opinion=False)
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(apart.identify, [file])
        child = busy(file)
        apart.close()
        assert not _runs(child)
        with pytest.raises(ChildProcessError):
            answer.result()
    assert list(scratch.iterdir()) == []
    with pytest.raises(ChildProcessError):
        apart.identify([file])


def test_apart_says_when_it_cannot_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pygfried.py").write_text("raise SystemExit(3)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with Apart() as apart, pytest.raises(ChildProcessError):
        apart.identify([tmp_path / "pygfried.py"])


def test_a_script_needs_no_main_guard(tmp_path: Path) -> None:
    script = tmp_path / "ten_lines.py"
    script.write_text(
        "from pathlib import Path\n"
        "from lantai.formats.apart import Apart\n"
        "with Apart() as apart:\n"
        "    print(apart.identify([Path(__file__)])[0][0].tool.split()[0])\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = subprocess.run([sys.executable, script], capture_output=True, check=True, text=True, env=environment)
    assert (said.stdout, said.stderr) == ("siegfried\n", "")


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for the child under /proc")
def test_a_child_at_work_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    (tmp_path / "pygfried.py").write_text(LIBRARY)
    file = tmp_path / "endless"
    file.write_bytes(b"x")
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from lantai.formats.apart import Apart\n"
        "Apart(second_opinion=False).identify([Path(sys.argv[1])])\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    with subprocess.Popen([sys.executable, "-c", script, file], env=environment) as parent:
        child = busy(file)
        parent.kill()
    for _attempt in range(200):
        if not _runs(child):
            break
        time.sleep(0.05)
    assert not _runs(child)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for the child under /proc")
def test_the_child_does_not_outlive_a_killed_parent() -> None:
    script = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from lantai.formats.apart import Apart\n"
        "apart = Apart()\n"
        "apart.tool\n"
        "print(Path(f'/proc/self/task/{os.getpid()}/children').read_text(), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, text=True, env=environment)
    child = int(said.stdout)
    for _attempt in range(200):
        if not _runs(child):
            break
        time.sleep(0.05)
    assert not _runs(child)


def _runs(process: int) -> bool:
    """A process that has ended and that nobody has asked after is a zombie, Z."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

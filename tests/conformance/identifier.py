"""What every Identifier must do: the judge of formats.Identifier's contract.

An identifier's own test is a subclass with a fixture `identifier`. Files are real ones, made here byte by byte.
"""

from __future__ import annotations

import io
import os
import random
import struct
import wave
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lantai.formats import BY_CONTENT, Identifier, strength
from lantai.model import Format


def png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(6))) + chunk(b"IEND", b"")


def wav(seconds: float = 0.1) -> bytes:
    """Noise, since silence is a pattern of its own."""
    out = io.BytesIO()
    frames = int(44100 * seconds)
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(44100)
        sound.writeframes(random.Random(4).randbytes(2 * frames))
    return out.getvalue()


def pdf(body: bytes = b"") -> bytes:
    return (
        b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n2 0 obj\n"
        b"<</Type/Pages/Kids[]/Count 0>>\nendobj\n" + body + b"xref\n0 1\n0000000000 65535 f \n"
        b"trailer\n<</Root 1 0 R/Size 3>>\nstartxref\n9\n%%EOF\n"
    )


def zipped(content: Mapping[str, str], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, text in content.items():
            archive.writestr(name, text)
    return out.getvalue()


def docx(more: Mapping[str, str] | None = None, padding: int = 0) -> bytes:
    """OPC, ISO/IEC 29500-2. padding: characters before what makes it a docx; more: further parts."""
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    return zipped(
        {
            "[Content_Types].xml": '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<Types xmlns="http://schemas'
            f'.openxmlformats.org/package/2006/content-types">{" " * padding}<Override PartName="/word/document.xml" '
            f'ContentType="{kind}"/></Types>',
            "_rels/.rels": "<Relationships/>",
            "word/document.xml": "<w:document/>",
            **(more or {}),
        }
    )


def odt() -> bytes:
    """OpenDocument 1.2 part 3: the media type comes first and is stored."""
    return zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "content.xml": '<?xml version="1.0" encoding="UTF-8"?>\n<office:document-content '
            'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" office:version="1.2"/>',
            "META-INF/manifest.xml": '<?xml version="1.0" encoding="UTF-8"?>\n<manifest:manifest '
            'xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">\n <manifest:file-entry '
            'manifest:media-type="application/vnd.oasis.opendocument.text" manifest:version="1.2" '
            'manifest:full-path="/"/>\n</manifest:manifest>',
        },
        zipfile.ZIP_STORED,
    )


GBK = "活动照片与会议纪要，第一册。\n".encode("gbk") * 30

Maker = Callable[[str, bytes], Path]


class IdentifierSuite:
    @pytest.fixture
    def make(self, tmp_path: Path) -> Maker:
        def write(name: str, data: bytes) -> Path:
            path = tmp_path / name
            path.write_bytes(data)
            return path

        return write

    @pytest.fixture
    def identifier(self) -> Identifier:
        raise NotImplementedError

    def one(self, identifier: Identifier, file: Path) -> Format:
        [said] = identifier.identify([file])
        return said[0]

    @pytest.mark.parametrize(
        ("name", "data", "puid"),
        [
            ("图.png", png(), "fmt/11"),
            ("声.wav", wav(), "fmt/141"),
            ("通知.pdf", pdf(), "fmt/18"),
            ("方案.docx", docx(), "fmt/412"),
            ("方案.odt", odt(), "fmt/136"),
            ("包.zip", zipped({"a.bin": "bytes"}), "x-fmt/263"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_content_is_recognised_under_any_name(
        self, identifier: Identifier, make: Maker, name: str, data: bytes, puid: str
    ) -> None:
        for name_given in (name, "no extension", "wrong.xyz"):
            said = self.one(identifier, make(name_given, data))
            if name == "方案.odt":
                # The version stands in content.xml, which not every tool opens.
                assert said.name.startswith("OpenDocument Text"), said
            else:
                assert said.puid == puid, said
            assert strength(said) == BY_CONTENT
            assert said.name
            assert said.basis

    def test_every_answer_names_tool_and_signature(self, identifier: Identifier, make: Maker) -> None:
        files = [make("a.png", png()), make("b", b"\x00\x01\x02 nothing known"), make("c", b"")]
        for said in identifier.identify([*files, files[0].with_name("absent")]):
            for one in said:
                assert one.tool
                assert one.tool in identifier.tool.split("; ")
                assert one.signature
                assert one.signature in identifier.signature

    def test_answers_come_in_the_order_asked(self, identifier: Identifier, make: Maker) -> None:
        files = [make(f"{at}.{'png' if at % 3 else 'pdf'}", png() if at % 3 else pdf()) for at in range(40)]
        files[20:20] = [make("leer", b""), Path("/nonexistent/file")]
        random.Random(1).shuffle(files)
        kinds = {".png": "fmt/11", ".pdf": "fmt/18", "": None}
        assert [said[0].puid for said in identifier.identify(files)] == [kinds[file.suffix] for file in files]

    def test_the_same_file_twice_is_answered_twice(self, identifier: Identifier, make: Maker) -> None:
        file = make("a.png", png())
        first, second = identifier.identify([file, file])
        assert first == second

    def test_no_files_no_answers(self, identifier: Identifier) -> None:
        assert identifier.identify([]) == []

    def test_answers_do_not_depend_on_company(self, identifier: Identifier, make: Maker) -> None:
        files = [make("a.png", png()), make("b.csv", b"a,b\n1,2\n"), make("c.docx", docx()), make("d", b"\x07" * 99)]
        together = identifier.identify(files)
        assert together == [identifier.identify([file])[0] for file in files]
        assert together == identifier.identify(files)

    def test_unknown_bytes_are_unknown_with_a_reason(self, identifier: Identifier, make: Maker) -> None:
        [said] = identifier.identify([make("没有扩展名", random.Random(3).randbytes(3000))])
        assert said
        assert all(one.puid is None and one.warning for one in said)

    def test_an_empty_file_says_so(self, identifier: Identifier, make: Maker) -> None:
        for name in ("空", "空.txt", "空.pdf"):
            [said] = identifier.identify([make(name, b"")])
            assert [one.warning.startswith("empty file") for one in said] == [True], said
            assert strength(said[0]) < BY_CONTENT

    def test_text_in_a_chinese_encoding(self, identifier: Identifier, make: Maker) -> None:
        """A tool that knows no text has at least the name to go by."""
        said = self.one(identifier, make("说明.txt", GBK))
        assert said.puid == "x-fmt/111" or "x-fmt/111" in said.warning

    @pytest.mark.parametrize(
        "name",
        [
            "中文 名称.png",
            "😀.png",
            "换\n行.png",
            "-v.png",
            "引'\"号.png",
            " .png",
            "a%0A.png",
            "\x01\x1f\x7f\t.png",
            "\\.png",
            "\u2028\x85.png",
        ],
    )
    def test_any_name(self, identifier: Identifier, make: Maker, name: str) -> None:
        assert self.one(identifier, make(name, png())).puid == "fmt/11"

    @pytest.mark.parametrize("name", [os.fsdecode("照片".encode("gbk") + b".csv"), "\x02.csv"])
    def test_a_name_that_no_text_holds_still_has_its_extension(
        self, identifier: Identifier, make: Maker, name: str
    ) -> None:
        assert self.one(identifier, make(name, b"a,b\n1,2\n")).puid == "x-fmt/18"

    def test_relative_path(self, identifier: Identifier, make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = make("a.png", png()).parent
        monkeypatch.chdir(folder)
        assert self.one(identifier, Path("a.png")).puid == "fmt/11"

    def test_a_link_is_what_it_points_to(self, identifier: Identifier, make: Maker) -> None:
        link = make("a.png", png()).with_name("link.png")
        link.symlink_to("a.png")
        assert self.one(identifier, link).puid == "fmt/11"

    def test_what_is_no_readable_file_spoils_nothing(self, identifier: Identifier, make: Maker) -> None:
        good = make("good.png", png())
        folder = good.parent
        (folder / "folder.png").mkdir()
        (folder / "nowhere.png").symlink_to("absent")
        (folder / "circle.png").symlink_to("circle.png")
        # Whoever opened this one would wait for a writer.
        os.mkfifo(folder / "pipe.png")
        bad = [folder / f"{name}.png" for name in ("absent", "folder", "nowhere", "circle", "pipe", "n\0ul")]
        answers = identifier.identify([good, *bad, good])
        assert answers[0] == answers[-1]
        assert answers[0][0].puid == "fmt/11"
        for said in answers[1:-1]:
            assert [(one.puid, bool(one.warning), one.basis) for one in said] == [(None, True, "")], said

    def test_no_permission(self, identifier: Identifier, make: Maker) -> None:
        file = make("secret.png", png())
        file.chmod(0)
        if os.access(file, os.R_OK):
            pytest.skip("this user may read everything")
        said = self.one(identifier, file)
        assert said.puid is None
        assert said.warning

    def test_broken_containers(self, identifier: Identifier, make: Maker) -> None:
        whole = docx()
        files = [make(f"cut{at}.docx", whole[:at]) for at in range(4, len(whole), 61)]
        files.append(make("ole.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(20) + b"\xfe\xff" + bytes(3000)))
        files.append(make("ole2.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + random.Random(2).randbytes(9000)))
        answers = identifier.identify(files)
        assert len(answers) == len(files)
        assert all(answers)

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        start=st.sampled_from([b"", png(), wav(0.01), pdf(), docx(), odt(), b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", GBK]),
        cut=st.integers(0, 600),
        tail=st.binary(max_size=300),
        name=st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=40),
    )
    def test_no_content_and_no_name_raises(
        self, identifier: Identifier, tmp_path: Path, start: bytes, cut: int, tail: bytes, name: str
    ) -> None:
        file = tmp_path / f"x{name}"
        file.write_bytes(start[:cut] + tail)
        said = identifier.identify([file])
        assert len(said) == 1
        assert said[0]
        assert all(one.puid is None or one.basis for one in said[0])
        assert said == identifier.identify([file])
        file.unlink()

    def test_nothing_is_printed(self, identifier: Identifier, make: Maker, capfd: pytest.CaptureFixture[str]) -> None:
        identifier.identify([make("a", b""), make("b.docx", docx()), make("c.docx", docx()[:200]), Path("/absent")])
        assert capfd.readouterr() == ("", "")

    def test_files_are_left_as_they_are(self, identifier: Identifier, make: Maker) -> None:
        file = make("a.docx", docx())
        file.chmod(0o444)
        before = (file.stat().st_mtime_ns, file.read_bytes(), sorted(file.parent.iterdir()))
        identifier.identify([file])
        assert (file.stat().st_mtime_ns, file.read_bytes(), sorted(file.parent.iterdir())) == before

    def test_real_files(self, identifier: Identifier, corpus: tuple[Path, ...]) -> None:
        """Of sound files with a signature in PRONOM every one is known by content."""
        sound = {".png", ".jpg", ".tif", ".pdf", ".docx", ".odt", ".ods", ".odp", ".xls", ".mov", ".epub", ".mdb"}
        files = [file for file in corpus if file.suffix.lower() in sound and "handbuilt" not in str(file)]
        assert len(files) > 50
        for file, said in zip(files, identifier.identify(files), strict=True):
            assert strength(said[0]) == BY_CONTENT, (file, said)

"""Makes autumn-festival/, the example submission: python examples/make_autumn_festival.py

The records of a county's autumn festival as its organiser would hand them over. County, bodies, people and places are
invented, and the photographs' coordinates lie in the open sea.

Made with these versions, and not tried with others:
  LibreOffice 7.4.7 Writer and Calc   .docx .odt .pdf (PDF/A-2b) .xlsx .ods
  Pillow 13.0 and Noto CJK fonts      .jpg with EXIF, .png, the frames of the film
  espeak-ng 1.51, FFmpeg 5.1.9        .mp3 .wav .mp4
  poppler 22.12 (pdfinfo, pdftotext)  to check what LibreOffice wrote
On Debian 12: apt install libreoffice-writer libreoffice-calc fonts-noto-cjk ffmpeg espeak-ng poppler-utils; pip install
pillow. With these versions every file has the same bytes on each run, except the notice: the colour profile of PDF/A
holds the time of export.

At the end each file is opened by a program that reads its format; what cannot be opened, or does not say what it
should, stops the script.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

from making import office, papers, pictures, recordings, sheet
from making.office import Flat
from making.pictures import Photograph
from making.sheet import Part
from PIL import Image

TARGET = Path(__file__).parent / "autumn-festival"
LIMIT = 3_000_000
CST = timezone(timedelta(hours=8))
FESTIVAL = "云岭县第十二届金秋文化节"
MEDIA_CENTRE = "云岭县融媒体中心"
PHOTOGRAPHER, SOUND = "苏望舒", "陆听澜"


def at(month: int, day: int, hour: int, minute: int, second: int = 0) -> datetime:
    return datetime(2021, month, day, hour, minute, second, tzinfo=CST)


def paper(write: Callable[[datetime], Flat], made: datetime) -> Callable[[Path], None]:
    return lambda path: office.convert(write(made), path)


def photograph(
    name: str,
    number: int,
    photo: Photograph,
    made: datetime,
    title: str,
    place: str,
    subjects: tuple[str, ...],
    persons: str = "",
) -> Part:
    return Part(
        f"02_活动/照片/{name}.jpg",
        "件",
        title,
        made.date().isoformat(),
        photo.caption,
        MEDIA_CENTRE,
        f"Z109-ZP·2021-Y-{number:04}",
        "",
        subjects,
        persons,
        place,
        PHOTOGRAPHER,
        made,
        lambda path: photo.save(path, PHOTOGRAPHER, made),
    )


def document(
    path: str,
    number: int,
    title: str,
    made: datetime,
    make: Callable[[Path], None],
    description: str,
    subjects: tuple[str, ...],
    *,
    date: str = "",
    creator: str = sheet.OFFICE,
    issue: str = "",
    persons: str = "",
) -> Part:
    return Part(
        path,
        "件",
        title,
        date or made.date().isoformat(),
        description,
        creator,
        f"Z109-WS·2021-Y-BGS-{number:04}",
        issue,
        subjects,
        persons,
        made=made,
        make=make,
    )


def parts() -> list[Part]:
    """The whole, then the parts in the order of their paths' phases."""
    notice = "关于举办云岭县第十二届金秋文化节的通知"
    spoken = {"title": "开幕式致辞", "artist": "沈怀远", "date": "2021-10-15"}
    played = {"title": "云岭金秋（民乐合奏）", "artist": "云岭县民乐团", "date": "2021-10-15"}
    filmed = {"title": "点灯仪式", "artist": MEDIA_CENTRE, "date": "2021-10-15"}
    return [
        Part(
            "",
            "系列",
            f"{FESTIVAL}档案",
            "2021-08-30/2021-10-29",
            "2021年10月15日至17日在云岭县举办的第十二届金秋文化节在筹备、活动、总结三个阶段形成的文件、照片、录音和录像。",
            subjects=("文化节", "重大活动"),
            place="云岭县",
        ),
        Part("01_筹备", "子系列", f"{FESTIVAL}筹备工作材料", "2021-08-30/2021-10-08", "方案、通知、预算、名单和海报。"),
        document(
            "01_筹备/第十二届金秋文化节活动方案.docx",
            1,
            f"{FESTIVAL}活动方案",
            at(8, 30, 16, 20),
            paper(papers.plan, at(8, 30, 16, 20)),
            "活动主题、组织机构、活动安排、职责分工和档案收集要求。",
            ("文化节", "方案"),
            date="2021年8月30日",
            persons="沈怀远、顾明川、叶知秋",
        ),
        document(
            "01_筹备/关于举办第十二届金秋文化节的通知（云文旅〔2021〕5号）.pdf",
            2,
            notice,
            at(9, 6, 9, 30),
            paper(papers.notice, at(9, 6, 9, 30)),
            "通知活动的时间、地点、内容和有关要求。",
            ("文化节", "通知"),
            date="2021年9月6日",
            issue="云文旅〔2021〕5号",
        ),
        document(
            "01_筹备/经费预算表.ods",
            3,
            f"{FESTIVAL}经费预算表",
            at(9, 3, 14, 50),
            paper(papers.budget, at(9, 3, 14, 50)),
            "活动各项支出的预算。",
            ("文化节", "经费"),
        ),
        document(
            "01_筹备/嘉宾名单.xlsx",
            4,
            f"{FESTIVAL}嘉宾名单",
            at(10, 8, 10, 15),
            paper(papers.guests, at(10, 8, 10, 15)),
            "嘉宾的姓名、单位、职务和事项，附日程。",
            ("文化节", "名单"),
        ),
        document(
            "01_筹备/海报.png",
            5,
            f"{FESTIVAL}海报",
            at(9, 20, 11, 0),
            pictures.poster,
            "张贴于各乡镇的宣传海报。",
            ("文化节", "海报"),
        ),
        Part(
            "02_活动",
            "子系列",
            f"{FESTIVAL}活动材料",
            "2021-10-15/2021-10-17",
            "活动期间形成的文件、照片、录音和录像。",
        ),
        document(
            "02_活动/开幕式节目单.txt",
            6,
            "开幕式暨民乐晚会节目单",
            at(10, 14, 18, 30),
            papers.programme,
            "10月15日开幕式暨民乐晚会的节目次序。",
            ("开幕式", "节目单"),
        ),
        document(
            "02_活动/开幕式致辞.odt",
            7,
            f"在{FESTIVAL}开幕式上的致辞",
            at(10, 14, 21, 5),
            paper(papers.speech, at(10, 14, 21, 5)),
            "副县长沈怀远在开幕式上的致辞稿。",
            ("开幕式", "致辞"),
            date="2021-10-15",
            creator="沈怀远",
            persons="沈怀远",
        ),
        Part(
            "02_活动/照片",
            "案卷",
            f"{FESTIVAL}照片",
            "2021-10-15/2021-10-17",
            "开幕式、灯会、非遗展示和丰收巡游的照片。",
            MEDIA_CENTRE,
            recorder=PHOTOGRAPHER,
        ),
        photograph(
            "20211015_开幕式",
            1,
            Photograph(
                pictures.opening, "演员在云岭广场开幕式上表演，台下为观众。", (28.512, 125.401), (1, 60), (28, 10), 3200
            ),
            at(10, 15, 19, 42, 7),
            "开幕式演出",
            "云岭广场",
            ("开幕式", "民乐"),
        ),
        photograph(
            "20211016_剪纸",
            2,
            Photograph(
                pictures.paper_cut,
                "云岭剪纸代表性传承人何松年的作品《丰》。",
                (28.515, 125.408),
                (1, 125),
                (40, 10),
                400,
            ),
            at(10, 16, 10, 18, 33),
            "非遗展示：云岭剪纸",
            "老街展厅",
            ("非物质文化遗产", "剪纸"),
            "何松年",
        ),
        photograph(
            "20211016_灯谜",
            3,
            Photograph(pictures.riddles, "云水河滨灯会上的花灯和灯谜。", (28.509, 125.413), (1, 50), (20, 10), 2500),
            at(10, 16, 20, 5, 51),
            "灯会与灯谜",
            "云水河滨",
            ("灯会", "灯谜"),
        ),
        photograph(
            "20211017_丰收巡游",
            4,
            Photograph(pictures.parade, "青禾乡龙灯队在梯田前舞龙。", (28.547, 125.372), (1, 500), (56, 10), 200),
            at(10, 17, 9, 56, 12),
            "丰收巡游：青禾龙灯",
            "青禾乡梯田",
            ("丰收巡游", "舞龙"),
        ),
        Part(
            "02_活动/录音/开幕式致辞.mp3",
            "件",
            "沈怀远在开幕式上的致辞录音",
            "2021-10-15",
            "致辞的现场录音（节录）。",
            MEDIA_CENTRE,
            "Z109-LY·2021-Y-0001",
            "",
            ("开幕式", "致辞"),
            "沈怀远",
            "云岭广场",
            SOUND,
            at(10, 15, 19, 36),
            lambda path: recordings.spoken(path, [*papers.SPEECH[:2], papers.SPEECH[3]], spoken),
        ),
        Part(
            "02_活动/录音/民乐合奏《云岭金秋》.wav",
            "件",
            "民乐合奏《云岭金秋》录音",
            "2021-10-15",
            "县民乐团演奏的开场曲（片段）。",
            MEDIA_CENTRE,
            "Z109-LY·2021-Y-0002",
            "",
            ("开幕式", "民乐"),
            "白露晨",
            "云岭广场",
            SOUND,
            at(10, 15, 19, 12),
            lambda path: recordings.music(path, played),
        ),
        Part(
            "02_活动/录像/点灯仪式.mp4",
            "件",
            "点灯仪式录像",
            "2021-10-15",
            "开幕式结束时的点灯仪式（片段）。",
            MEDIA_CENTRE,
            "Z109-LX·2021-Y-0001",
            "",
            ("开幕式", "花灯"),
            "",
            "云岭广场",
            SOUND,
            at(10, 15, 20, 24),
            lambda path: recordings.film(path, filmed, at(10, 15, 20, 24)),
        ),
        Part("03_总结", "子系列", f"{FESTIVAL}总结材料", "2021-10-29", "活动结束后形成的总结。"),
        document(
            "03_总结/第十二届金秋文化节工作总结.docx",
            8,
            f"{FESTIVAL}工作总结",
            at(10, 29, 17, 40),
            paper(papers.summary, at(10, 29, 17, 40)),
            "活动的基本情况、主要做法、存在的问题和下一步打算。",
            ("文化节", "总结"),
            creator="云岭县文化和旅游局办公室",
        ),
    ]


def pages(path: Path) -> int:
    """Open an office document or PDF, look for the festival's name in it, and count its pages."""
    with tempfile.TemporaryDirectory() as scratch:
        pdf = path if path.suffix == ".pdf" else office.run_office(path, "pdf", Path(scratch))
        words = subprocess.run(["pdftotext", str(pdf), "-"], capture_output=True, text=True, check=True).stdout
        if "第十二届金秋文化节" not in "".join(words.split()) or "Err:" in words:
            raise ValueError(f"{path} does not show what it should: {words[:200]}")
        facts = subprocess.run(["pdfinfo", str(pdf)], capture_output=True, text=True, check=True).stdout
    return int(facts.split("Pages:")[1].split()[0])


def look(path: Path, part: Part) -> tuple[str, str]:
    """Open a file as its format asks: its amount and, of sound and film, its duration. Raises where that fails."""
    match path.suffix:
        case ".docx" | ".odt" | ".pdf" | ".xlsx" | ".ods":
            return f"{pages(path)} 页", ""
        case ".jpg" | ".png":
            with Image.open(path) as image:
                image.verify()
            with Image.open(path) as image:
                image.load()
                described = image.getexif().get(0x010E, part.description)
            if described not in (part.description, part.description.encode().decode("latin-1")):
                raise ValueError(f"{path} is described as {described!r}")
            return "1 张", ""
        case ".mp3" | ".wav" | ".mp4":
            subprocess.run(["ffmpeg", "-v", "error", "-xerror", "-i", str(path), "-f", "null", "-"], check=True)
            return "1 件", str(timedelta(seconds=round(recordings.length(path)))).zfill(8)
        case ".txt":
            path.read_text("utf-8-sig")
            return "1 页", ""
        case other:
            raise ValueError(f"no program is known that reads {other}")


def main() -> None:
    shutil.rmtree(TARGET, ignore_errors=True)
    described = parts()
    for part in described:
        if part.make is not None and part.made is not None:
            path = TARGET / part.path
            path.parent.mkdir(parents=True, exist_ok=True)
            part.make(path)
            os.utime(path, (part.made.timestamp(), part.made.timestamp()))
    amounts = {part.path: look(TARGET / part.path, part) for part in described if part.make is not None}
    rows = []
    for part in described:
        below = sum(path.startswith(f"{part.path}/" if part.path else "") for path in amounts)
        rows.append(part.row(*amounts.get(part.path, (f"{below} 件", ""))))
    sheet.write(TARGET / "metadata.csv", rows)
    handed_over = at(12, 10, 15, 0).timestamp()
    os.utime(TARGET / "metadata.csv", (handed_over, handed_over))
    files = [path for path in TARGET.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    if size > LIMIT:
        raise ValueError(f"{size} bytes are more than {LIMIT}")
    sys.stdout.write(f"{TARGET}: {len(files)} files, {size} bytes\n")


if __name__ == "__main__":
    main()

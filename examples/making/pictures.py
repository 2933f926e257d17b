"""Photographs with EXIF, and the poster. What they show is painted; what is written in them is what a camera writes."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from PIL import ExifTags, Image, ImageDraw, ImageFilter
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import IFDRational

from .canvas import Colour, beam, bokeh, crowd, developed, figure, font, glow, gradient, lantern, mix, ridge

SIZE = (1440, 960)
LARGE = (SIZE[0] * 2, SIZE[1] * 2)
GOLD: Colour = (246, 205, 110)


def opening() -> Image.Image:
    """The stage on the first night, over the heads of the audience."""
    width, height = LARGE
    image = gradient(LARGE, [(0, (10, 14, 40)), (0.45, (38, 28, 66)), (0.75, (70, 30, 40)), (1, (16, 10, 14))])
    ridge(image, height * 0.42, 110, (14, 16, 34), 4)
    wall = (width * 0.17, height * 0.2, width * 0.83, height * 0.62)
    screen = (int(wall[2] - wall[0]), int(wall[3] - wall[1]))
    panel = gradient(screen, [(0, (150, 14, 20)), (0.6, (206, 36, 30)), (1, (240, 110, 50))])
    draw = ImageDraw.Draw(panel)
    middle = panel.width / 2
    for ring in range(16):
        r = 130 + ring * 76
        draw.ellipse([middle - r, panel.height - r, middle + r, panel.height + r], outline=(226, 78, 40), width=4)
    draw.text((middle, panel.height * 0.34), "第十二届金秋文化节", font=font(168), fill=GOLD, anchor="mm")
    draw.text((middle, panel.height * 0.6), "金秋云岭　文脉相承", font=font(76), fill=(255, 232, 190), anchor="mm")
    image.paste(panel, (int(wall[0]), int(wall[1])))
    glow(image, (width / 2, height * 0.45), width * 0.5, (255, 110, 60), 0.5)
    draw = ImageDraw.Draw(image)
    for x in (wall[0] - 46, wall[2]):
        draw.rectangle([x, wall[1] - 70, x + 46, height * 0.66], fill=(28, 26, 34))
    draw.rectangle([wall[0] - 46, wall[1] - 70, wall[2] + 46, wall[1] - 34], fill=(28, 26, 34))
    floor = [(width * x, height * y) for x, y in ((0.1, 0.7), (0.17, 0.61), (0.83, 0.61), (0.9, 0.7))]
    draw.polygon(floor, fill=(120, 62, 44))
    draw.rectangle([width * 0.1, height * 0.7, width * 0.9, height * 0.78], fill=(74, 14, 18))
    robes: tuple[Colour, ...] = ((236, 236, 240), (214, 44, 60), (240, 178, 70), (52, 132, 128))
    for number in range(13):
        x = width * (0.23 + 0.045 * number)
        y = height * (0.665 + 0.012 * math.sin(number))
        figure(draw, (x, y), 250 + 14 * math.cos(number), robes[number % 4], arms=0.5 + 0.5 * math.sin(number * 1.3))
    for source, tint in ((0.24, (70, 62, 24)), (0.42, (64, 40, 40)), (0.58, (44, 44, 70)), (0.76, (70, 62, 24))):
        foot = width * (0.5 + (source - 0.5) * 0.6)
        beam(image, (width * source, wall[1] - 40), (foot - 170, height * 0.68), (foot + 170, height * 0.68), tint, 18)
    for number in range(14):
        x = width * (number + 0.5) / 14
        lantern(image, (x, height * (0.05 + 0.05 * math.sin(math.pi * (x / width)))), 46)
    crowd(image, height * 0.83, 4, 74, 7, (58, 32, 38))
    draw = ImageDraw.Draw(image)
    for x in (0.21, 0.56, 0.73):
        box = [width * x, height * 0.79, width * x + 62, height * 0.79 + 104]
        draw.rounded_rectangle(box, 10, fill=(20, 20, 24))
        draw.rectangle([box[0] + 7, box[1] + 10, box[2] - 7, box[3] - 12], fill=(222, 120, 92))
    return developed(image, SIZE, 1)


def riddles() -> Image.Image:
    """Lanterns with riddles on the river bank."""
    width, height = LARGE
    image = gradient(LARGE, [(0, (12, 16, 38)), (0.55, (40, 30, 52)), (1, (14, 10, 18))])
    ridge(image, height * 0.5, 90, (16, 16, 30), 11)
    bokeh(image, 130, 3, height * 0.4, height * 0.72)
    bokeh(image, 50, 5, height * 0.74, height * 0.98)
    far = random.Random(8)
    for number in range(9):
        lantern(image, (width * (number + 0.5) / 9, height * far.uniform(0.13, 0.3)), 84, lit=0.8)
    image = image.filter(ImageFilter.GaussianBlur(9))
    for x, y, r, word in ((0.2, 0.36, 220, "福"), (0.52, 0.29, 250, "秋"), (0.83, 0.38, 210, "丰")):
        lantern(image, (width * x, height * y), r, word=word)
    slips = ((0.2, "千里相逢", "打一字"), (0.52, "半部春秋", "打一字"), (0.83, "七十二小时", "打一字"))
    for (x, riddle, hint), top in zip(slips, (0.6, 0.56, 0.61), strict=True):
        slip = gradient((190, 660), [(0, (236, 120, 74)), (0.5, (214, 62, 48)), (1, (150, 30, 32))])
        draw = ImageDraw.Draw(slip)
        draw.rectangle([10, 10, 179, 649], outline=GOLD, width=3)
        draw.text((110, 40), "\n".join(riddle), font=font(64), fill=(40, 14, 10), anchor="ma", spacing=4)
        draw.text((46, 440), "\n".join(hint), font=font(34), fill=(60, 20, 14), anchor="ma", spacing=4)
        turned = slip.convert("RGBA").rotate((x - 0.5) * 9, expand=True, resample=Image.Resampling.BICUBIC)
        image.paste(turned, (int(width * x - turned.width / 2), int(height * top)), turned)
    return developed(image, SIZE, 2)


def paper_cut() -> Image.Image:
    """A paper-cut on a table of the exhibition, with its card."""
    width, height = LARGE
    image = gradient(LARGE, [(0, (120, 82, 54)), (1, (92, 58, 36))])
    draw = ImageDraw.Draw(image)
    chance = random.Random(21)
    for y in range(0, height, 6):
        tone = mix((84, 52, 32), (142, 100, 66), chance.random())
        draw.line([(0, y), (width, y + chance.uniform(-26, 26))], fill=tone, width=5)
    image = image.filter(ImageFilter.GaussianBlur(3))
    sheet = (int(width * 0.12), int(height * 0.08), int(width * 0.66), int(height * 0.92))
    shadow = Image.new("L", LARGE)
    ImageDraw.Draw(shadow).rectangle([sheet[0] + 30, sheet[1] + 36, sheet[2] + 34, sheet[3] + 40], fill=150)
    image.paste((20, 12, 8), (0, 0), shadow.filter(ImageFilter.GaussianBlur(26)))
    draw = ImageDraw.Draw(image)
    draw.rectangle(sheet, fill=(244, 238, 224))
    centre = ((sheet[0] + sheet[2]) / 2, (sheet[1] + sheet[3]) / 2)
    reach = (sheet[2] - sheet[0]) * 0.44

    def around(radius: float, degrees: float) -> tuple[float, float]:
        turn = math.radians(degrees)
        return centre[0] + radius * math.cos(turn), centre[1] + radius * math.sin(turn)

    def lozenge(degrees: float, inner: float, outer: float, half: float, colour: Colour) -> None:
        middle = (inner + outer) / 2
        corners = ((outer, 0.0), (middle, half), (inner, 0.0), (middle, -half))
        draw.polygon([around(reach * radius, degrees + aside) for radius, aside in corners], fill=colour)

    def disc(point: tuple[float, float], r: float, colour: Colour) -> None:
        draw.ellipse([point[0] - r, point[1] - r, point[0] + r, point[1] + r], fill=colour)

    red, white = (196, 22, 28), (244, 238, 224)
    scallops = [around(reach * (1 + 0.05 * math.cos(math.radians(d * 24))), d) for d in range(360)]
    draw.polygon(scallops, fill=red)
    for part in range(12):
        turn = part * 30
        lozenge(turn, 0.56, 0.9, 9, white)
        lozenge(turn, 0.62, 0.84, 5, red)
        for d in (-11, 11):
            disc(around(reach * 0.88, turn + d), reach * 0.035, white)
        lozenge(turn + 15, 0.4, 0.66, 8, white)
    disc(centre, reach * 0.37, white)
    disc(centre, reach * 0.34, red)
    draw.text(centre, "丰", font=font(reach * 0.5), fill=white, anchor="mm")
    card = [width * 0.71, height * 0.56, width * 0.95, height * 0.83]
    draw.rectangle([card[0] + 14, card[1] + 16, card[2] + 14, card[3] + 16], fill=(58, 36, 24))
    draw.rectangle(card, fill=(250, 247, 240), outline=(170, 30, 30), width=6)
    for line, (words, size) in enumerate((("云岭剪纸", 104), ("《丰》　直径四十厘米", 46), ("传承人：何松年", 54))):
        place = ((card[0] + card[2]) / 2, card[1] + 110 + line * 142)
        draw.text(place, words, font=font(size), fill=(60, 24, 20), anchor="mm")
    handles = ((width * 0.79, height * 0.42), (width * 0.86, height * 0.43))
    for handle, tip in zip(handles, ((width * 0.88, height * 0.14), (width * 0.78, height * 0.14)), strict=True):
        draw.line([handle, tip], fill=(176, 180, 188), width=22)
        draw.ellipse([handle[0] - 66, handle[1] - 40, handle[0] + 66, handle[1] + 100], outline=(34, 34, 40), width=22)
    glow(image, (width * 0.25, height * 0.1), width * 0.7, (255, 236, 200), 0.35)
    return developed(image, SIZE, 3)


def parade() -> Image.Image:
    """The dragon dance before the terraced fields."""
    width, height = LARGE
    image = gradient(LARGE, [(0, (96, 148, 196)), (0.3, (188, 208, 214)), (0.45, (250, 222, 170)), (1, (210, 170, 80))])
    glow(image, (width * 0.76, height * 0.24), width * 0.3, (255, 236, 190), 0.9)
    for layer in range(4):
        colour = mix((166, 186, 196), (92, 116, 84), layer / 3)
        ridge(image, height * (0.3 + 0.05 * layer), 100 - 12 * layer, colour, 30 + layer)
    for step in range(13):
        far, near = (((150, 158, 76), (196, 128, 34)), ((206, 186, 92), (232, 166, 40)))[step % 2]
        colour = mix(far, near, step / 12)
        base = height * (0.46 + 0.034 * step + 0.0006 * step * step)
        ridge(image, base, 26 + 2 * step, mix(colour, (70, 70, 30), 0.35), 60 + step // 2)
        ridge(image, base + 10, 26 + 2 * step, colour, 60 + step // 2)
    image = image.filter(ImageFilter.GaussianBlur(4))
    draw = ImageDraw.Draw(image)
    draw.polygon([(0, height * 0.9), (width, height * 0.84), (width, height), (0, height)], fill=(150, 116, 70))
    spine = [
        (width * (0.1 + 0.68 * t / 170), height * (0.5 + 0.075 * math.sin(t / 170 * 4.4 * math.pi) - 0.05 * t / 170))
        for t in range(171)
    ]
    for number in range(9):
        x, y = spine[10 + number * 19]
        foot = height * (0.93 - 0.04 * x / width)
        draw.line([(x, y), (x + 26, foot - 190)], fill=(110, 70, 36), width=15)
        draw.ellipse([x - 80, foot - 14, x + 110, foot + 20], fill=(104, 80, 50))
        figure(draw, (x + 10, foot), 430, ((228, 176, 44), (206, 40, 36))[number % 2], arms=0.7)
    for t, (x, y) in enumerate(spine):
        r = 66 * min(1, 0.25 + t / 50)
        draw.ellipse([x - r, y - r, x + r, y + r], fill=(200, 34, 30) if t % 6 else (246, 190, 60))
        draw.polygon([(x - 22, y - r + 6), (x - 6, y - r - 40), (x + 14, y - r + 6)], fill=(250, 206, 84))
    x, y = spine[-1]
    skull = ((-40, -96), (190, -66), (246, 4), (40, 10), (-60, 70))
    draw.polygon([(x + right, y + down) for right, down in skull], fill=(206, 36, 30))
    draw.polygon([(x - 20, y + 40), (x + 60, y + 20), (x + 210, y + 48), (x + 60, y + 104)], fill=(172, 24, 26))
    for horn in (((10, -84), (-60, -210), (-130, -230)), ((60, -84), (0, -210), (-60, -230))):
        draw.line([(x + right, y + down) for right, down in horn], fill=(250, 206, 84), width=18)
    draw.ellipse([x + 50, y - 74, x + 108, y - 16], fill=(255, 250, 230))
    draw.ellipse([x + 70, y - 60, x + 98, y - 32], fill=(20, 16, 16))
    pearl = (x + 380, y - 30)
    glow(image, pearl, 190, (255, 230, 150), 0.9)
    draw = ImageDraw.Draw(image)
    draw.ellipse([pearl[0] - 52, pearl[1] - 52, pearl[0] + 52, pearl[1] + 52], fill=(252, 226, 140))
    draw.line([(pearl[0], pearl[1] + 52), (pearl[0] + 26, height * 0.78)], fill=(110, 70, 36), width=15)
    figure(draw, (pearl[0] + 30, height * 0.9), 430, (40, 110, 110), arms=0.7)
    return developed(image, SIZE, 4, grain=0.025)


@dataclass(frozen=True, slots=True)
class Photograph:
    """place: degrees north and east."""

    paint: Callable[[], Image.Image]
    caption: str
    place: tuple[float, float]
    seconds: tuple[int, int]
    aperture: tuple[int, int]
    iso: int

    def save(self, path: Path, artist: str, taken: datetime) -> None:
        """JPEG with EXIF 2.31, taken in China Standard Time.

        Its Chinese is UTF-8, as picture programs write it where the standard lays down ASCII.
        """
        exif = Image.Exif()
        base, photo, gps = ExifTags.Base, exif.get_ifd(ExifTags.IFD.Exif), exif.get_ifd(ExifTags.IFD.GPSInfo)
        when = taken.strftime("%Y:%m:%d %H:%M:%S")
        exif[base.ImageDescription] = self.caption.encode()
        exif[base.Artist] = artist.encode()
        exif[base.Make], exif[base.Model], exif[base.Software] = "Example", "EX-1", "Pillow"
        exif[base.DateTime], exif[base.Orientation] = when, 1
        photo.update(
            {
                base.DateTimeOriginal: when,
                base.DateTimeDigitized: when,
                base.OffsetTimeOriginal: "+08:00",
                base.ExposureTime: IFDRational(*self.seconds),
                base.FNumber: IFDRational(*self.aperture),
                base.ISOSpeedRatings: self.iso,
                base.ExifVersion: b"0231",
            }
        )
        north, east = self.place
        gps.update(
            {
                ExifTags.GPS.GPSVersionID: bytes((2, 3, 0, 0)),
                ExifTags.GPS.GPSLatitudeRef: "N",
                ExifTags.GPS.GPSLatitude: _sexagesimal(north),
                ExifTags.GPS.GPSLongitudeRef: "E",
                ExifTags.GPS.GPSLongitude: _sexagesimal(east),
            }
        )
        self.paint().save(path, "JPEG", quality=84, optimize=True, exif=exif, dpi=(300, 300))


def _sexagesimal(degrees: float) -> tuple[IFDRational, IFDRational, IFDRational]:
    hundredths = round(degrees * 360000)
    return (
        IFDRational(hundredths // 360000, 1),
        IFDRational(hundredths // 6000 % 60, 1),
        IFDRational(hundredths % 6000, 100),
    )


def poster(path: Path) -> None:
    """A PNG of 128 colours with its title and author as text chunks."""
    width, height = 1800, 2520
    dusk = [(0.0, (150, 14, 22)), (0.55, (204, 44, 32)), (0.8, (240, 140, 60)), (1.0, (250, 206, 120))]
    image = gradient((width, height), dusk)
    draw = ImageDraw.Draw(image)
    draw.ellipse([width * 0.2, height * 0.42, width * 0.8, height * 0.42 + width * 0.6], fill=(252, 222, 150))
    for layer in range(4):
        colour = mix((226, 120, 60), (112, 20, 26), layer / 3)
        ridge(image, height * (0.7 + 0.06 * layer), 130 - 18 * layer, colour, 80 + layer)
    for x, y, r in ((0.14, 0.1, 130), (0.86, 0.12, 120), (0.3, 0.06, 70), (0.7, 0.055, 76)):
        lantern(image, (width * x, height * y), r, lit=0.9)
    draw = ImageDraw.Draw(image)
    for y, words, size, colour in (
        (0.2, "云岭县第十二届", 130, (255, 236, 200)),
        (0.31, "金秋文化节", 300, GOLD),
        (0.6, "金秋云岭　文脉相承", 104, (150, 24, 24)),
        (0.88, "2021年10月15日—17日", 96, (255, 236, 200)),
        (0.925, "云岭广场　老街展厅　云水河滨　青禾乡梯田", 62, (255, 226, 180)),
        (0.96, "主办：云岭县人民政府　承办：云岭县文化和旅游局", 54, (250, 206, 150)),
    ):
        draw.text((width / 2, height * y), words, font=font(size), fill=colour, anchor="mm")
    about = PngInfo()
    about.add_itxt("Title", "云岭县第十二届金秋文化节海报", lang="zh-CN")
    about.add_itxt("Author", "云岭县文化和旅游局", lang="zh-CN")
    small = image.resize((900, 1260), Image.Resampling.LANCZOS).quantize(128)
    small.save(path, "PNG", optimize=True, pnginfo=about, dpi=(150, 150))

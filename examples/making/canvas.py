"""What the pictures are painted with: gradients, glows, lanterns, figures, grain. All is drawn larger and reduced."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

Colour = tuple[int, int, int]
Point = tuple[float, float]

SERIF = Path("/usr/share/fonts/opentype/noto/NotoSerifCJK-Bold.ttc")
SANS = Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Bold.ttc")
SIMPLIFIED = 2
"""The face of simplified Chinese in both collections."""


def font(size: float, path: Path = SERIF) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(path), int(size), index=SIMPLIFIED)


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """share of other, the rest of one."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def gradient(size: tuple[int, int], stops: Sequence[tuple[float, Colour]]) -> Image.Image:
    """From top to bottom; stops are (share of the height, colour), the first at 0, the last at 1."""
    height = size[1]
    column = Image.new("RGB", (1, height))
    for y in range(height):
        at = y / (height - 1)
        (low, above), (high, below) = next(pair for pair in pairwise(stops) if at <= pair[1][0])
        column.putpixel((0, y), mix(above, below, (at - low) / (high - low)))
    return column.resize(size)


def glow(image: Image.Image, centre: Point, radius: float, colour: Colour, strength: float = 1.0) -> None:
    """Light added around a point, nothing at radius."""
    side = int(radius * 2)
    # Pillow's gradient is 255 in the corners, and 180 where the circle touches the edges.
    fall = [max(0.0, 1 - v / 180) ** 2 * strength for v in range(256)]
    distance = Image.radial_gradient("L").resize((side, side))
    light = Image.merge("RGB", [distance.point([round(share * c) for share in fall]) for c in colour])
    box = (int(centre[0] - radius), int(centre[1] - radius))
    patch = image.crop((*box, box[0] + side, box[1] + side))
    image.paste(ImageChops.screen(patch, light), box)


def beam(image: Image.Image, source: Point, left: Point, right: Point, colour: Colour, blur: float) -> None:
    """A spotlight's cone."""
    light = Image.new("RGB", image.size)
    ImageDraw.Draw(light).polygon([source, left, right], fill=colour)
    image.paste(ImageChops.screen(image, light.filter(ImageFilter.GaussianBlur(blur))))


def lantern(image: Image.Image, centre: Point, radius: float, *, lit: float = 1.0, word: str = "") -> None:
    """A red lantern with gold rims, ribs and a tassel; lit: how bright it is, 0 to 1."""
    x, y = centre
    glow(image, centre, radius * 3.2, (255, 120, 50), 0.75 * lit)
    draw = ImageDraw.Draw(image)
    gold = mix((90, 60, 20), (245, 196, 92), 0.4 + 0.6 * lit)
    high = radius * 0.82
    draw.line([(x, y - radius * 1.6), (x, y - high)], fill=(60, 30, 20), width=max(1, int(radius / 22)))
    for share in range(24):
        # From the rim inwards, brighter and a little higher, for the light stands inside.
        s = share / 23
        colour = mix(mix((70, 8, 8), (176, 16, 18), lit), mix((150, 20, 16), (255, 128, 62), lit), s**1.5)
        w, h = radius * (1 - 0.75 * s), high * (1 - 0.75 * s)
        draw.ellipse([x - w, y - h - radius * 0.04 * s, x + w, y + h - radius * 0.04 * s], fill=colour)
    rib = mix((60, 6, 6), (200, 40, 26), lit)
    for wide in (0.25, 0.55, 0.82):
        box = [x - radius * wide, y - high, x + radius * wide, y + high]
        draw.ellipse(box, outline=rib, width=max(1, int(radius / 40)))
    for end in (y - high, y + high):
        draw.rectangle([x - radius * 0.38, end - radius * 0.09, x + radius * 0.38, end + radius * 0.09], fill=gold)
    for strand in range(-4, 5):
        top = (x + strand * radius * 0.05, y + high + radius * 0.1)
        tip = (x + strand * radius * 0.075, y + high + radius * 0.95)
        draw.line([top, tip], fill=gold, width=max(1, int(radius / 28)))
    if word:
        draw.text((x, y), word, font=font(radius * 0.8), fill=gold, anchor="mm")


def figure(draw: ImageDraw.ImageDraw, foot: Point, height: float, colour: Colour, arms: float = 0.0) -> None:
    """A person in a robe from afar; arms: how high they are raised, 0 to 1."""
    x, y = foot
    head = height * 0.085
    draw.polygon(
        [
            (x - height * 0.17, y),
            (x - height * 0.085, y - height * 0.79),
            (x + height * 0.085, y - height * 0.79),
            (x + height * 0.17, y),
        ],
        fill=colour,
    )
    draw.ellipse([x - head, y - height, x + head, y - height + 2.3 * head], fill=(232, 192, 156))
    draw.chord([x - head, y - height * 1.01, x + head, y - height * 0.87], 180, 360, fill=(24, 18, 18))
    for side in (-1, 1):
        hand = (x + side * height * 0.27, y - height * (0.48 + 0.5 * arms))
        draw.line([(x + side * height * 0.07, y - height * 0.74), hand], fill=colour, width=int(height * 0.07))


def crowd(image: Image.Image, top: float, rows: int, size: float, seed: int, colour: Colour) -> None:
    """Heads and shoulders seen from behind, nearer rows larger and darker."""
    chance = random.Random(seed)
    draw = ImageDraw.Draw(image)
    for row in range(rows):
        r = size * (0.6 + 0.5 * row / max(1, rows - 1))
        y = top + row * size * 1.5
        shade = mix(colour, (6, 5, 10), row / rows)
        x = -r * chance.random() * 2
        while x < image.width + r:
            dy = chance.uniform(-0.35, 0.35) * r
            draw.ellipse([x - r * 0.5, y + dy - r * 0.62, x + r * 0.5, y + dy + r * 0.62], fill=shade)
            draw.rounded_rectangle([x - r * 1.1, y + dy + r * 0.55, x + r * 1.1, y + dy + r * 6], r * 0.7, fill=shade)
            x += r * chance.uniform(2.0, 2.7)


def ridge(image: Image.Image, base: float, swing: float, colour: Colour, seed: int) -> None:
    """A line of hills across the picture."""
    chance = random.Random(seed)
    waves = [(chance.uniform(0.6, 1.2) * n, chance.uniform(0, math.tau), 1 / n) for n in (1, 2, 3, 5, 9, 17)]

    def height(x: int) -> float:
        across = x / image.width * math.tau
        return base - swing * sum(share * math.sin(rate * across + turn) for rate, turn, share in waves)

    line = [(x, height(x)) for x in range(0, image.width + 8, 8)]
    ImageDraw.Draw(image).polygon([*line, (image.width + 8, image.height), (0, image.height)], fill=colour)


def bokeh(image: Image.Image, count: int, seed: int, low: float, high: float) -> None:
    """Lights out of focus, between the heights low and high."""
    chance = random.Random(seed)
    layer = Image.new("RGB", image.size)
    draw = ImageDraw.Draw(layer)
    for _ in range(count):
        r = chance.uniform(0.012, 0.035) * image.width
        x, y = chance.uniform(0, image.width), chance.uniform(low, high)
        colour = chance.choice([(120, 58, 20), (130, 30, 22), (110, 84, 36), (40, 60, 90)])
        draw.ellipse([x - r, y - r, x + r, y + r], fill=mix((0, 0, 0), colour, chance.uniform(0.35, 0.95)))
    image.paste(ImageChops.screen(image, layer.filter(ImageFilter.GaussianBlur(image.width / 360))))


def developed(image: Image.Image, size: tuple[int, int], seed: int, grain: float = 0.035) -> Image.Image:
    """Reduced to size, darker at the corners, with the grain of a sensor."""
    image = image.resize(size, Image.Resampling.LANCZOS)
    corner = Image.radial_gradient("L").resize(size).point([255 - round(max(0, v - 110) * 0.5) for v in range(256)])
    image = ImageChops.multiply(image, Image.merge("RGB", [corner] * 3))
    noise = Image.frombytes("L", size, random.Random(seed).randbytes(size[0] * size[1]))
    noise = noise.filter(ImageFilter.GaussianBlur(0.6))
    return Image.blend(image, ImageChops.overlay(image, Image.merge("RGB", [noise] * 3)), min(1.0, grain * 6))

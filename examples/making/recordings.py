"""Sound and film: a speech spoken by espeak-ng, a tune of plucked strings, a film of lanterns drawn frame by frame."""

from __future__ import annotations

import math
import random
import subprocess
import tempfile
import wave
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image

from .canvas import crowd, gradient, lantern, ridge

RATE = 22050
"""Samples a second."""
FRAME = (640, 360)
FRAMES_A_SECOND = 25

# Beats and scale steps of a pentatonic tune (0 is D4, None a rest), and its bass.
TUNE: Sequence[tuple[float, int | None]] = (
    *((1, 0), (0.5, 2), (0.5, 3), (1.5, 4), (0.5, 3), (1, 2), (1, 0)),
    *((0.5, 2), (0.5, 3), (1, 5), (0.5, 4), (0.5, 3), (2, 4)),
    *((1, 7), (0.5, 5), (0.5, 4), (1, 5), (0.5, 3), (0.5, 2), (1, 3), (1, 0), (2.5, None)),
)
BASS: Sequence[tuple[float, int | None]] = (
    *((2, -5), (2, -3), (2, -5), (2, -2), (2, -3)),
    *((2, -5), (2, -3), (2, -2), (4, -5)),
)
STEPS = (0, 2, 4, 7, 9)


def _frequency(step: int) -> float:
    octave, degree = divmod(step, 5)
    return 293.66 * 2 ** (octave + STEPS[degree] / 12)


def _pluck(frequency: float, seconds: float, chance: random.Random) -> array[float]:
    """A plucked string after Karplus and Strong: noise in a loop as long as the period, smoothed at each turn."""
    period = round(RATE / frequency)
    loop = [chance.uniform(-1, 1) for _ in range(period)]
    sound = array("d", bytes(8 * int(seconds * RATE)))
    for n in range(len(sound)):
        at = n % period
        sound[n] = loop[at]
        loop[at] = 0.997 * 0.5 * (loop[at] + loop[(at + 1) % period])
    return sound


def tune(path: Path, beat: float = 0.52) -> None:
    """The tune as 16 bit PCM in one channel, some 11 seconds; beat in seconds."""
    chance = random.Random(2021)
    whole = sum(length for length, _ in TUNE) * beat
    mixed = array("d", bytes(8 * (int(whole * RATE) + 1)))
    for voice, loud in ((TUNE, 0.6), (BASS, 0.5)):
        at = 0.0
        for length, step in voice:
            if step is not None:
                start = int(at * RATE)
                for n, value in enumerate(_pluck(_frequency(step), min(2.4, whole - at), chance)):
                    mixed[start + n] += loud * value
            at += length * beat
    fade = int(0.8 * RATE)
    for n in range(fade):
        mixed[-1 - n] *= n / fade
    peak = max(map(abs, mixed))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(array("h", (round(value / peak * 29000) for value in mixed)).tobytes())


def _ffmpeg(*arguments: str, target: Path, tags: Mapping[str, str], frames: Iterable[bytes] = ()) -> None:
    """Without ffmpeg's own version and times in the file, so that the same input gives the same bytes."""
    described = [part for name, value in tags.items() for part in ("-metadata", f"{name}={value}")]
    exact = ["-fflags", "+bitexact", "-flags:a", "+bitexact", "-flags:v", "+bitexact"]
    command = ["ffmpeg", "-v", "error", "-y", *arguments, "-map_metadata", "-1", *exact, *described, str(target)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        for frame in frames:
            process.stdin.write(frame)
        process.stdin.close()
    if process.returncode:
        raise RuntimeError(f"ffmpeg did not write {target.name}")


def music(path: Path, tags: Mapping[str, str]) -> None:
    """The tune as .wav with its title in a LIST INFO chunk."""
    with tempfile.TemporaryDirectory() as scratch:
        raw = Path(scratch, "tune.wav")
        tune(raw)
        _ffmpeg("-i", str(raw), "-c:a", "pcm_s16le", target=path, tags=tags)


def spoken(path: Path, words: Sequence[str], tags: Mapping[str, str]) -> None:
    """The words in Mandarin as .mp3, with a little hall around them."""
    with tempfile.TemporaryDirectory() as scratch:
        raw = Path(scratch, "speech.wav")
        voice = ["-v", "cmn", "-s", "165", "-p", "35"]
        subprocess.run(["espeak-ng", *voice, "-w", str(raw), "\n".join(words)], check=True)
        hall = "aecho=0.85:0.8:42|95:0.22|0.12,loudnorm=I=-18:TP=-2,aresample=22050"
        _ffmpeg(
            *("-i", str(raw), "-af", hall, "-ac", "1"),
            *("-c:a", "libmp3lame", "-b:a", "40k", "-id3v2_version", "3"),
            target=path,
            tags=tags,
        )


def _lanterns_rising(seconds: float) -> Iterator[bytes]:
    """Raw RGB frames: lanterns are lit and rise over the heads of the crowd."""
    size = (FRAME[0] * 2, FRAME[1] * 2)
    still = gradient(size, [(0, (8, 12, 34)), (0.6, (44, 30, 60)), (1, (20, 12, 18))])
    ridge(still, size[1] * 0.66, 60, (14, 14, 30), 4)
    front = Image.new("RGB", size)
    crowd(front, size[1] * 0.82, 3, 44, 5, (46, 28, 36))
    mask = front.convert("L").point([0] + [255] * 255)
    uniform = random.Random(12).uniform
    risers = [
        (uniform(0.05, 0.95), uniform(24, 54), uniform(-0.3, 0.75), uniform(0.07, 0.13), number) for number in range(11)
    ]
    for count in range(round(seconds * FRAMES_A_SECOND)):
        at = count / FRAMES_A_SECOND
        image = still.copy()
        for x, radius, late, speed, number in sorted(risers, key=lambda riser: riser[1]):
            lit = min(1.0, max(0.0, (at - late * 1.5) / 0.8))
            y = size[1] * (0.86 - speed * max(0.0, at - late * 1.5) - 0.25 * (0.75 - late))
            sway = 8 * math.sin(at * 1.7 + number)
            lantern(image, (size[0] * x + sway, y), radius, lit=lit, word="秋" if radius > 40 else "")
        image.paste(front, (0, 0), mask)
        yield image.resize(FRAME, Image.Resampling.LANCZOS).tobytes()


def film(path: Path, tags: Mapping[str, str], made: datetime, seconds: float = 6) -> None:
    """H.264 and AAC in .mp4, with the tune; made: kept in UTC, as MP4 has it."""
    utc = made.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with tempfile.TemporaryDirectory() as scratch:
        raw = Path(scratch, "tune.wav")
        tune(raw)
        _ffmpeg(
            *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{FRAME[0]}x{FRAME[1]}", "-r", str(FRAMES_A_SECOND)),
            *("-i", "-", "-i", str(raw), "-t", str(seconds)),
            *("-c:v", "libx264", "-preset", "slow", "-crf", "25", "-threads", "1", "-pix_fmt", "yuv420p"),
            *("-c:a", "aac", "-b:a", "64k", "-af", f"afade=out:st={seconds - 1}:d=1", "-movflags", "+faststart"),
            target=path,
            tags={**tags, "creation_time": utc},
            frames=_lanterns_rising(seconds),
        )


def length(path: Path) -> float:
    """Seconds, as ffprobe finds them."""
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)

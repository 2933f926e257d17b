"""A report as one page: a file of its own that fetches nothing, for screen and paper, today and in fifty years."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import tzinfo

from ..messages import _, language
from ..metadata.xml import text
from . import pictures, wording
from .fixity import DAY, SLICES, FixityReport, StoreFixity

_STYLE = """
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 64rem; padding: 2rem 1.5rem 4rem; color: #1f2d3d; background: #fff;
  font: 16px/1.6 "Noto Sans", "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "PingFang SC",
  "Microsoft YaHei", sans-serif; }
header { border-bottom: 2px solid #1f2d3d; margin-bottom: 1.5rem; }
header p { margin: 0 0 .6rem; color: #52606d; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .2rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
.verdict { font-size: 1.15rem; font-weight: 600; padding: .7rem 1rem; border-left: 6px solid; }
.good { border-color: #3f7d5c; background: #eef6f1; }
.bad { border-color: #b3352c; background: #fbefee; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid #dde3ea; text-align: left; vertical-align: bottom; }
th { color: #52606d; font-weight: 600; }
td { white-space: nowrap; font-variant-numeric: tabular-nums; }
td:first-child { white-space: normal; overflow-wrap: anywhere; min-width: 6em; }
.number { text-align: right; }
figure { margin: 1rem 0 1.5rem; break-inside: avoid; }
figcaption { font-size: .9rem; color: #52606d; overflow-wrap: anywhere; }
.key::before { content: ""; display: inline-block; width: .8em; height: .8em; margin-right: .4em;
  background: var(--colour); }
.key { color: #1f2d3d; margin-right: 1.2em; }
figure svg { width: 100%; height: auto; display: block; }
.basis { font-size: .85rem; color: #3e4c59; }
@page { margin: 16mm; }
@media print { body { max-width: none; padding: 0; font-size: 10.5pt; } h2 { break-after: avoid; }
  .wide { overflow: visible; } table { font-size: 8.5pt; }
  th, td { padding: .25rem .35rem; } tr { break-inside: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""


def fixity_page(report: FixityReport, *, archive: str, zone: tzinfo) -> str:
    """archive: how it calls itself."""
    at = report.at.astimezone(zone).strftime("%Y-%m-%d %H:%M")
    mood = "good" if report.kept and not report.failing else "bad"
    parts = [
        f'<p class="verdict {mood}">{text(wording.verdict(report))}</p>',
        *_paragraphs((wording.level(report),)),
        _table(wording.headings(), wording.rows(report, zone), wording.NUMBERS),
        *_paragraphs(wording.remarks(report)),
        _heading(_("Checks over time")),
        _history(report),
        _heading(_("How long ago each package was checked")),
        *(_ages(one, number) for number, one in enumerate(report.stores)),
        _heading(_("What loss is likely")),
        *_paragraphs(wording.losses(report)[:1]),
        _list(wording.losses(report)[1:]),
        *(f'<p class="basis">{text(one)}</p>' for one in wording.basis(report)),
    ]
    return _page(_("Report on fixity"), _("{archive}, as of {at}").format(archive=archive or "lantai", at=at), parts)


def _history(report: FixityReport) -> str:
    if not report.history:
        return "".join(_paragraphs((_("No check is in the journal yet."),)))
    series = {
        _("whole"): [one.passed for one in report.history],
        _("not whole"): [one.failed for one in report.history],
    }
    labels = [one.begin.isoformat() for one in report.history]
    colours = (pictures.GOOD, pictures.BAD)
    picture = pictures.columns(labels, series, colours=colours, name="history")
    return _figure(
        picture,
        zip(series, colours, strict=True),
        _("Checks of packages, in all stores, by the day, week or month that begins then."),
    )


def _ages(one: StoreFixity, number: int) -> str:
    width = one.promise / SLICES / DAY
    bars = [(count, at * width, (at + 1) * width) for at, count in enumerate(one.ages)]
    within, late = bars[:SLICES], bars[SLICES:]
    promise = one.promise / DAY
    # A line is a bar too thin to be taken for one.
    line = (max(1, *one.ages), promise - width / 50, promise + width / 50)
    series = {
        _("within the promise"): within,
        _("overdue"): late,
        _("promise: {days} days").format(days=f"{promise:.0f}"): [line],
    }
    ticks = [step * one.promise / DAY / 2 for step in range(5)]
    colours = (pictures.GOOD, pictures.BAD, pictures.LINE)
    picture = pictures.slices(series, ticks, colours=colours, name=f"ages-{number}")
    words = _(
        "{store}: packages by the days since they were last checked; the last bar is all beyond. Never checked: "
        "{never}."
    )
    return _figure(picture, zip(series, colours, strict=True), words.format(store=one.store, never=f"{one.never:,}"))


def _page(title: str, below: str, parts: Iterable[str]) -> str:
    spoken = "zh-CN" if language() == "zh" else "en"
    body = "\n".join(parts)
    return f"""<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" lang="{spoken}">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<title>{text(title)} - {text(below)}</title>
<style>{_STYLE}</style>
</head>
<body>
<header><h1>{text(title)}</h1><p>{text(below)}</p></header>
{body}
</body>
</html>
"""


def _heading(words: str) -> str:
    return f"<h2>{text(words)}</h2>"


def _paragraphs(said: Iterable[str]) -> Iterable[str]:
    return (f"<p>{text(one)}</p>" for one in said)


def _list(said: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{text(one)}</li>' for one in said)}</ul>" if said else ""


def _figure(picture: str, key: Iterable[tuple[str, str]], caption: str) -> str:
    """key: what each colour means."""
    meant = "".join(f'<span class="key" style="--colour: {colour}">{text(words)}</span>' for words, colour in key)
    return f"<figure>{picture}<figcaption>{meant}<br/>{text(caption)}</figcaption></figure>"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]], numbers: Collection[int]) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        kinds = (' class="number"' if at in numbers else "" for at in range(len(cells)))
        inner = (f"<{tag}{kind}>{text(cell)}</{tag}>" for cell, kind in zip(cells, kinds, strict=True))
        return f"<tr>{''.join(inner)}</tr>"

    body = "\n".join(row(one, "td") for one in rows)
    return f'<div class="wide"><table><thead>{row(headings, "th")}</thead><tbody>\n{body}\n</tbody></table></div>'

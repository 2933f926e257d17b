"""Pictures as SVG, for a page that tells what their colours mean: no script, nothing fetched. All reports draw here.

pygal is imported where a picture is drawn: every other command is spared it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from lxml import etree

Bar = tuple[float, float, float]
"""Height, and where it begins and ends."""

GOOD, BAD, LINE = "#3f7d5c", "#b3352c", "#1f2d3d"
_FONT = '"Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", sans-serif'


def columns(labels: Sequence[str], series: Mapping[str, Sequence[int]], *, colours: Sequence[str], name: str) -> str:
    """One column a label, the series stacked in it. name: of the picture in its page, unlike every other's."""
    pygal = _pygal()
    most = max((sum(one) for one in zip(*series.values(), strict=True)), default=0)
    chart = pygal.StackedBar(**_settings(colours, height=260, most=most))
    chart.x_labels = list(labels)
    # As many as can be read side by side.
    chart.x_labels_major_every = max(1, -(-len(labels) // 10))
    chart.show_minor_x_labels = False
    for title, values in series.items():
        chart.add(title, list(values))
    return _svg(chart, name)


def slices(series: Mapping[str, Sequence[Bar]], ticks: Sequence[float], *, colours: Sequence[str], name: str) -> str:
    """Bars over a line of numbers. ticks: those that are written below it."""
    pygal = _pygal()
    most = max((bar[0] for bars in series.values() for bar in bars), default=0)
    chart = pygal.Histogram(**_settings(colours, height=220, most=most))
    chart.x_labels = list(ticks)
    chart.x_value_formatter = lambda value: f"{value:.0f}"
    for title, bars in series.items():
        chart.add(title, list(bars))
    return _svg(chart, name)


def _pygal() -> Any:
    import pygal  # noqa: PLC0415

    # It would stand in the way of all that is imported afterwards, with what Python has given up; it is for maps only.
    sys.meta_path[:] = [one for one in sys.meta_path if not isinstance(one, pygal.PluginImportFixer)]
    return pygal


def _settings(colours: Sequence[str], *, height: int, most: float) -> dict[str, Any]:
    from pygal.style import Style  # noqa: PLC0415

    style = Style(
        background="transparent", plot_background="transparent", foreground=LINE, foreground_strong=LINE,
        foreground_subtle="#9aa5b1", opacity="1", opacity_hover="1", transition="0s", colors=tuple(colours),
        font_family=_FONT, label_font_size=12, major_label_font_size=12,
        guide_stroke_dasharray="none", major_guide_stroke_dasharray="none", guide_stroke_color="#dde3ea",
        major_guide_stroke_color="#dde3ea",
    )  # fmt: skip
    # Packages are counted in whole ones.
    step = next(one * 10**power for power in range(20) for one in (1, 2, 5) if most <= 5 * one * 10**power)
    return {
        "style": style, "width": 760, "height": height, "show_legend": False, "margin": 8, "truncate_label": -1,
        "y_labels": [step * number for number in range(int(-(-most // step)) + 1)] if most else [0, 1],
        "value_formatter": lambda value: f"{value:.0f}",
    }  # fmt: skip


def _svg(chart: Any, name: str) -> str:
    """Without what pygal adds for a browser that may load things, and the same each time."""
    chart.uuid = name
    tree = chart.render_tree()
    etree.strip_elements(tree, "script", etree.Comment, with_tail=False)
    return str(etree.tostring(tree, encoding="unicode"))

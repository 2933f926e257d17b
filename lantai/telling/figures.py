"""Counters and gauges for Prometheus: in a file for the node exporter, or by /metrics of serve.

Counters are sums over the runs of the journal, so that they go on where the process before left off. Labels: store,
level, verdict; nothing of a record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import get_args

from prometheus_client import CollectorRegistry, generate_latest, write_to_textfile
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ..catalog import Catalog, Coverage
from ..errors import StoreUnavailable
from ..messages import _
from ..model import Run, RunVerdict

_COUNTED = {
    "packages": "Packages audited, once for each store.",
    "files": "Files read and hashed.",
    "bytes": "Bytes read and hashed.",
    "faults": "Faults found.",
    "repaired": "Files put right from another store.",
    "lost": "Packages that could not be repaired.",
}
_LEVELS = ("listing", "server", "full")


def registry(catalog: Catalog, every: Mapping[str, timedelta], now: datetime) -> CollectorRegistry:
    """All of them as they are now. every: how often each store's packages are to be audited, by its name."""
    covered = [catalog.covered(store, level, now - often) for store, often in every.items() for level in _LEVELS]
    metrics = [*_of_runs(catalog.runs()), *_of_stores(covered)]

    class Now(Collector):
        def collect(self) -> Iterable[Metric]:
            return metrics

    found = CollectorRegistry()
    found.register(Now())
    return found


def write(file: Path, found: CollectorRegistry) -> None:
    """All of it or nothing. StoreUnavailable."""
    try:
        write_to_textfile(str(file), found)
    except OSError as error:
        raise StoreUnavailable(
            _("the figures cannot be written ({reason})").format(reason=error.strerror), subject=str(file),
            remedy=_("Make the folder, and let this user write in it, or name another in [metrics] textfile."),
        ) from error  # fmt: skip


def exposition(found: CollectorRegistry) -> bytes:
    """In Prometheus' text format."""
    return generate_latest(found)


def _of_runs(runs: Iterable[Run]) -> Iterator[Metric]:
    """runs: the newest first. One without a verdict is under way, or was killed, and counted nothing."""
    ended, sums = Counter[RunVerdict](), Counter[tuple[str, RunVerdict]]()
    last: Run | None = None
    for run in runs:
        if run.command == "audit" and run.verdict is not None:
            last = last or run
            ended[run.verdict] += 1
            sums.update({(name, run.verdict): run.counts.get(name, 0) for name in _COUNTED})
    verdicts = get_args(RunVerdict)
    yield _family(
        CounterMetricFamily("lantai_audit_runs", "Audits that ended.", labels=("verdict",)),
        (((verdict,), ended[verdict]) for verdict in verdicts),
    )
    for name, meaning in _COUNTED.items():
        yield _family(
            CounterMetricFamily(f"lantai_audit_{name}", meaning, labels=("verdict",)),
            (((verdict,), sums[name, verdict]) for verdict in verdicts),
        )
    if last and last.ended:
        yield _family(
            GaugeMetricFamily("lantai_last_audit_timestamp_seconds", "When the last audit ended."),
            (((), last.ended.timestamp()),),
        )
        yield _family(
            GaugeMetricFamily("lantai_last_audit", "1: how the last audit ended.", labels=("verdict",)),
            (((verdict,), verdict == last.verdict) for verdict in verdicts),
        )


def _of_stores(covered: Iterable[Coverage]) -> Iterator[Metric]:
    found = list(covered)
    at = ("store", "level")
    yield _family(
        GaugeMetricFamily("lantai_packages", "Packages that lie in the store.", labels=("store",)),
        {(one.store,): one.packages for one in found}.items(),
    )
    yield _family(
        GaugeMetricFamily(
            "lantai_oldest_check_timestamp_seconds",
            "Of the packages that were whole when last checked, the one longest ago: when.", labels=at,
        ),
        (((one.store, one.level), one.oldest.timestamp()) for one in found if one.oldest),
    )  # fmt: skip
    yield _family(
        GaugeMetricFamily(
            "lantai_unproven_packages", "Packages never checked, or not whole when last checked.", labels=at
        ),
        (((one.store, one.level), one.unproven) for one in found),
    )
    yield _family(
        GaugeMetricFamily(
            "lantai_overdue_packages", "Packages whose last check is longer ago than was promised.", labels=at
        ),
        (((one.store, one.level), one.overdue) for one in found),
    )


def _family(
    metric: CounterMetricFamily | GaugeMetricFamily, samples: Iterable[tuple[tuple[str, ...], float]]
) -> Metric:
    for labels, value in samples:
        metric.add_metric(labels, value)
    return metric

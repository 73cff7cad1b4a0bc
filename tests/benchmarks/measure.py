"""Time, processor time and peak memory of a function; JSON and a table as output.

Shared by the benchmarks, which are scripts in this folder and import it by name.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Measurement:
    """What a function took, over several runs.

    Attributes:
        name: what was measured.
        seconds: wall time, median of the runs.
        runs: wall time of each run.
        cpu_seconds: processor time of the median run, all threads.
        peak_mib: most resident memory of this process during any run.
        added_mib: the same, above what the process held before the run: inputs do not count, results do.
        figures: whatever else belongs in the row.
    """

    name: str
    seconds: float
    runs: list[float]
    cpu_seconds: float
    peak_mib: float
    added_mib: float
    figures: dict[str, Any] = field(default_factory=dict)


def measure(name: str, function: Callable[[], Any], *, runs: int = 3, **figures: Any) -> Measurement:
    """Run ``function`` ``runs`` times and keep medians of time and maxima of memory.

    Each run is told on standard error; ``figures`` become columns of the table.
    """
    timings: list[tuple[float, float]] = []
    peak = added = 0.0
    for _ in range(runs):
        gc.collect()
        before = reset_peak()
        wall, processor = time.perf_counter(), time.process_time()
        result = function()
        timings.append((time.perf_counter() - wall, time.process_time() - processor))
        high = status("VmHWM")
        peak, added = max(peak, high), max(added, high - before)
        del result
        print(f"{name}: {timings[-1][0]:.2f} s, {timings[-1][1]:.2f} CPU s", file=sys.stderr, flush=True)
    median = sorted(timings)[len(timings) // 2]
    return Measurement(
        name,
        statistics.median(wall for wall, _ in timings),
        [round(wall, 4) for wall, _ in timings],
        median[1],
        peak,
        added,
        figures,
    )


def growth_exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Slope of log(seconds) over log(size): 0 is constant, 1 linear, 2 quadratic."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def machine(*packages: str) -> dict[str, Any]:
    """What the figures were measured on."""
    model = platform.processor()
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = [line for line in information.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


def table(measurements: Sequence[Measurement]) -> str:
    """The measurements as a Markdown table; a column for each figure that any of them has."""
    names = list(dict.fromkeys(name for measurement in measurements for name in measurement.figures))
    header = ["", "seconds", "CPU seconds", "peak MiB", "added MiB", *names]
    rows = [
        [
            measurement.name,
            f"{measurement.seconds:.2f}",
            f"{measurement.cpu_seconds:.2f}",
            f"{measurement.peak_mib:,.0f}",
            f"{measurement.added_mib:,.0f}",
            *(_text(measurement.figures.get(name)) for name in names),
        ]
        for measurement in measurements
    ]
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        return (
            f"| {first[0]:<{first[1]}} | " + " | ".join(f"{cell:>{width}}" for cell, width in others) + " |"
        )

    rule = (
        "|"
        + "|".join("-" * (width + 1) + (":" if column else "-") for column, width in enumerate(widths))
        + "|"
    )
    return "\n".join([line(header), rule, *(line(row) for row in rows)])


def write_json(path: Path, measurements: Sequence[Measurement], **context: Any) -> None:
    """Everything that was measured, and in what circumstances."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {**context, "measurements": [asdict(measurement) for measurement in measurements]}
    path.write_text(json.dumps(content, indent=2) + "\n")


def _text(value: Any) -> str:
    if value is None:
        return ""
    return (
        f"{value:,}" if isinstance(value, int) else f"{value:.3g}" if isinstance(value, float) else str(value)
    )


def reset_peak() -> float:
    """Hand freed memory back, forget the highest resident memory so far (Linux); the present one in MiB."""
    pa.default_memory_pool().release_unused()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return status("VmRSS")


def status(key: str) -> float:
    """A size in ``/proc/self/status``, in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024 / MEBIBYTE
    raise KeyError(key)

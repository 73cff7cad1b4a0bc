"""What a command and every process below it took: processor time and peak memory of each."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

MEBIBYTE = 1024 * 1024
# Between two looks. What a process did after the last look is not counted.
INTERVAL_SECONDS = 0.1


@dataclass
class Usage:
    """What one process took.

    Attributes:
        cpu_seconds: processor time, all threads.
        peak_mib: most resident memory, mapped files included.
    """

    cpu_seconds: float = 0.0
    peak_mib: float = 0.0


@dataclass(frozen=True)
class WatchedCommand:
    """How a command went.

    Attributes:
        seconds: wall time.
        processes: what each process took, by process id.
    """

    seconds: float
    processes: dict[int, Usage]


def watch(command: Sequence[str], *, environment: Mapping[str, str], log: Path) -> WatchedCommand:
    """Run ``command`` to its end, its output in ``log``, and look at all of its processes meanwhile.

    Raises:
        subprocess.CalledProcessError: it did not exit with 0; ``log`` says why.
    """
    start = time.monotonic()
    processes: dict[int, Usage] = {}
    with log.open("w") as output:
        process = subprocess.Popen(command, env=dict(environment), stdout=output, stderr=subprocess.STDOUT)
        try:
            root = psutil.Process(process.pid)
            while process.poll() is None:
                for member in [root, *root.children(recursive=True)]:
                    _look(member, processes.setdefault(member.pid, Usage()))
                time.sleep(INTERVAL_SECONDS)
        finally:
            process.terminate()
            process.wait()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, output=f"see {log}")
    return WatchedCommand(time.monotonic() - start, processes)


def _look(process: psutil.Process, usage: Usage) -> None:
    try:
        times = process.cpu_times()
        status = Path(f"/proc/{process.pid}/status").read_text()
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return  # It ended between two looks; the last one counts.
    usage.cpu_seconds = times.user + times.system
    highest = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    if highest:  # a process that has ended but was not waited for has no memory
        usage.peak_mib = int(highest[0].split()[1]) * 1024 / MEBIBYTE

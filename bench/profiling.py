"""Where a process' time goes, by py-spy (``pip install py-spy``; not needed for measuring)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psutil

LINES_MAX = 25
TRUNK_SHARE = 0.9
"""Frames that are in more than this share of the samples are left out, because they say nothing."""


class Profile:
    """Samples a process for some seconds, while it is under load."""

    def __init__(self, pid: int, folder: Path, seconds: float, *, name: str) -> None:
        program = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
        if program is None:
            raise RuntimeError("py-spy is missing: pip install py-spy")
        self.name = name
        self._file = folder / f"{name}.collapsed"
        command = [program, "record", "--pid", str(pid), "--rate", "200", "--gil"]
        command += ["--format", "raw", "--output", str(self._file)]
        self._process = subprocess.Popen(
            [*command, "--duration", str(round(seconds))], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def text(self) -> str:
        """The functions with the most samples of their own, and those with the most in all."""
        self._process.wait(60)
        own: Counter[str] = Counter()
        all_: Counter[str] = Counter()
        samples = 0
        for line in self._file.read_text().splitlines():
            stack, _, number = line.rpartition(" ")
            frames = [frame.strip() for frame in stack.split(";")]
            samples += int(number)
            own[frames[-1]] += int(number)
            for frame in {frame.rpartition(":")[0] for frame in frames}:
                all_[frame] += int(number)
        total = max(samples, 1)
        branches = Counter({frame: number for frame, number in all_.items() if number < TRUNK_SHARE * total})
        lines = [f"{self.name}: {total} samples holding the GIL; own time, then with callees"]
        for (one, count), (other, more) in zip(
            own.most_common(LINES_MAX), branches.most_common(LINES_MAX), strict=False
        ):
            lines.append(f"{count / total:6.1%} {one[-70:]:70} {more / total:6.1%} {other[-70:]}")
        return "\n".join(lines)


def busiest_child(pid: int) -> int:
    """The worker pool's busiest process: the lane's."""
    children = psutil.Process(pid).children()
    return max(children, key=lambda child: child.cpu_times().user).pid

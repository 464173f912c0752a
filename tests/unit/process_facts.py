"""Writes what a process can tell of itself, and ends with 7: python -m tests.unit.process_facts FILE [ARGUMENT…]."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import resource
import signal
import sys
import threading
from pathlib import Path
from typing import Any


def facts() -> dict[str, Any]:
    mask = os.umask(0)
    os.umask(mask)
    return {
        "arguments": sys.argv[2:],
        "buffered": not getattr(sys.stdout, "write_through", False),
        "daemon": multiprocessing.current_process().daemon,
        "environment": dict(sorted(os.environ.items())),
        "files": sorted(os.readlink(f"/proc/self/fd/{number}") for number in (0, 1, 2)),
        "flags": list(sys.flags),
        "folder": str(Path.cwd()),
        "leads its session": os.getsid(0) == os.getpid(),
        "limit of files": resource.getrlimit(resource.RLIMIT_NOFILE),
        "mask": mask,
        "name": __name__,
        "package": str(sys.modules["__main__"].__spec__ and sys.modules["__main__"].__spec__.name),
        "parent of multiprocessing": multiprocessing.parent_process(),
        "path": sys.path,
        "program": sys.argv[0],
        "signals": {
            number.name: str(signal.getsignal(number))
            for number in sorted(signal.valid_signals() - {32, 33})
            if isinstance(number, signal.Signals)
        },
        "threads": threading.active_count(),
    }


if __name__ == "__main__":
    print("said", flush=True)
    more = {"files open": len(os.listdir("/proc/self/fd")), "random": random.random(), "said": facts()}
    Path(sys.argv[1]).write_text(json.dumps(more))
    sys.exit(7)

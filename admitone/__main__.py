"""Start of the command ``admitone``, which can be ended from its first moment on."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Final

PROCESSES: Final = ("up", "gateway", "worker")


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def main() -> None:
    """The console script.

    A container's process has number 1, and the kernel gives that one no signal which it has not asked for. So we ask
    before the second that loading the program takes; the processes that end in an orderly way ask again later.
    """
    signal.signal(signal.SIGTERM, _end)
    # What is loaded stays. To look through it again and again was a third of the time that loading takes.
    gc.disable()
    command = _command()
    gc.freeze()
    gc.enable()
    command(prog_name="admitone")


def _command() -> Callable[..., object]:
    """The processes of a site start without the other commands, which take a tenth of a second to load and describe."""
    if sys.argv[1:] and sys.argv[1] in PROCESSES:
        from admitone.commands.processes import app
    else:
        from admitone.cli import app
    return app


if __name__ == "__main__":
    main()

"""A dispatcher that dies between an answer and its note: python -m tests.integration.workers.webhook_entry.

It kills itself, as a crash would, when the first attempt has been answered.
"""

from __future__ import annotations

import os
import signal

from admitone.settings import Settings
from db.sealing.keyring import Keyring, use
from workers.channels.dispatcher import dispatch


def die(point: str) -> None:
    assert point == "answered"
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    settings = Settings.load()
    use(Keyring.of(settings.site))
    dispatch(settings.db.url, settings.site, settings.webhook, settings.edge, probe=die)

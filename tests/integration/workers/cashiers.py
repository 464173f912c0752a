"""A cashier that is there again at once when it was killed: python -m tests.integration.workers.cashiers FOLDER LOADED.

The parent has loaded all that a cashier needs once there is the file LOADED, so the next one is a fork away. Cashiers
stop at probes as `tests.integration.workers.entry` says.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from admitone.settings import Settings
from booking_lane.clients import jobs_client
from db.sealing.keyring import Keyring, use
from tests.integration.workers.entry import stopping_at
from workers.payments.cashier import Cashier, cash
from workers.payments.providers import providers_of
from workers.settings import WorkerSettings


def main(folder: Path, loaded: Path) -> None:
    settings = Settings.load().part(WorkerSettings)
    use(Keyring.of(settings.site))
    # The libraries of providers are large, and are loaded as one is made.
    providers_of(settings)
    loaded.touch()
    living = 0

    def end(*_: object) -> None:
        if living:
            os.kill(living, signal.SIGKILL)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    while True:
        living = os.fork()
        if living == 0:
            _cash(settings, folder)
            os._exit(0)
        os.waitpid(living, 0)


def _cash(settings: WorkerSettings, folder: Path) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    client = jobs_client(settings.redis.jobs)
    cash(
        lambda: Cashier(
            settings.db.url,
            client,
            settings.lane,
            settings.payment,
            providers_of(settings),
            settings.invoice,
            probe=stopping_at(folder),
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

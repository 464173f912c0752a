"""``python -m bench.pretix``: the shop, its line and the console on this machine, until Ctrl-C."""

from __future__ import annotations

import signal

from bench.parts.shop import protect
from bench.pretix.proxies import start_proxy
from bench.pretix.site import PATH, start_pretix
from bench.servers import system
from db.operators.accounts import add_operator

PASSWORD = "correct horse battery staple"


def main() -> None:
    with system() as running:
        print("Making the shop ...", flush=True)
        shop = start_pretix(running)
        add_operator(running.database_url, "demo", PASSWORD)
        # Two visitors at a time: the third browser sees the line. A page of pretix takes seconds on a busy machine;
        # by a nearer target the second browser would wait, too.
        event_id, port = protect(running, shop, visitors=2, rate=60, idle_seconds=300, target_ms=10_000)
        start_proxy(running, "nginx", shop, port, event_id)
        print(f"The shop, behind nginx and the line:  {shop.url}{PATH}")
        print(f"Its waiting page:                     http://127.0.0.1:{port}/wait/{event_id}")
        print(f"The console (demo, {PASSWORD}): http://127.0.0.1:{port}/ops/shops")
        print("Ctrl-C ends it and removes it.", flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    main()

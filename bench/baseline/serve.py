"""A baseline under uvicorn as the gateway runs it: ``python -m bench.baseline.serve APP PORT``."""

from __future__ import annotations

import sys

import uvicorn


def main() -> None:
    application, port = sys.argv[1:]
    uvicorn.run(
        f"bench.baseline.{application}",
        factory=True,
        host="127.0.0.1",
        port=int(port),
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_level="warning",
        backlog=16_384,
        timeout_keep_alive=75,
        server_header=False,
    )


if __name__ == "__main__":
    main()

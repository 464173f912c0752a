"""A site of the real compose.yaml, in a copy of the folder in which an operator would type its commands."""

from __future__ import annotations

import json
import os
import resource
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import trustme
import yaml

from tests.client import Client
from tests.compose.engine import Engine
from tests.services import ROOT, free_port
from tests.waiting import await_that

PROJECT: Final = "admitone-test"
IMAGE: Final = "admitone:test"
OURS: Final = ("migrate", "gateway", "worker")
COPIED: Final = (
    *("compose.yaml", "Dockerfile", ".dockerignore", "pyproject.toml", "requirements.lock", "README.md", "LICENSE"),
    *("admitone", "db", "deploy", "docs", "gateway", "queue", "workers"),
)
PLAIN: Final = ("compose.yaml",)
TLS: Final = ("compose.yaml", "deploy/compose.tls.yaml")
OVERRIDE: Final = "only-for-the-tests.yaml"
UP_SECONDS_MAX: Final = 240
START_PERIOD: Final = "120s"


@dataclass
class Site:
    """The folder, and what is typed in it.

    Attributes:
        files: the Compose files in use, without the tests' own.
        phases: what was done → seconds it took, for the report at the end.
        authority: who signs the certificate that `end_tls` puts into the folder.
    """

    engine: Engine
    folder: Path
    port: int
    tls_port: int
    files: tuple[str, ...] = PLAIN
    phases: dict[str, float] = field(default_factory=dict)
    authority: trustme.CA = field(default_factory=trustme.CA, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def tls_url(self, host: str = "127.0.0.1") -> str:
        return f"https://{host}:{self.tls_port}"

    @property
    def trust(self) -> ssl.SSLContext:
        """What a client needs that is to believe the site's certificate."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context

    @classmethod
    def prepare(cls, engine: Engine, folder: Path, *, source: Path = ROOT, image: str = IMAGE) -> Site:
        """Copy a release's files, and write the .env that the head of compose.yaml asks for."""
        site = cls(engine, folder, free_port(), free_port())
        site.take_files(source, image)
        (folder / ".env").write_text(
            "ADMITONE_SECRET=of-the-tests-and-good-for-nothing-else\nPOSTGRES_PASSWORD=pg4tests\n"
            "VALKEY_PASSWORD=vk4tests\nADMITONE_METRICS_TOKEN=mt4tests-and-nothing-else\n"
            f"PUBLIC_PORT={site.port}\nTLS_PORT={site.tls_port}\n"
        )
        return site

    def take_files(self, source: Path, image: str) -> None:
        """Put a release's files in the place of those that are there; its image is to have this name."""
        for name in COPIED:
            new, old = source / name, self.folder / name
            if new.is_dir():
                shutil.rmtree(old, ignore_errors=True)
                shutil.copytree(new, old, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(new, old)
        (self.folder / OVERRIDE).write_text(yaml.safe_dump({"services": _override(source, image)}))

    # -- commands

    def typed(self, line: str, *, input_text: str = "", seconds_max: float = UP_SECONDS_MAX) -> str:
        """Run a line as typed in the folder; gives what it printed.

        Raises:
            AssertionError: it failed; with all that it wrote.
        """
        answer = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env={
                **self.engine.environ,
                "COMPOSE_FILE": ":".join((*self.files, OVERRIDE)),
                "COMPOSE_PROJECT_NAME": PROJECT,
                "COMPOSE_PROGRESS": "plain",
            },
            input=input_text,
            capture_output=True,
            text=True,
            timeout=seconds_max,
            check=False,
        )
        assert answer.returncode == 0, f"$ {line}\n{answer.stdout}{answer.stderr}"
        return answer.stdout

    def compose(self, arguments: str, *, input_text: str = "", seconds_max: float = UP_SECONDS_MAX) -> str:
        return self.typed(f"docker compose {arguments}", input_text=input_text, seconds_max=seconds_max)

    def admitone(self, arguments: str, *, input_text: str = "") -> str:
        """Run `admitone` in a gateway's container."""
        return self.compose(f"exec -T gateway admitone {arguments}", input_text=input_text)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure what is done inside."""
        started = time.monotonic()
        yield
        self.phases[name] = time.monotonic() - started

    def end_tls(self, *hosts: str) -> None:
        """Put a certificate of these hosts where compose.tls.yaml looks for it, and use that file from now on."""
        certificate = self.authority.issue_cert(*hosts)
        tls = self.folder / "tls"
        tls.mkdir()
        for blob in certificate.cert_chain_pems:
            blob.write_to_path(str(tls / "fullchain.pem"), append=True)
        certificate.private_key_pem.write_to_path(str(tls / "privkey.pem"))
        self.files = TLS

    # -- containers

    def ids(self, service: str) -> list[str]:
        """The containers of a service, ended ones too."""
        return self.compose(f"ps --all --quiet {service}").split()

    def inspected(self, *services: str) -> dict[str, dict[str, Any]]:
        """Container's name → what the engine says of it, of these services or of all."""
        ids = self.compose(f"ps --all --quiet {' '.join(services)}").split()
        return {one["Name"].strip("/"): one for one in json.loads(self.engine.docker("inspect", *ids))}

    def await_healthy(self, seconds_max: float = 60) -> None:
        """Wait until each container that has a healthcheck is healthy.

        Raises:
            AssertionError: one was not in time.
        """

        def all_are() -> bool:
            states = [one["State"] for one in self.inspected().values()]
            return all(state.get("Health", {}).get("Status", "healthy") == "healthy" for state in states)

        await_that(all_are, seconds_max, each_seconds=0.5, what=f"every container's health ({self.compose('ps')})")

    def await_ready(self, seconds_max: float = 60) -> None:
        """Wait until the proxy's gateways are ready, five looks in a row: each may meet another gateway."""

        def are_ready() -> bool:
            client = Client(self.url)
            return all(self.readiness(client) == 200 for _ in range(5))

        await_that(are_ready, seconds_max, what="readiness")

    @staticmethod
    def readiness(client: Client) -> int:
        """The status of a look at a gateway's readiness through the proxy; 0 for none."""
        connection = client._connect(5)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    def logs(self) -> str:
        return self.compose("ps --all") + self.compose("logs --no-color --tail 40")

    def down(self) -> None:
        self.compose("down --volumes --remove-orphans --timeout 5")


def _override(source: Path, image: str) -> dict[str, Any]:
    """What the tests change: the image's name, limits where the machine allows only lower ones, and the time that a
    start may take, which was too short in the first release for a machine that does other work.
    """
    services: dict[str, dict[str, Any]] = {name: {"image": image} for name in OURS}
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    shipped = yaml.safe_load((source / "compose.yaml").read_text())["services"]
    for name, service in shipped.items():
        wanted = service.get("ulimits", {}).get("nofile", 0)
        if os.geteuid() == 0 and hard != resource.RLIM_INFINITY and wanted > hard:
            services.setdefault(name, {})["ulimits"] = {"nofile": hard}
        if name in OURS and "healthcheck" in service:
            services[name]["healthcheck"] = {"start_period": START_PERIOD}
    return services

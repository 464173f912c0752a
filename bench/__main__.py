"""``python -m bench``: the parts one by one, all of them, the stadium, or the quick form."""

from __future__ import annotations

from typing import Annotated

import typer

from bench import report
from bench.report import Part
from bench.servers import machine, system

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def _main() -> None:
    """Benchmarks, each against a reference in the same run."""


def _finish(name: str, parts: list[Part]) -> None:
    report.show(parts)
    path = report.write(name, {"machine": machine(), "parts": [report.document(part) for part in parts]})
    typer.echo(f"Written to {path}")


@app.command()
def reserve(
    connections: Annotated[int, typer.Option(min=1)] = 256,
    seconds: Annotated[float, typer.Option(min=1)] = 10.0,
    baseline: Annotated[bool, typer.Option(help="Measure stock RQ too.")] = False,
) -> None:
    """Reserve through HTTP against the no-op, and with --baseline against stock RQ."""
    from bench.parts import generator
    from bench.parts import reserve as part

    with system() as running:
        parts = [
            generator.measure(running),
            part.measure(running, seconds=seconds, connections=connections, baseline=baseline),
        ]
    _finish("reserve", parts)


if __name__ == "__main__":
    app(prog_name="python -m bench")

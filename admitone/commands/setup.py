"""The commands about a site's setup: its settings, and the doctor's findings."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from admitone.commands.environment import (
    noted_url,
    servers_of,
    with_noted,
)
from admitone.settings import FILE_ENDING, ROWS, Settings, SettingsError


def doctor(
    url: Annotated[str, typer.Option(help="Where fans come in, e.g. https://tickets.example.org.")] = "",
    json: Annotated[bool, typer.Option("--json", help="For alarms: one JSON object.")] = False,
) -> None:
    """Show what is up, what is behind and what is not set up for a sale, each with the fix; exit 0, 1 or 2."""
    from admitone.doctor.examination import examine, exit_code
    from admitone.doctor.finding import Finding, Level
    from admitone.doctor.report import as_json, show
    from admitone.doctor.site import open_site

    findings: list[Finding]
    try:
        given = Settings.load()
        settings = with_noted(given)
    except SettingsError as problem:
        findings = [Finding("setup", "settings", Level.ERROR, str(problem), "Correct it; no process starts with it.")]
    else:
        missing = [name for name, value in servers_of(settings).items() if not value]
        if missing:
            says = f"{' and '.join(missing)} not set, and no `admitone up` runs in {settings.embedded.data_dir}"
            findings = [Finding("setup", "settings", Level.ERROR, says, "Set them, or start `admitone up`.")]
        else:
            embedded = tuple(name for name, value in servers_of(given).items() if not value)
            noted = noted_url(settings) if embedded else ""
            with open_site(settings, embedded, url or noted) as site:
                findings = examine(site)
    code = exit_code(findings)
    if json:
        typer.echo(as_json(findings, code))
    else:
        show(findings, code, Console(soft_wrap=not sys.stdout.isatty(), highlight=False, markup=False))
    raise typer.Exit(code)


def list_settings(
    markdown: Annotated[bool, typer.Option("--markdown", help="As docs/settings.md has it.")] = False,
) -> None:
    """List every setting: its variable, its default, what it means."""
    if markdown:
        typer.echo(settings_markdown(), nl=False)
        return
    table = Table("Variable", "Default", "Meaning")
    for row in ROWS:
        table.add_row(row.variable, row.default, row.sentence)
    Console().print(table)


def settings_markdown() -> str:
    """The text of docs/settings.md."""
    by_file = f"`ADMITONE_SECRET{FILE_ENDING}=/run/secrets/admitone`"
    lines = ["# Settings", "", "Written by `admitone settings --markdown`.", ""]
    lines += [f"A variable with `{FILE_ENDING}` at its end names a file that holds the value: {by_file}.", ""]
    lines += ["| variable | default | meaning |", "|---|---|---|"]
    lines += [f"| `{row.variable}` | {row.default or '-'} | {row.sentence} |" for row in ROWS]
    return "\n".join(lines) + "\n"

"""The command about messages to fans: mails that came back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from admitone.commands.environment import fail, load_settings, sentence


def bounces(
    files: Annotated[
        list[Path] | None, typer.Argument(exists=True, dir_okay=False, readable=True, help="Mails, one a file.")
    ] = None,
    stdin: Annotated[bool, typer.Option("--stdin", help="Take one mail, as a mail server's pipe gives it.")] = False,
) -> None:
    """Take mails that came back, and complaints: of files, of a mail server's pipe, or else of the mailbox
    (ADMITONE_MAIL_BOUNCES_URL), which a worker reads by itself, too.
    """
    import imaplib

    import psycopg

    from db.connections import primary
    from messages.returned import REPORT_BYTES_MAX
    from workers.messages.bounces import read_mailbox, take

    settings = load_settings()
    try:
        if files or stdin:
            mails = []
            for path in files or ():
                with path.open("rb") as file:
                    mails.append(file.read(REPORT_BYTES_MAX))
            if stdin:
                mails.append(sys.stdin.buffer.read(REPORT_BYTES_MAX))
                # A server that pipes wants the rest to be read, too.
                while sys.stdin.buffer.read(REPORT_BYTES_MAX):
                    pass
            with primary.connect(settings.db.url, "admitone-bounces") as connection:
                found = [taken for mail in mails if (taken := take(connection, mail))]
        elif settings.mail.bounces_url:
            found = read_mailbox(settings.db.url, settings.mail)
        else:
            raise fail("Name files, give --stdin, or set ADMITONE_MAIL_BOUNCES_URL.")
    except psycopg.OperationalError as error:
        # A mail server that pipes tries again after this status (EX_TEMPFAIL).
        typer.echo(f"Postgres cannot be reached: {error}", err=True)
        raise typer.Exit(75) from None
    except (imaplib.IMAP4.error, OSError, ValueError) as error:
        raise fail(sentence(error)) from None
    for returned, address in found:
        typer.echo(f"{returned.kind} {address} {returned.detail}".rstrip())

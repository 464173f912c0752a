"""The command about payments."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from admitone.commands.environment import load_settings


def reconcile(
    hours: Annotated[int, typer.Option(min=1, help="Payments that began in so many hours until now.")] = 72,
    resend: Annotated[bool, typer.Option("--resend", help="Send refunds again that were given up.")] = False,
) -> None:
    """Ask the providers what they took and gave back, and compare; exit 1 where something differs.

    What was paid and is not known here is looked at by the payment process at once, which books it or pays it back.
    """
    from db.sealing.keyring import Keyring, use
    from workers.payments.providers import providers_of
    from workers.payments.reconciling import Reconciled
    from workers.payments.reconciling import reconcile as compare
    from workers.settings import WorkerSettings

    settings = load_settings()
    use(Keyring.of(settings.site))
    providers = providers_of(settings.part(WorkerSettings))

    async def compared() -> Reconciled:
        try:
            return await compare(settings.db.url, providers, hours=hours, resend=resend)
        finally:
            for provider in providers.values():
                await provider.end()

    done = asyncio.run(compared())
    for difference in done.differences:
        mended = "; the payment process looks at it" if difference.mended else ""
        about = difference.payment_id
        named = "" if about is None else f"payment {about} of event {difference.event_id}: "
        typer.echo(f"{named}{difference.sentence}{mended}")
    if done.differences:
        raise typer.Exit(1)
    typer.echo(f"{done.payments} payments are with the providers as they are here.")

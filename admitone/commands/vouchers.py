"""The command that issues vouchers."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Annotated

import typer

from admitone.commands.environment import fail, load_settings, need_secret


def vouchers(
    event: Annotated[int, typer.Argument(min=1, help="Event id.")],
    percent: Annotated[float, typer.Option(min=0, max=100, help="Lower each price by so much of it.")] = 0,
    amount: Annotated[int, typer.Option(min=0, max=10**10, help="Lower each price by so many minor units.")] = 0,
    label: Annotated[str, typer.Option(help="What the operators call them.")] = "vouchers",
    count: Annotated[int, typer.Option(min=1, max=10_000, help="How many random vouchers.")] = 1,
    code: Annotated[str | None, typer.Option(help="One code of a name of your own instead.")] = None,
    uses: Annotated[int, typer.Option(min=1, max=1_000_000, help="Purchases that each is good for.")] = 1,
    hours: Annotated[float | None, typer.Option(min=0.01, max=87_600, help="Good for so long from now on.")] = None,
    ticket_type: Annotated[list[int] | None, typer.Option(help="Good for this ticket type; give it again.")] = None,
    why: Annotated[str, typer.Option(help="For the log.")] = "",
) -> None:
    """Issue vouchers, which lower prices at the checkout, and print their codes; they are shown only this once."""
    from admitone.vouchers import VouchersError, issue
    from db.vouchers.vouchers import NewVouchers

    settings = load_settings()
    need_secret(settings)
    new = NewVouchers(
        label=label,
        uses_max=uses,
        basis_points=round(percent * 100),
        amount=amount,
        ticket_type_ids=tuple(ticket_type) if ticket_type else None,
        ends_at=None if hours is None else dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours),
    )
    try:
        for one in asyncio.run(issue(settings, event, new, count=count, code=code, why=why)):
            typer.echo(one)
    except VouchersError as error:
        raise fail(str(error)) from None

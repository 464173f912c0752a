"""Payments: whether fans can pay, money goes back, and the providers' books are as ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from admitone.doctor.finding import Finding, error, fine, warning
from admitone.doctor.site import Site
from db.payments.overview import AT_THE_BANK, SITE, SiteFigures
from db.payments.reconciling import LATEST, latest_row

COMPARE: Final = (
    "Run `admitone payments reconcile`; the payment process does so by itself (ADMITONE_PAYMENT_RECONCILE_MINUTES)."
)
COMPARED_HOURS_MAX: Final = 26
"""Longer than a day between two comparisons is a payment process that does not run, or a site that forgot it."""


def examine(site: Site) -> Iterator[Finding]:
    if site.postgres is None:
        return
    settings = site.settings.payment
    row = site.rows(SITE, {"stuck_minutes": settings.stuck_minutes, "at_the_bank": AT_THE_BANK})[0]
    figures = SiteFigures._make(row)
    if not figures.events:
        return
    if not settings.names:
        yield error(
            "setup",
            "payments_off",
            f"{figures.events} events take payments, and this site has no provider",
            "Name their providers in ADMITONE_PAYMENT_PROVIDERS for gateways and workers alike.",
        )
    findings = list(_of_figures(figures, settings.stuck_minutes))
    yield from findings or [fine("behind", "payments", f"{figures.events} events take payments, and none is stuck")]
    yield from _of_books(site)


def _of_figures(figures: SiteFigures, stuck_minutes: int) -> Iterator[Finding]:
    if figures.unopened:
        yield error(
            "behind",
            "payments_unopened",
            f"{figures.unopened} payments wait for their provider to open them: {figures.error}",
            "See that the worker reaches the provider, and that its keys are right.",
        )
    if figures.stuck:
        yield warning(
            "behind",
            "payments_stuck",
            f"{figures.stuck} payments go on {stuck_minutes} minutes past their end: {figures.error or 'no error'}",
            "See that `admitone worker` runs its payment process, and that its lanes answer.",
        )
    if figures.refunds_dead:
        yield error(
            "behind",
            "refunds_dead",
            f"{figures.refunds_dead} refunds were given up: {figures.refund_error}",
            "Mend what the sentence says, then `admitone payments reconcile --resend`.",
        )
    if figures.refunds_stuck:
        yield warning(
            "behind",
            "refunds_stuck",
            f"{figures.refunds_stuck} refunds are not done after {stuck_minutes} minutes: {figures.refund_error}",
            "See that the worker reaches the provider, and that the account there has the money.",
        )


def _of_books(site: Site) -> Iterator[Finding]:
    rows = site.rows(LATEST, {})
    if not rows:
        yield warning(
            "behind",
            "payments_not_compared",
            "Payments were never compared with the providers' books",
            COMPARE,
        )
        return
    latest = latest_row(rows[0])
    age = site.rows("SELECT extract(epoch FROM clock_timestamp() - %(at)s)::float / 3600", {"at": latest.ended_at})
    left = [one for one in latest.differences if not one.mended]
    if left:
        yield error(
            "behind",
            "payments_differ",
            f"{len(left)} payments are not with their providers as they are here, e.g. {left[0].sentence}",
            "Look at each with `admitone payments reconcile`, and mend it at the provider.",
        )
    elif age[0][0] > COMPARED_HOURS_MAX:
        yield warning(
            "behind",
            "payments_not_compared",
            f"Payments were last compared with the providers' books {age[0][0]:.0f} hours ago",
            COMPARE,
        )
    else:
        yield fine("behind", "payments_compared", f"{latest.payments} payments are as their providers have them")

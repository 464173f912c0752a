"""Run inside pretix's own environment (``python -m pretix shell < seed.py``): a show with free tickets without end."""

import datetime

from django.utils.timezone import now
from django_scopes import scopes_disabled
from pretix.base.models import Event, Organizer

with scopes_disabled():
    organizer = Organizer.objects.create(name="Demo", slug="demo")
    event = Event.objects.create(
        organizer=organizer,
        name="The Show",
        slug="show",
        currency="EUR",
        date_from=now() + datetime.timedelta(days=30),
        live=True,
    )
    event.set_defaults()
    event.settings.attendee_names_asked = False
    event.settings.invoice_address_asked = False
    event.settings.ticket_download = False
    event.settings.mail_send_order_free_attendee = False
    ticket = event.items.create(name="Ticket", default_price=0, admission=False, active=True)
    quota = event.quotas.create(name="All", size=None)
    quota.items.add(ticket)
    print(f"ITEM {ticket.pk}")

"""Letters say what they should in every language, and nothing that an event is called can change what they are."""

from __future__ import annotations

import datetime as dt
import email
import email.policy
import re
import string

import pytest
from babel.messages.catalog import Catalog

from db.languages import LANGUAGE_TAGS
from db.messages.kinds import CHOOSABLE, MAIL, SMS, MessageKind
from db.messages.queue import EventFacts, TicketFacts
from gateway.pages.languages import OTHERS, Language
from gateway.pages.texts import texts
from gateway.pages.told import KIND_WORDS
from messages.files import files_of
from messages.languages import FOLDER, read_catalogue
from messages.letters import Letter, Occasion, write_letter
from messages.links import Links, LinkTokens
from messages.look import Look
from messages.mime import mail_of
from messages.settings import MessageSettings, ProviderUrlError, provider_of
from workers.messages.fan_out import after_quiet_hours
from workers.messages.sender import retry_wait_seconds

EVENT = EventFacts(
    "Night & <Day> 100%",
    "Ada",
    "Arena",
    dt.datetime(2026, 12, 1, 19, tzinfo=dt.UTC),
    "Europe/Berlin",
    None,
    dt.datetime(2026, 11, 1, tzinfo=dt.UTC),
    "EUR",
    "",
    "published",
    1,
)
PAYLOAD = {
    "minutes": 5,
    "place": "token",
    "endsAt": "2026-12-01T18:00:00+00:00",
    "purchaseId": "p",
    "amount": 4500,
    "seats": 2,
    "followerId": "f",
    "name": "Ada",
    "title": "An alarm",
    "short": "A line",
    "alarms": [{"title": "An alarm", "sentence": "A line", "facts": [["Event", "Night"]]}] * 2,
    "more": "And more.",
    "path": "/ops",
    "before": {"date": "2026-11-30T18:00:00+00:00"},
}
LINKS = Links("https://venue.example", LinkTokens("a secret of the tests, which is long enough"))
_PERCENT = re.compile(r"%\((\w+)\)s")


def letter(kind: MessageKind, language: str = "en", *, tickets: int = 2, event: EventFacts = EVENT) -> Letter:
    bought = [TicketFacts(9000, "EUR", "Stalls", "", "1", str(n), 4500, f"CODE-{n}") for n in range(1, tickets + 1)]
    occasion = Occasion(
        kind=kind, event_id=1, event=event, payload=PAYLOAD, tickets=bought if kind is MessageKind.PURCHASE else ()
    )
    written = write_letter(occasion, MAIL, "ada@example.org", language, Look(), LINKS)
    written.files = files_of(occasion, written, Look())
    return written


@pytest.mark.parametrize("language", LANGUAGE_TAGS)
@pytest.mark.parametrize("kind", list(MessageKind))
def test_every_letter_is_whole_in_every_language(kind: MessageKind, language: str) -> None:
    written = letter(kind, language)
    assert written.subject
    assert "%(" not in written.text + written.html + written.short
    assert "Night &amp; &lt;Day&gt; 100%" in written.html or EVENT.name not in written.text
    assert "<Day>" not in written.html
    assert written.url in written.text
    if language != "en" and kind is not MessageKind.ALARM:
        assert written.subject != letter(kind).subject or kind is MessageKind.NEW_EVENT


def test_what_an_event_is_called_cannot_write_headers_of_a_mail() -> None:
    with pytest.raises(ValueError, match="linefeed"):
        mail_of(
            letter(MessageKind.TURN, event=EVENT._replace(name="A\r\nBcc: eve@example.org")),
            "ada@example.org",
            "tickets@venue.example",
            "Admit One",
            "id",
        )


def test_a_mail_has_text_and_html_and_its_files() -> None:
    mail = mail_of(letter(MessageKind.PURCHASE), "ada@example.org", "tickets@venue.example", 'Café, "X"', "id")
    read = email.message_from_bytes(mail, policy=email.policy.default)
    types = [part.get_content_type() for part in read.walk() if not part.is_multipart()]
    assert types == ["text/plain", "text/html", "image/png", "image/png", "application/pdf", "text/calendar"]
    assert read["From"].addresses[0].display_name == 'Café, "X"'
    assert read["Message-ID"] == "<id@venue.example>"


def test_an_sms_has_no_links_but_its_own() -> None:
    occasion = Occasion(kind=MessageKind.TURN, event_id=1, event=EVENT, payload=PAYLOAD)
    written = write_letter(occasion, SMS, "+4930123456", "de", Look(), LINKS)
    assert written.unsubscribe == written.html == ""
    assert written.url == "https://venue.example/de/events/1#place=token"


def test_tickets_whose_letters_no_font_has_come_without_a_pdf() -> None:
    names = {
        file.name for file in letter(MessageKind.PURCHASE, event=EVENT._replace(name="夜の音楽会 \U0010fffd")).files
    }
    assert names == {"event.ics"}


def test_each_kind_that_can_be_chosen_has_its_words() -> None:
    assert set(KIND_WORDS) == set(CHOOSABLE)


@pytest.mark.parametrize("language", OTHERS, ids=lambda language: language.tag)
def test_every_text_is_translated_with_its_placeholders(language: Language) -> None:
    said, translated = texts(FOLDER.parent), read_catalogue(FOLDER, language.tag)
    for message in said:
        if not message.id:
            continue
        found = translated.get(message.id)
        assert found is not None, f"make texts, and translate {message.id!r}"
        forms = (found.string,) if isinstance(found.string, str) else tuple(found.string or ())
        assert len(forms) == (1 if isinstance(message.id, str) else translated.num_plurals)
        english = message.id if isinstance(message.id, str) else message.id[1]
        for form in forms:
            assert form, message.id
            assert placeholders(form) == placeholders(english), (english, form)
    assert identities(translated) == identities(said)


def placeholders(text: str) -> set[str]:
    return set(_PERCENT.findall(text)) | {name for _, name, _, _ in string.Formatter().parse(text) if name}


def identities(catalogue: Catalog) -> set[str]:
    return {str(message.id) for message in catalogue if message.id}


@pytest.mark.parametrize(
    ("hour", "minute", "due"),
    [(20, 59, "20:59"), (21, 0, "08:00"), (23, 30, "08:00"), (3, 0, "08:00"), (7, 59, "08:00"), (8, 0, "08:00")],
)
def test_a_night_is_waited_for_by_the_clock_of_the_venue(hour: int, minute: int, due: str) -> None:
    zone = dt.timezone(dt.timedelta(hours=1))
    at = dt.datetime(2026, 11, 29, hour, minute, tzinfo=zone)
    found = after_quiet_hours(at, "Europe/Berlin", MessageSettings()).astimezone(zone)
    assert found >= at
    assert f"{found:%H:%M}" == due
    assert found - at < dt.timedelta(hours=12)


def test_no_quiet_hours_where_they_begin_when_they_end() -> None:
    at = dt.datetime(2026, 11, 29, 3, tzinfo=dt.UTC)
    assert after_quiet_hours(at, "UTC", MessageSettings(quiet_from=0, quiet_until=0)) == at


def test_waits_treble_and_are_bounded() -> None:
    settings = MessageSettings()
    assert [retry_wait_seconds(settings, tries) for tries in (1, 2, 3, 9, 40)] == [5, 15, 45, 3600, 3600]
    assert retry_wait_seconds(settings, 1, 60) == 60


@pytest.mark.parametrize("url", ["http://host", "smtp://", "smtp://host:99999", "host:25", ""])
def test_what_is_no_server_of_mail_is_refused(url: str) -> None:
    with pytest.raises(ProviderUrlError):
        provider_of(url, ("smtp", "smtps"))


def test_a_server_is_taken_apart() -> None:
    server = provider_of("smtps://ada%40example.org:p%3Aw@mail.example.org", ("smtp", "smtps"))
    assert (server.user, server.password, server.host, server.port) == (
        "ada@example.org",
        "p:w",
        "mail.example.org",
        465,
    )

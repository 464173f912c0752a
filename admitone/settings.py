"""The settings of all components together: the only module that reads the environment.

A setting is a field of its component's struct (`db.settings` says how one is written); this module gives each struct
its section, and finds every field's variable.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple, Self, TypeVar

import msgspec
from msgspec.inspect import Metadata, StructType, type_info

from booking_lane.clusters import cluster_address
from booking_lane.sentinels import sentinel_address
from booking_lane.settings import HoldSettings, LaneSettings, RedisSettings
from db.connections.urls import NO_POOLER, with_citus, with_pooler
from db.edge.settings import EdgeSettings
from db.invoices.settings import InvoiceSettings
from db.payments.states import MOLLIE, STRIPE, TEST
from db.rooms.settings import RoomSettings
from db.search.index.settings import SearchIndexSettings
from db.settings import DatabaseSettings, Section, SiteSettings, bounded, setting
from db.shops.probes import networks_in
from gateway.accounts.settings import AccountSettings, OidcSettings
from gateway.booking.settings import ScanSettings, TicketSettings
from gateway.branding.brand import BrandError, check
from gateway.captcha.settings import CaptchaSettings
from gateway.hall.settings import HallSettings
from gateway.identity.settings import GuardSettings, OperatorSettings, SessionSettings
from gateway.line.settings import AutopilotSettings
from gateway.process.settings import EndingSettings
from gateway.programme.settings import EventSettings, PictureSettings
from gateway.search.settings import SearchSettings
from gateway.shops.settings import ShopSettings
from gateway.wire.addresses import PublicAddress
from gateway.wire.proxies import TrustedProxies
from gateway.wire.served import Served
from gateway.wire.settings import (
    BodySettings,
    ConnectionSettings,
    LimitSettings,
    MetricsSettings,
    ServedSettings,
    StreamSettings,
)
from messages.brand_settings import BrandSettings
from messages.settings import (
    IMAP_SCHEMES,
    SMS_SCHEMES,
    SMTP_SCHEMES,
    AlarmSettings,
    MailSettings,
    MessageSettings,
    ProviderUrlError,
    PushSettings,
    SmsSettings,
    is_public_key,
    provider_of,
)
from payments.settings import MOLLIE_METHODS, MollieSettings, PaymentSettings, StripeSettings
from tickets.settings import WalletSettings
from waiting_room.settings import LineSettings
from workers.channels.webhooks.settings import WebhookSettings
from workers.settings import KeepSettings

PREFIX: Final = "ADMITONE_"
FILE_ENDING: Final = "_FILE"
"""A variable with this ending names a file that holds the value, as container engines hand out secrets."""
FILE_CHARACTERS_MAX: Final = 65_536
SECRET_CHARACTERS_MIN: Final = 32
SECRET_LETTERS_MIN: Final = 8
"""A secret has at least so many different characters. Repeated words have fewer; 32 random digits hardly ever do."""

METRICS_TOKEN_CHARACTERS_MIN: Final = 16

_token_is_possible: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*").fullmatch
"""RFC 6750, 2.1."""
_Part = TypeVar("_Part", bound=msgspec.Struct)


class SettingsError(ValueError):
    """A variable of the environment is missing, malformed or out of its bounds."""


class EmbeddedSettings(Section, frozen=True, kw_only=True):
    data_dir: Annotated[str, setting("where the embedded servers keep their data", variable="ADMITONE_DATA_DIR")] = (
        ".admitone"
    )


class LogSettings(Section, frozen=True, kw_only=True):
    format: Annotated[Literal["auto", "text", "json"], setting("auto is json in production, text in development")] = (
        "auto"
    )


class TelemetrySettings(Section, frozen=True, kw_only=True):
    otlp_endpoint: Annotated[
        str,
        setting(
            "OTLP/HTTP collector that takes traces, e.g. http://127.0.0.1:4318; empty: none are made",
            variable="ADMITONE_OTLP_ENDPOINT",
        ),
    ] = ""
    trace_ratio: Annotated[
        float, bounded("share of requests that are traced", 0, 1, variable="ADMITONE_TRACE_RATIO")
    ] = 0.1
    sentry_dsn: Annotated[
        str, setting("Sentry project that takes reports of errors; empty: none", variable="ADMITONE_SENTRY_DSN")
    ] = ""


class ServerSettings(Section, frozen=True, kw_only=True):
    host: Annotated[str, setting("address the gateway listens on", variable="ADMITONE_HOST")] = "127.0.0.1"
    port: Annotated[
        int, bounded("port the gateway listens on; 0 takes a free one", 0, 65535, variable="ADMITONE_PORT")
    ] = 8000
    tls_cert: Annotated[
        str,
        setting(
            "file of the certificate and its chain, in PEM, by which the gateway speaks TLS to the proxy; empty: HTTP",
            variable="ADMITONE_TLS_CERT",
        ),
    ] = ""
    tls_key: Annotated[str, setting("file of that certificate's key, in PEM", variable="ADMITONE_TLS_KEY")] = ""


class Row(NamedTuple):
    """One setting: where its field stands in `Settings`, its variable, its default and its sentence."""

    section: str
    field: str
    variable: str
    default: str
    sentence: str


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """A process's settings: one section a component."""

    db: DatabaseSettings = DatabaseSettings()
    redis: RedisSettings = RedisSettings()
    site: SiteSettings = SiteSettings()
    server: ServerSettings = ServerSettings()
    embedded: EmbeddedSettings = EmbeddedSettings()
    log: LogSettings = LogSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    lane: LaneSettings = LaneSettings()
    hold: HoldSettings = HoldSettings()
    line: LineSettings = LineSettings()
    room: RoomSettings = RoomSettings()
    autopilot: AutopilotSettings = AutopilotSettings()
    session: SessionSettings = SessionSettings()
    operator: OperatorSettings = OperatorSettings()
    guard: GuardSettings = GuardSettings()
    account: AccountSettings = AccountSettings()
    oidc: OidcSettings = OidcSettings()
    captcha: CaptchaSettings = CaptchaSettings()
    limit: LimitSettings = LimitSettings()
    gateway: ServedSettings = ServedSettings()
    connection: ConnectionSettings = ConnectionSettings()
    metrics: MetricsSettings = MetricsSettings()
    body: BodySettings = BodySettings()
    stream: StreamSettings = StreamSettings()
    event: EventSettings = EventSettings()
    hall: HallSettings = HallSettings()
    picture: PictureSettings = PictureSettings()
    ticket: TicketSettings = TicketSettings()
    scan: ScanSettings = ScanSettings()
    brand: BrandSettings = BrandSettings()
    push: PushSettings = PushSettings()
    ending: EndingSettings = EndingSettings()
    webhook: WebhookSettings = WebhookSettings()
    message: MessageSettings = MessageSettings()
    mail: MailSettings = MailSettings()
    sms: SmsSettings = SmsSettings()
    alarm: AlarmSettings = AlarmSettings()
    keep: KeepSettings = KeepSettings()
    wallet: WalletSettings = WalletSettings()
    payment: PaymentSettings = PaymentSettings()
    edge: EdgeSettings = EdgeSettings()
    stripe: StripeSettings = StripeSettings()
    mollie: MollieSettings = MollieSettings()
    invoice: InvoiceSettings = InvoiceSettings()
    search: SearchSettings = SearchSettings()
    shop: ShopSettings = ShopSettings()
    search_index: SearchIndexSettings = SearchIndexSettings()

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the environment (``os.environ`` unless given).

        Raises:
            SettingsError: a value is malformed, out of bounds, or unsafe in production.
        """
        environ = os.environ if environ is None else environ
        given: dict[str, dict[str, str]] = {}
        for row in ROWS:
            value = _given(environ, row.variable)
            if value != "":
                given.setdefault(row.section, {})[row.field] = value
        variables = {row.variable + ending for row in ROWS for ending in ("", FILE_ENDING)}
        unknown = sorted(name for name in environ if name.startswith(PREFIX) and name not in variables)
        if unknown:
            raise SettingsError(f"{unknown[0]} is no setting of Admit One; `admitone settings` lists them")
        try:
            settings = msgspec.convert(given, cls, strict=False)
        except msgspec.ValidationError as error:
            raise SettingsError(_with_variables(str(error))) from None
        settings._refuse_unsafe()
        return settings._saying_where_urls_lead()

    def _saying_where_urls_lead(self) -> Self:
        """The same settings, with URLs of Postgres that say what they lead to (`db.connections.urls`)."""
        if self.db.pooler == NO_POOLER and not self.db.citus:
            return self
        urls = {
            name: with_citus(with_pooler(url, self.db.pooler), is_citus=self.db.citus) if url else ""
            for name, url in (("url", self.db.url), ("replica_url", self.db.replica_url))
        }
        return msgspec.structs.replace(self, db=msgspec.structs.replace(self.db, **urls))

    def part(self, wanted: type[_Part]) -> _Part:
        """The sections that ``wanted`` names, for a group of processes that takes no others."""
        return wanted(**{name: getattr(self, name) for name in wanted.__struct_fields__})

    @property
    def json_logs(self) -> bool:
        return self.log.format == "json" or (self.log.format == "auto" and self.site.production)

    def _refuse_unsafe(self) -> None:
        try:
            proxies = TrustedProxies.of(self.connection.trusted_proxies)
        except ValueError as error:
            raise SettingsError(f"ADMITONE_TRUSTED_PROXIES: {error}") from None
        try:
            PublicAddress.of(self.site.public_url or "/")
        except ValueError as error:
            raise SettingsError(f"ADMITONE_PUBLIC_URL: {error}") from None
        try:
            networks_in(self.shop.probe_networks)
        except ValueError as error:
            raise SettingsError(f"ADMITONE_SHOP_PROBE_NETWORKS: {error}") from None
        try:
            Served.of(self.gateway.serve, self.gateway.events)
        except ValueError as error:
            raise SettingsError(f"ADMITONE_GATEWAY_SERVE, ADMITONE_GATEWAY_EVENTS: {error}") from None
        try:
            check(self.brand)
        except BrandError as error:
            raise SettingsError(str(error)) from None
        if self.push.public_key and not is_public_key(self.push.public_key):
            raise SettingsError("ADMITONE_PUSH_PUBLIC_KEY is no VAPID public key: 65 bytes, in base64url")
        try:
            self.oidc.named()
        except (ValueError, msgspec.MsgspecError) as error:
            raise SettingsError(f"ADMITONE_OIDC_ISSUERS: {error}") from None
        self._refuse_redis()
        self._refuse_providers()
        self._refuse_payments()
        if self.metrics.token and not _token_is_possible(self.metrics.token):
            raise SettingsError("ADMITONE_METRICS_TOKEN may have letters, digits and -._~+/=, and no blank")
        if not self.site.production:
            return
        if proxies.too_many:
            raise SettingsError(
                "ADMITONE_TRUSTED_PROXIES trusts half of the Internet or all of it, so that fans could claim to be "
                "other networks: name the proxies' own addresses in production"
            )
        if self.metrics.token and len(self.metrics.token) < METRICS_TOKEN_CHARACTERS_MIN:
            raise SettingsError(
                f"ADMITONE_METRICS_TOKEN must be of at least {METRICS_TOKEN_CHARACTERS_MIN} characters in production"
            )
        if self.session.open_auth:
            raise SettingsError("ADMITONE_AUTH=open trusts a client's word for who they are: not in production")
        if _is_weak(self.site.secret):
            raise SettingsError("ADMITONE_SECRET must be random, of at least 32 characters, in production")
        if any(_is_weak(secret) for secret in self.site.data_keys.split()):
            raise SettingsError("Each of ADMITONE_DATA_KEYS must be random, of at least 32 characters, in production")
        if TEST in self.payment.names:
            raise SettingsError("ADMITONE_PAYMENT_PROVIDERS: the test provider takes no money: not in production")
        if self.captcha.provider == "off":
            raise SettingsError("ADMITONE_CAPTCHA=off leaves checkout to bots: not in production")

    def _refuse_redis(self) -> None:
        for variable, url in (("REDIS_URL", self.redis.url), ("ADMITONE_JOBS_REDIS_URL", self.redis.jobs_url)):
            try:
                sentinel_address(url)
                cluster_address(url)
            except ValueError as error:
                raise SettingsError(f"{variable}: {error}") from None
        if cluster_address(self.redis.jobs) is not None:
            raise SettingsError(
                "RQ's jobs do not run on a cluster: set ADMITONE_JOBS_REDIS_URL to one Redis, or to its sentinels"
            )

    def _refuse_payments(self) -> None:
        try:
            _ = self.invoice.since_at
        except ValueError as error:
            raise SettingsError(f"ADMITONE_INVOICE_SINCE: {error}") from None
        names = self.payment.names
        if self.payment.unknown:
            raise SettingsError(f"ADMITONE_PAYMENT_PROVIDERS: there is no provider {self.payment.unknown[0]!r}")
        if STRIPE in names and not self.stripe.is_whole:
            raise SettingsError(
                "ADMITONE_PAYMENT_PROVIDERS has stripe: set ADMITONE_STRIPE_SECRET_KEY, ADMITONE_STRIPE_PUBLIC_KEY and "
                "ADMITONE_STRIPE_WEBHOOK_SECRET"
            )
        if MOLLIE in names and not self.mollie.api_key:
            raise SettingsError("ADMITONE_PAYMENT_PROVIDERS has mollie: set ADMITONE_MOLLIE_API_KEY")
        if MOLLIE in names and (not self.mollie.method_names or self.mollie.slow_methods):
            wrong = ", ".join(self.mollie.slow_methods) or "none"
            raise SettingsError(
                f"ADMITONE_MOLLIE_METHODS names {wrong}: holds last minutes, so name methods that are paid at once: "
                f"{', '.join(sorted(MOLLIE_METHODS))}"
            )
        if self.site.production and (STRIPE in names or MOLLIE in names):
            if not PublicAddress.of(self.message.links or self.site.public_url or "/").origin:
                raise SettingsError(
                    "Fans come back from a payment provider: name the site's whole address in ADMITONE_PUBLIC_URL or "
                    "ADMITONE_MESSAGE_LINKS"
                )
            for variable, url, own in (
                ("ADMITONE_STRIPE_URL", self.stripe.url, StripeSettings().url),
                ("ADMITONE_MOLLIE_URL", self.mollie.url, MollieSettings().url),
            ):
                if url != own:
                    raise SettingsError(f"{variable} is for tests alone: in production it is {own}")

    def _refuse_providers(self) -> None:
        providers = (
            ("ADMITONE_MAIL_URL", self.mail.url, tuple(SMTP_SCHEMES)),
            ("ADMITONE_MAIL_FALLBACK_URL", self.mail.fallback_url, tuple(SMTP_SCHEMES)),
            ("ADMITONE_MAIL_BOUNCES_URL", self.mail.bounces_url, tuple(IMAP_SCHEMES)),
            ("ADMITONE_SMS_URL", self.sms.url, SMS_SCHEMES),
            ("ADMITONE_SMS_FALLBACK_URL", self.sms.fallback_url, SMS_SCHEMES),
        )
        for variable, url, schemes in providers:
            try:
                if url:
                    provider_of(url, schemes)
            except ProviderUrlError as error:
                raise SettingsError(f"{variable}: {error}") from None
        if self.mail.return_path and not all(self.mail.return_path.rpartition("@")):
            raise SettingsError("ADMITONE_MAIL_RETURN_PATH: name a whole address, as bounces@venue.example")
        if self.push.contact and not self.push.contact.startswith(("mailto:", "https://")):
            raise SettingsError("ADMITONE_PUSH_CONTACT: push services want a mailto: or https: address of yours")
        try:
            links = PublicAddress.of(self.message.links or self.site.public_url or "/")
            if self.message.links and not links.origin:
                raise ValueError("name a whole address, as https://venue.example/tickets")
        except ValueError as error:
            raise SettingsError(f"ADMITONE_MESSAGE_LINKS: {error}") from None
        if self.site.production and (self.mail.url or self.sms.url) and not links.origin:
            raise SettingsError(
                "Messages have links: name the site's whole address in ADMITONE_PUBLIC_URL or ADMITONE_MESSAGE_LINKS"
            )


def environ_with(values: Mapping[str, str]) -> dict[str, str]:
    """This process' environment for a child, with these variables in place of what it says of them."""
    shadowed = {*values, *(name + FILE_ENDING for name in values)}
    return {name: value for name, value in os.environ.items() if name not in shadowed} | dict(values)


def _is_weak(secret: str) -> bool:
    return len(secret) < SECRET_CHARACTERS_MIN or len(set(secret)) < SECRET_LETTERS_MIN


def _given(environ: Mapping[str, str], variable: str) -> str:
    """What the environment gives for a variable, itself or in a file; empty for nothing.

    Raises:
        SettingsError: it is given twice, or its file cannot be read.
    """
    value, path = environ.get(variable, ""), environ.get(variable + FILE_ENDING, "")
    if not path:
        return value
    if value:
        raise SettingsError(f"{variable} and {variable}{FILE_ENDING} are both set: keep one of them")
    try:
        with open(path, encoding="utf-8") as file:
            content = file.read(FILE_CHARACTERS_MAX + 1)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise SettingsError(f"{variable}{FILE_ENDING}: {path} cannot be read: {why}") from None
    if len(content) > FILE_CHARACTERS_MAX:
        raise SettingsError(f"{variable}{FILE_ENDING}: {path} has more than {FILE_CHARACTERS_MAX} characters")
    return content.removesuffix("\n").removesuffix("\r")


def _rows() -> Iterator[Row]:
    for section in _fields(Settings):
        for field in _fields(getattr(Settings(), section.name).__class__):
            described: Any = field.type
            assert isinstance(described, Metadata), f"{section.name}.{field.name} says nothing of itself"
            variable = (described.extra or {}).get("variable") or f"{PREFIX}{section.name}_{field.name}".upper()
            sentence = str((described.extra_json_schema or {})["description"])
            yield Row(section.name, field.name, variable, str(field.default), sentence)


def _fields(struct: type[msgspec.Struct]) -> tuple[msgspec.inspect.Field, ...]:
    info = type_info(struct)
    assert isinstance(info, StructType)
    return info.fields


ROWS: Final = tuple(_rows())
"""Every setting, in the order of the sections and their fields."""


def _with_variables(message: str) -> str:
    """The message with ``$.section.field`` replaced by the variable that sets it."""
    by_path = {f"$.{row.section}.{row.field}": row.variable for row in ROWS}
    return re.sub(r"\$\.\w+\.\w+", lambda path: by_path.get(path[0], path[0]), message)

"""Settings of fans' accounts."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from db.settings import Section, bounded, setting
from db.texts import ONE_LINE

ALGORITHMS_PATTERN: Final = r"^(RS256|RS384|RS512|PS256|PS384|PS512|ES256|ES384|ES512|EdDSA)(,(RS256|RS384|RS512|PS256|PS384|PS512|ES256|ES384|ES512|EdDSA))*$"  # noqa: E501
KEY_PATTERN: Final = r"^(?!back$)[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$"
"""How an issuer's part of our addresses is spelt; ``back`` is an address already."""
ISSUERS_MAX: Final = 20

Url = Annotated[str, Meta(min_length=1, max_length=500, pattern=ONE_LINE)]
Name = Annotated[str, Meta(min_length=1, max_length=60, pattern=ONE_LINE)]
Scopes = Annotated[str, Meta(min_length=1, max_length=200, pattern=ONE_LINE)]
Algorithms = Annotated[str, Meta(pattern=ALGORITHMS_PATTERN)]


class AccountSettings(Section, frozen=True, kw_only=True):
    offered: Annotated[
        Literal["yes", "no"],
        setting("whether fans may have accounts; by password where the site sends mail", variable="ADMITONE_ACCOUNTS"),
    ] = "yes"
    session_days: Annotated[
        int, bounded("a session of an account ends after so long, however much it is used", 1, 365)
    ] = 30
    wrong_per_minute: Annotated[int, bounded("wrong sign-ins of fans per address prefix and minute", 1, 100_000)] = 120
    hashes_waiting_max: Annotated[
        int, bounded("sign-ins of fans that wait for their turn to hash, in one gateway process", 1, 1000)
    ] = 64
    rooms_moved_max: Annotated[
        int, bounded("open lines that a sign-in looks through for the fan's places", 1, 10_000)
    ] = 500


class IssuerSettings(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One issuer of OpenID Connect, as the list of them has it.

    ``key`` is its part of our addresses, which is empty for the one that has variables of its own. ``trust_mail`` is
    whether an address that it calls verified opens the account of that address.
    """

    key: Annotated[str, Meta(pattern=KEY_PATTERN)]
    name: Name
    issuer: Url
    client_id: Annotated[str, Meta(min_length=1)]
    client_secret: str = ""
    scopes: Scopes | None = None
    algorithms: Algorithms | None = None
    trust_mail: bool = False

    def __repr__(self) -> str:
        # A traceback may show it, and it has a secret.
        return f"<issuer {self.key!r}>"


class OidcSettings(Section, frozen=True, kw_only=True):
    """The issuers of OpenID Connect by which fans sign in: one has variables of its own, further ones are a list."""

    issuer: Annotated[
        str,
        setting("issuer by which fans sign in, e.g. https://id.venue.example/realms/fans; empty: none"),
        Meta(max_length=500, pattern=ONE_LINE),
    ] = ""
    name: Annotated[
        str, setting("what fans call the issuer; it stands on the button"), Meta(max_length=60, pattern=ONE_LINE)
    ] = "OpenID"
    client_id: Annotated[str, setting("this site's client id at the issuer")] = ""
    client_secret: Annotated[str, setting("this site's client secret at the issuer; empty: a public client")] = ""
    issuers: Annotated[
        str,
        setting(
            'further issuers, a list in JSON: [{"key": "uni", "name": "University", "issuer": "https://id.uni.example",'
            ' "clientId": "admitone", "clientSecret": "…"}], perhaps with scopes, algorithms and trustMail'
        ),
    ] = ""
    scopes: Annotated[
        str, setting("what is asked of an issuer, with blanks between"), Meta(max_length=200, pattern=ONE_LINE)
    ] = "openid email"
    algorithms: Annotated[
        str,
        setting("comma-separated algorithms with which an issuer may sign"),
        Meta(pattern=ALGORITHMS_PATTERN),
    ] = "RS256,ES256"
    timeout_seconds: Annotated[int, bounded("one request to an issuer", 1, 60)] = 10
    keys_seconds: Annotated[int, bounded("how long an issuer's description and keys are kept", 60, 86_400)] = 3600

    def named(self) -> tuple[IssuerSettings, ...]:
        """All issuers, in the order in which fans are offered them.

        Raises:
            ValueError: the list is malformed or too long, or two issuers have the same key or address.
        """
        named = msgspec.json.decode(self.issuers, type=list[IssuerSettings]) if self.issuers else []
        if self.issuer and self.client_id:
            named.insert(0, self._own())
        if len(named) > ISSUERS_MAX:
            raise ValueError(f"more than {ISSUERS_MAX} issuers")
        for what in ("key", "issuer"):
            if len({getattr(one, what) for one in named}) < len(named):
                raise ValueError(f"two issuers have the same {what}")
        return tuple(named)

    def _own(self) -> IssuerSettings:
        return IssuerSettings(
            key="",
            name=self.name,
            issuer=self.issuer,
            client_id=self.client_id,
            client_secret=self.client_secret,
            trust_mail=True,
        )

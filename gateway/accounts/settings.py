"""Settings of fans' accounts."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from db.settings import Section, bounded, setting
from db.texts import ONE_LINE

ALGORITHMS_PATTERN = r"^(RS256|RS384|RS512|PS256|PS384|PS512|ES256|ES384|ES512|EdDSA)(,(RS256|RS384|RS512|PS256|PS384|PS512|ES256|ES384|ES512|EdDSA))*$"  # noqa: E501


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


class OidcSettings(Section, frozen=True, kw_only=True):
    """One issuer of OpenID Connect, by which fans sign in."""

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
    scopes: Annotated[
        str, setting("what is asked of the issuer, with blanks between"), Meta(max_length=200, pattern=ONE_LINE)
    ] = "openid email"
    algorithms: Annotated[
        str,
        setting("comma-separated algorithms with which the issuer may sign"),
        Meta(pattern=ALGORITHMS_PATTERN),
    ] = "RS256,ES256"
    timeout_seconds: Annotated[int, bounded("one request to the issuer", 1, 60)] = 10
    keys_seconds: Annotated[int, bounded("how long the issuer's description and keys are kept", 60, 86_400)] = 3600

    @property
    def allowed(self) -> list[str]:
        """The algorithms that are taken."""
        return self.algorithms.split(",")

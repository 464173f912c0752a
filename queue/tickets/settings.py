"""Settings of tickets in the wallets of phones."""

from __future__ import annotations

from typing import Annotated

from db.settings import Section, setting


class WalletSettings(Section, frozen=True, kw_only=True):
    """A wallet is offered where its file is named. Files are read once, when a gateway starts."""

    apple_certificate: Annotated[
        str, setting("file (PEM) with the certificate of a pass type and its private key; empty: no Apple Wallet")
    ] = ""
    apple_intermediate: Annotated[str, setting("file (PEM) with Apple's intermediate certificate (WWDR)")] = ""
    google_account: Annotated[
        str, setting("file (JSON) with the key of Google's service account; empty: no Google Wallet")
    ] = ""
    google_issuer: Annotated[str, setting("number of the issuer at Google Wallet")] = ""

"""Settings of the looks at shops."""

from __future__ import annotations

from typing import Annotated

from db.settings import Section, bounded, setting
from db.shops.probes import Networks, networks_in


class ShopSettings(Section, frozen=True, kw_only=True):
    probe_seconds: Annotated[
        float, bounded("between two looks at a shop's probe URL; after a slow answer longer", 0.2, 30)
    ] = 1.0
    probe_seconds_max: Annotated[float, bounded("a look that takes longer counts as failed", 0.2, 30)] = 5.0
    probe_networks: Annotated[
        str,
        setting(
            "comma-separated networks inside, as 10.1.0.0/16, that a shop's probe URL may lead to in production; empty:"
            " public addresses alone"
        ),
    ] = ""

    @property
    def networks(self) -> Networks:
        """The networks of ``probe_networks``.

        Raises:
            ValueError: one is malformed.
        """
        return networks_in(self.probe_networks)

"""Settings of the search's index at Elasticsearch. Without ``urls`` Postgres alone searches."""

from __future__ import annotations

from typing import Annotated

from db.settings import Section, bounded, setting


class SearchIndexSettings(Section, frozen=True, kw_only=True):
    urls: Annotated[
        str,
        setting(
            "Elasticsearch 9, e.g. https://elastic:password@search:9200, several with blanks between; empty: Postgres"
            " alone searches"
        ),
    ] = ""
    name: Annotated[str, setting("the alias of its index there; each site has its own")] = "admitone-events"
    api_key: Annotated[str, setting("an API key of Elasticsearch's, instead of a name and a password in the URL")] = ""
    ca_file: Annotated[
        str, setting("file of the certificates that sign Elasticsearch's own, in PEM; empty: the system's")
    ] = ""
    timeout_seconds: Annotated[
        float, bounded("its answer to a search is waited for so long, and then Postgres searches", 0.05, 10)
    ] = 0.5
    away_seconds: Annotated[
        float, bounded("after it failed Postgres searches for so long, and then one search tries it again", 0.5, 300)
    ] = 5.0
    write_seconds: Annotated[int, bounded("its answer to a write is waited for so long", 1, 120)] = 15

    @property
    def is_used(self) -> bool:
        return bool(self.urls.strip())

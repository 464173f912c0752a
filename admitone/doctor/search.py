"""The search: whether what it finds keeps up with the events, and the index at Elasticsearch if there is one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from admitone.doctor.finding import Finding, fine, warning
from admitone.doctor.site import Site
from db.search.folding import FOLDING
from db.search.index.changes import WAITING
from db.search.writing import COUNT_BEHIND

COUNTED_MAX: Final = 10_000
LATE_SECONDS_MAX: Final = 60
_ON_SHOW: Final = "SELECT count(*) FROM event_search"


def examine(site: Site) -> Iterator[Finding]:
    if site.postgres is None:
        return
    behind = site.value(COUNT_BEHIND, {"folding": FOLDING, "rows_max": COUNTED_MAX})
    if behind:
        yield warning(
            "behind",
            "search_rows",
            f"The search does not know {behind} events as they are now",
            "See that `admitone worker` runs its housekeeping, which writes them within minutes.",
        )
    else:
        yield fine("behind", "search_rows", "The search knows every event as it is now")
    if site.settings.search_index.is_used:
        yield from _index(site)


def _index(site: Site) -> Iterator[Finding]:
    count, seconds = site.rows(WAITING, {"counted_max": COUNTED_MAX})[0]
    yield _answers(site, waiting=int(count))
    if seconds > LATE_SECONDS_MAX:
        yield warning(
            "behind",
            "search_index_late",
            f"{count} events wait to be written into the search's index, the first for {seconds:.0f} s",
            "See that `admitone worker` runs its webhooks process, and that Elasticsearch takes what it writes.",
        )
    else:
        yield fine("behind", "search_index_late", f"{count} events wait to be written into the search's index")


def _answers(site: Site, *, waiting: int) -> Finding:
    from elasticsearch import Elasticsearch, NotFoundError

    from db.search.index.client import FAILURES, arguments

    settings = site.settings.search_index
    name = settings.name
    rebuild = "Run `admitone search rebuild`."
    try:
        with Elasticsearch(**arguments(settings, seconds=settings.write_seconds)) as client:
            health: dict[str, Any] = client.cluster.health(index=name).body
            number = int(client.count(index=name)["count"])
    except NotFoundError:
        return warning("up", "search_index", f"Elasticsearch has no index {name}, so Postgres searches", rebuild)
    except (*FAILURES, ValueError) as problem:
        return warning(
            "up",
            "search_index",
            f"Elasticsearch does not answer, so Postgres searches: {type(problem).__name__}",
            "Start it, or correct ADMITONE_SEARCH_INDEX_URLS.",
        )
    if health["status"] == "red":
        return warning(
            "up",
            "search_index",
            f"Elasticsearch has lost a part of the index {name}: its health is red",
            "Mend the cluster, or run `admitone search rebuild`.",
        )
    on_show = int(site.value(_ON_SHOW))
    if abs(on_show - number) > waiting:
        says = f"The search's index has {number} events, and {on_show} are on show"
        return warning("behind", "search_index", says, rebuild)
    return fine("up", "search_index", f"The search's index answers, its health is {health['status']}")

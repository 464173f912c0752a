"""The events that the judged queries are asked of. They are made up; their dates are fixed, and so is `NOW`."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

NOW: Final = dt.datetime(2027, 1, 15, 12, tzinfo=dt.UTC)
"""The moment at which every query is asked."""


class Standing(StrEnum):
    """What a fan can do about an event at `NOW`."""

    ON_SALE = "+"
    COMING = "~"
    SOLD_OUT = "0"
    CANCELLED = "x"
    PAST = "-"


@dataclass(frozen=True, slots=True)
class Venue:
    name: str
    town: str
    time_zone: str = "Europe/Berlin"


@dataclass(frozen=True, slots=True)
class CorpusEvent:
    """An event of the corpus. ``number`` is its place in `EVENTS`, from 1."""

    number: int
    act: str
    name: str
    artist: str
    tags: tuple[str, ...]
    venue_key: str
    venue: Venue
    date: dt.datetime
    standing: Standing


VENUES: Final = {
    "hafen": Venue("Kulturhalle am Hafen", "Hamburg"),
    "elbe": Venue("Elbphilharmonie, Großer Saal", "Hamburg"),
    "fabrik": Venue("Fabrik Altona", "Hamburg"),
    "tempo": Venue("Tempodrom", "Berlin"),
    "colum": Venue("Columbiahalle", "Berlin"),
    "phil": Venue("Philharmonie", "Berlin"),
    "wald": Venue("Waldbühne", "Berlin"),
    "rhein": Venue("Rheinauen-Stadion", "Köln"),
    "gloria": Venue("Gloria-Theater", "Köln"),
    "zenith": Venue("Zenith", "München"),
    "olympia": Venue("Olympiahalle", "München"),
    "gasteig": Venue("Isarphilharmonie", "München"),
    "gewand": Venue("Gewandhaus", "Leipzig"),
    "oper": Venue("Alte Oper", "Frankfurt am Main"),
    "tonhalle": Venue("Tonhalle", "Zürich", "Europe/Zurich"),
    "halle622": Venue("Halle 622", "Zürich", "Europe/Zurich"),
    "konzert": Venue("Konzerthaus", "Wien", "Europe/Vienna"),
    "stadthalle": Venue("Stadthalle", "Wien", "Europe/Vienna"),
    "zenithp": Venue("Zénith Paris – La Villette", "Paris", "Europe/Paris"),
    "olympiap": Venue("L’Olympia", "Paris", "Europe/Paris"),
    "trans": Venue("Le Transbordeur", "Lyon", "Europe/Paris"),
    "palau": Venue("Palau de la Música Catalana", "Barcelona", "Europe/Madrid"),
    "wizink": Venue("Plaza Mayor Arena", "Madrid", "Europe/Madrid"),
    "albert": Venue("Royal Albert Hall", "London", "Europe/London"),
    "brixton": Venue("Brixton Academy", "London", "Europe/London"),
    "apollo": Venue("Apollo", "Manchester", "Europe/London"),
    "barrow": Venue("Barrowland Ballroom", "Glasgow", "Europe/London"),
    "vicar": Venue("Vicar Street", "Dublin", "Europe/Dublin"),
    "harpa": Venue("Harpa", "Reykjavík", "Atlantic/Reykjavik"),
    "vega": Venue("Vega", "København", "Europe/Copenhagen"),
    "avicii": Venue("Globen", "Göteborg", "Europe/Stockholm"),
    "rudolf": Venue("Rudolfinum", "Praha", "Europe/Prague"),
    "stodola": Venue("Stodoła", "Łódź", "Europe/Warsaw"),
    "nospr": Venue("NOSPR", "Kraków", "Europe/Warsaw"),
    "megaron": Venue("Μέγαρο Μουσικής", "Αθήνα", "Europe/Athens"),
    "zorlu": Venue("Zorlu PSM", "İstanbul", "Europe/Istanbul"),
    "zal": Venue("Концертный зал Чайковского", "Тбилиси", "Asia/Tbilisi"),
    "suntory": Venue("サントリーホール", "東京", "Asia/Tokyo"),
    "budokan": Venue("日本武道館", "東京", "Asia/Tokyo"),
    "cairo": Venue("دار الأوبرا", "القاهرة", "Africa/Cairo"),
    "olympicseoul": Venue("올림픽홀", "서울", "Asia/Seoul"),
    "msg": Venue("Hudson Square Garden", "New York", "America/New_York"),
    "bowl": Venue("Canyon Bowl", "Los Angeles", "America/Los_Angeles"),
    "massey": Venue("Massey Hall", "Toronto", "America/Toronto"),
}

_ACTS: Final = """
lena | Lena Brandt | Nachtflug | jazz, singer-songwriter
lena2 | Lena Brandt | Nachtflug: Lena Brandt and Band | jazz
lanterns | The Paper Lanterns | Long Way Home Tour | indie, rock
lanterns2 | The Paper Lanterns | An Acoustic Evening | indie, acoustic
lantrib | Paperlight | A Tribute to The Paper Lanterns | tribute, rock
strings | The Harbour Strings | Spätschicht | classical, chamber music
asdis | Björk Ásdís | Jökull | electronic
motor | Motörkopf | Lauter als der Rest | metal
yellow | Żółta Łódź | Pod Wodą | rock, psychedelic
dvorak | Dvořák Quartet | Aus der Neuen Welt | classical, chamber music
dvorak2 | Czech Radio Orchestra | Dvořák: Symphony No. 9 | classical, symphony
luz | Señor Luz | Corazón Eléctrico | latin, pop
cagla | Çağla Şahin | İstanbul Geceleri | pop, turkish
thao | Thảo Nguyễn | Moon Over Hanoi | folk
melina | Μελίνα Παπαδοπούλου | Τραγούδια της θάλασσας | folk, greek
polyana | Земляничная поляна | Песни лета | indie, russian
tchaik | Moscow Festival Ballet | Tchaikovsky: Swan Lake | ballet, classical
tchaik2 | Оркестр Чайковского | Лебединое озеро | ballet, classical
yuki | 雪の夜 | 冬のソナタ | j-pop
sakura | さくら合唱団 | 春のコンサート | choir
fairuza | فيروزة | ليالي القاهرة | arabic
seoul | 푸른 밤 | 별빛 콘서트 | k-pop
queens | Queens of Rust | Iron Crown Tour | rock
queenie | Queenie Adeyemi | Lagos Letters | soul, afrobeat
cold | Coldharbour | Low Tide | rock, post-punk
met | Metallurgica | Smelter World Tour | metal
beeth | Gewandhaus Orchestra | Beethoven: Symphony No. 9 | classical, symphony
beeth2 | Ida Rautavaara | Beethoven: Late Piano Sonatas | classical, piano
moz | Vienna Court Ensemble | Mozart: Requiem | classical, choir
bach | Thomaner Consort | Bach: Christmas Oratorio | classical, choir, christmas
vivaldi | I Solisti di Laguna | Vivaldi: The Four Seasons | classical
zauber | Opernbühne Nord | Die Zauberflöte | opera
carmen | Compagnie du Rhône | Carmen | opera
lion | Savanna Stage | The Lion of Okavango: The Musical | musical, family
ice | Frozen Rivers on Ice | Winter Wonder | show, family
circus | Cirque de la Lune | Étoiles | circus, family
comedy | Aoife Ní Bhriain | Mind the Gap | comedy
comedy2 | Hannes Krüger | Alles halb so wild | comedy, kabarett
magic | The Great Zambini | Sleight | magic, show
poetry | Slam Nation | Poetry Slam Final | poetry
jazzfest | Various artists | Hamburg Jazz Night | jazz, festival
rockfest | Various artists | Rhein Open Air | rock, festival
nye | Johann Strauss Orchestra | New Year’s Gala | classical, new year
gospel | Harlem Light Choir | Gospel Christmas | gospel, christmas
techno | DJ Nullpunkt | Strom | techno, club
dj2 | Mira Volt | Kilowatt | house, club
rap | Kid Kilo | Asphalt & Gold | hip-hop
rap2 | MC Ampère | Volts et Révoltes | hip-hop, french
chanson | Éloïse Delacroix | Chansons de minuit | chanson
flam | Compañía Duende | Noche Flamenca | flamenco, dance
tango | Orquesta Riachuelo | Tango Porteño | tango, dance
fado | Mariana Alfama | Fado à meia-noite | fado
folk | O’Malley & Daughters | Songs from the Burren | folk, irish
celtic | Skye Pipers | Highland Winter | folk, celtic
country | Dusty Calloway | Two Lane Blacktop | country
blues | Big Otis Freeman | Delta Nights | blues
film | City Light Orchestra | Star Voyages in Concert | film music, symphony
film2 | Kinoorchester Berlin | Metropolis: Stummfilm mit Orchester | film music
kids | Pelle Pinguin | Mitmachkonzert | family, children
mamba | Black Mamba Sound | Bass Cathedral | dub, reggae
march | April March Band | Spring Parade | pop
may | Augusta May | September Songs | singer-songwriter
abbey | The Fab Flour | The Beatles Songbook | tribute, pop
abba | Super Trooper Live | A Tribute to ABBA | tribute, pop
floyd | Dark Side Machine | Pink Floyd by Night | tribute, rock
handel | Academy of Sound | Händel: Messiah | classical, choir
grieg | Bergen Youth Symphony | Grieg: Peer Gynt | classical
u3 | U3 | Underground | rock
aha | Ähä | Take Off | synth-pop
"""
"""key | artist | event name | tags"""

_TOURS: Final = """
lena | hafen 2026-11-20 - | tempo 2027-02-12 + | gloria 2027-02-14 + | zenith 2027-02-19 0 | gewand 2027-03-05 ~
lena2 | hafen 2027-02-26 + | fabrik 2027-06-12 ~ | tonhalle 2027-03-12 + | konzert 2027-03-14 0
lanterns | rhein 2027-06-05 + | wald 2027-06-11 + | olympia 2027-06-18 0 | albert 2027-05-21 + | msg 2027-09-03 ~
lanterns | massey 2027-09-10 ~ | bowl 2027-09-17 ~ | zenithp 2027-05-28 + | avicii 2026-12-12 - | vicar 2027-05-14 x
lanterns2 | gloria 2027-01-29 + | vega 2027-02-02 0
lantrib | fabrik 2027-02-20 + | colum 2027-03-27 + | apollo 2027-04-10 +
strings | elbe 2027-02-07 + | phil 2027-02-21 + | tonhalle 2027-03-21 ~ | oper 2026-12-06 -
asdis | harpa 2027-03-19 + | vega 2027-03-26 + | colum 2027-04-02 0 | brixton 2027-04-09 +
motor | colum 2027-02-05 0 | zenith 2027-02-06 + | halle622 2027-02-13 + | stadthalle 2027-02-27 + | fabrik 2026-10-30 -
yellow | stodola 2027-03-13 + | nospr 2027-03-20 + | tempo 2027-04-17 +
dvorak | rudolf 2027-02-18 + | phil 2027-03-18 + | palau 2027-04-22 ~
dvorak2 | rudolf 2027-05-06 + | konzert 2027-05-13 +
luz | palau 2027-03-06 + | wizink 2027-03-08 + | olympiap 2027-03-11 0 | colum 2027-01-01 -
cagla | zorlu 2027-02-14 + | tempo 2027-03-07 + | gloria 2027-03-09 +
thao | vega 2027-04-06 + | barrow 2027-04-11 + | gasteig 2027-04-16 ~
melina | megaron 2027-02-10 + | megaron 2027-02-11 0 | oper 2027-04-18 +
polyana | zal 2027-04-03 + | tempo 2027-04-24 + | gloria 2027-04-25 +
tchaik | stadthalle 2027-01-23 + | apollo 2027-01-30 + | oper 2027-02-03 + | olympiap 2026-12-20 -
tchaik2 | zal 2027-02-20 + | zal 2027-02-21 + | rudolf 2027-03-28 ~
yuki | budokan 2027-02-08 + | budokan 2027-02-09 0 | suntory 2027-04-30 ~
sakura | suntory 2027-04-04 +
fairuza | cairo 2027-03-31 + | olympiap 2027-05-02 +
seoul | olympicseoul 2027-05-08 + | olympicseoul 2027-05-09 + | budokan 2027-06-01 ~
queens | brixton 2027-02-11 + | zenith 2027-02-15 + | colum 2027-02-17 0 | apollo 2027-02-13 +
queenie | fabrik 2027-03-03 + | vega 2027-03-10 + | albert 2027-07-02 ~
cold | barrow 2027-02-04 + | vicar 2027-02-06 + | gloria 2027-02-23 + | trans 2027-02-25 0
met | olympia 2027-07-10 ~ | rhein 2027-07-03 ~ | avicii 2027-05-29 + | wizink 2027-06-24 + | bowl 2027-08-14 ~
beeth | gewand 2027-01-21 + | gewand 2027-12-30 ~ | elbe 2027-04-08 +
beeth2 | konzert 2027-02-24 + | tonhalle 2027-02-28 0 | gasteig 2027-03-04 +
moz | konzert 2027-03-27 + | phil 2027-04-14 + | albert 2026-11-14 -
bach | gewand 2027-12-11 ~ | gewand 2027-12-12 ~ | elbe 2026-12-19 -
vivaldi | palau 2027-02-05 + | olympiap 2027-02-09 + | oper 2027-02-16 + | gasteig 2027-02-22 +
zauber | oper 2027-03-20 + | elbe 2027-05-16 ~
carmen | trans 2027-04-21 + | zenithp 2027-04-28 +
lion | stadthalle 2027-02-06 + | stadthalle 2027-02-07 + | apollo 2027-03-06 + | olympia 2027-05-01 ~
ice | avicii 2027-01-24 + | halle622 2027-01-31 + | olympia 2026-12-27 -
circus | zenithp 2027-02-13 + | trans 2027-02-20 + | halle622 2027-03-20 +
comedy | vicar 2027-01-28 + | apollo 2027-02-18 + | brixton 2027-02-19 0
comedy2 | hafen 2027-03-25 + | gloria 2027-03-30 + | konzert 2027-04-07 +
magic | apollo 2027-04-01 + | massey 2027-04-20 +
poetry | fabrik 2027-05-22 + | tempo 2026-11-28 -
jazzfest | hafen 2027-08-21 ~ | fabrik 2027-03-19 +
rockfest | rhein 2027-08-07 + | rhein 2027-08-08 +
nye | konzert 2027-12-31 ~ | konzert 2026-12-31 - | oper 2027-01-17 +
gospel | tonhalle 2027-12-04 ~ | fabrik 2026-12-10 -
techno | halle622 2027-02-27 + | tempo 2027-03-26 + | fabrik 2027-04-30 +
dj2 | zenith 2027-03-20 + | vega 2027-05-07 +
rap | colum 2027-04-23 + | zenith 2027-04-24 0 | hafen 2027-04-29 +
rap2 | zenithp 2027-03-12 + | trans 2027-03-18 +
chanson | olympiap 2027-02-26 + | tonhalle 2027-04-15 +
flam | wizink 2027-02-19 + | palau 2027-02-27 + | elbe 2027-06-03 ~
tango | gasteig 2027-05-09 + | albert 2027-06-10 +
fado | palau 2027-05-20 + | gloria 2027-05-27 +
folk | vicar 2027-03-17 + | barrow 2027-03-19 + | massey 2027-04-24 +
celtic | barrow 2027-01-25 + | albert 2027-02-08 +
country | bowl 2027-05-15 + | msg 2027-05-22 + | massey 2027-05-29 0
blues | brixton 2027-03-05 + | fabrik 2027-03-12 + | vega 2027-03-14 +
film | albert 2027-03-27 + | olympia 2027-04-09 + | phil 2027-04-11 0
film2 | phil 2027-05-05 + | colum 2026-12-02 -
kids | hafen 2027-02-14 + | gasteig 2027-02-21 + | tonhalle 2027-02-28 +
mamba | brixton 2027-04-16 + | colum 2027-05-14 +
march | apollo 2027-03-20 + | vicar 2027-04-03 +
may | barrow 2027-09-12 ~ | massey 2027-04-08 +
abbey | albert 2027-04-25 + | gasteig 2027-05-23 + | tempo 2027-06-20 +
abba | avicii 2027-03-06 + | olympia 2027-03-13 + | stadthalle 2027-03-20 + | apollo 2027-05-15 0
floyd | rhein 2027-05-29 + | zenith 2027-05-30 + | brixton 2027-06-12 +
handel | albert 2027-12-18 ~ | elbe 2027-03-26 + | massey 2026-12-17 -
grieg | elbe 2027-02-28 + | tonhalle 2027-05-16 +
u3 | tempo 2027-01-27 + | zenithp 2027-02-03 +
aha | vega 2027-02-19 + | colum 2027-02-24 + | zenith 2027-03-01 ~
"""
"""act | venue day standing | ..."""


FILLERS: Final = 1_500
"""Events that no query means by their names, so that what a query means must be told from much that is like it."""

_FILLER_WORDS: Final = """
amber ash atlas birch blossom border bright canal candle cedar chalk chapel cinder clay cobalt comet copper
corner crane crystal dawn desert drift dune echo ember fable falcon feather fern fjord flint foam forest
fountain garden glass granite grove harvest hazel heron hollow horizon indigo iris ivory jade juniper kestrel
lagoon larch lemon lilac linen lotus maple marble meadow mint mirror moss nectar north oak ocean olive onyx
orchard otter paper pearl pepper pine plum quartz raven reed ridge river rose saffron sand shadow silver slate
smoke snow sparrow spruce stone summer sunset swallow thistle thunder timber velvet violet walnut willow winter
wolf
"""
_FILLER_KINDS: Final = ("Trio", "Ensemble", "Collective", "Band", "Orchestra", "Project", "Brothers", "Sisters", "Club")
_FILLER_NAMES: Final = ("Live", "On Tour", "Unplugged", "Sessions", "The Album", "Open Air", "in Concert", "Release")
_FILLER_TOWNS: Final = ("Bremen", "Hannover", "Dresden", "Basel", "Graz", "Lille", "Porto", "Leeds", "Cork", "Oslo",
                        "Turku", "Gdańsk", "Brno", "Split", "Bologna", "Ghent", "Utrecht", "Malmö")  # fmt: skip


def _fillers(first: int) -> list[CorpusEvent]:
    chance = random.Random(94)
    events = []
    for number in range(first, first + FILLERS):
        one, two, three, four = (word.title() for word in chance.sample(_FILLER_WORDS.split(), 4))
        venue = Venue(f"{four} {chance.choice(('Hall', 'Club', 'Arena', 'Theatre'))}", chance.choice(_FILLER_TOWNS))
        date = dt.datetime(2026, 12, 1, 19, tzinfo=dt.UTC) + dt.timedelta(days=chance.randrange(400))
        to_come = chance.choice((Standing.ON_SALE, Standing.COMING, Standing.SOLD_OUT)) if date >= NOW else None
        standing = to_come or Standing.PAST
        artist = f"{one} {two} {chance.choice(_FILLER_KINDS)}"
        events.append(
            CorpusEvent(number, "", f"{three} {chance.choice(_FILLER_NAMES)}", artist, (), "", venue, date, standing)
        )
    return events


def _events() -> tuple[CorpusEvent, ...]:
    acts = {}
    for line in _ACTS.strip().splitlines():
        key, artist, name, tagged = (part.strip() for part in line.split("|"))
        acts[key] = (artist, name, tuple(tag.strip() for tag in tagged.split(",")))
    events: list[CorpusEvent] = []
    for line in _TOURS.strip().splitlines():
        act, *dates = (part.strip() for part in line.split("|"))
        artist, name, tags = acts[act]
        for at in dates:
            venue_key, day, standing = at.split()
            venue = VENUES[venue_key]
            date = dt.datetime.fromisoformat(f"{day}T20:00").replace(tzinfo=ZoneInfo(venue.time_zone))
            number = len(events) + 1
            events.append(CorpusEvent(number, act, name, artist, tags, venue_key, venue, date, Standing(standing)))
    return (*events, *_fillers(len(events) + 1))


EVENTS: Final = _events()

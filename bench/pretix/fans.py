"""Fans of a shop: each goes through the line where there is one, puts a ticket into the cart, and orders it.

A fan whose page fails tries again, as people do; a fan who sees errors for too long gives up.
"""

from __future__ import annotations

import asyncio
import random
import re
import resource
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urljoin, urlsplit

import aiohttp
from yarl import URL

from admitone.fan.http import Broken, HttpClient
from bench.pretix.site import PATH, PretixSite
from bench.stats import percentile

TRIES_MAX: Final = 20
AGAIN_SECONDS: Final = (1.0, 4.0)
THINKS_SECONDS: Final = (1.0, 3.0)
PAGE_SECONDS_MAX: Final = 60.0
POLL_SECONDS: Final = 8.0
"""A fan far back asks so seldom. The waiting page has a stream instead; thousands of streams in one process would take
more of the machine that the shop is on, too."""
NEAR_POSITION: Final = 50
NEAR_POLL_SECONDS: Final = 1.0
COOKIE: Final = "admitone_shop_"
SESSION: Final = "admitone_session"
TELL_SECONDS: Final = 20.0
AGENT: Final = "Mozilla/5.0 (a fan of the bench)"
_csrf: Final = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"').search
_error: Final = re.compile(r'class="alert alert-danger[^"]*">(.{0,300})', re.DOTALL).search


class GaveUpError(Exception):
    """The fan saw errors for too long."""


@dataclass
class Fan:
    """What became of a fan. Moments are of the monotonic clock, in seconds."""

    number: int
    came_at: float = 0.0
    in_shop_at: float | None = None
    ordered_at: float | None = None


@dataclass
class Watch:
    """What all fans saw: the shop's pages in seconds, and what failed."""

    fans: list[Fan] = field(default_factory=list)
    pages: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    unserved: int = 0
    """Fans who had not ordered when the sale's time was over."""
    began_at: float = 0.0
    ended_at: float = 0.0
    until: float = 0.0

    @property
    def ordered(self) -> list[Fan]:
        """The fans who ordered, the first first."""
        return sorted((fan for fan in self.fans if fan.ordered_at is not None), key=lambda fan: fan.ordered_at or 0.0)

    def page_ms(self, share: float) -> float:
        return round(1000 * percentile(sorted(self.pages), share), 1)

    @property
    def orders_per_minute(self) -> float:
        """From the first fan's coming to the end of the sale, or to the last order where all fans have ordered."""
        ordered = self.ordered
        if not ordered:
            return 0.0
        last_at = ordered[-1].ordered_at or 0.0
        ended_at = last_at if len(ordered) == len(self.fans) else max(last_at, self.until)
        return round(60 * len(ordered) / (ended_at - self.began_at), 1)


def overtaken(fans: Sequence[Fan]) -> float:
    """Of all pairs of fans, the share in which the one who came later was in the shop first (or came in alone)."""
    by_arrival = sorted(fans, key=lambda fan: fan.came_at)
    entered = [float("inf") if fan.in_shop_at is None else fan.in_shop_at for fan in by_arrival]
    pairs = behind = 0
    for earlier, at in enumerate(entered):
        for other in entered[earlier + 1 :]:
            if at != other:
                pairs += 1
                behind += other < at
    return behind / pairs if pairs else 0.0


class _Browser:
    """One fan's browser: cookies, a page at a time, and errors met with another try."""

    def __init__(self, session: aiohttp.ClientSession, line: HttpClient | None, watch: Watch, shop: PretixSite) -> None:
        self.session = session
        self.line = line
        self.watch = watch
        self.shop = shop
        self.until = watch.until
        self._token = ""

    async def page(self, method: str, url: str, form: dict[str, str] | None = None) -> tuple[str, str]:
        """A page of the shop, after its redirects; gives its address and text."""
        for _ in range(TRIES_MAX):
            if time.monotonic() > self.until:
                break
            began = time.perf_counter()
            try:
                async with self.session.request(method, url, data=form) as answer:
                    text = await answer.text()
                    if answer.status < 500:
                        if self._is_shop(str(answer.url)):
                            self.watch.pages.append(time.perf_counter() - began)
                        return str(answer.url), text
                    self.watch.failures[f"status {answer.status}"] += 1
            except (aiohttp.ClientError, TimeoutError) as error:
                self.watch.failures[type(error).__name__] += 1
            self.watch.pages.append(time.perf_counter() - began)
            await asyncio.sleep(random.uniform(*AGAIN_SECONDS))
        raise GaveUpError

    def _is_shop(self, url: str) -> bool:
        return urlsplit(url).netloc == urlsplit(self.shop.url).netloc

    async def wait_in_line(self, url: str) -> tuple[str, str]:
        """From the waiting page through the line; gives the shop's page to which it leads."""
        parts = urlsplit(url)
        queue = f"/api/queue/{parts.path.rpartition('/')[2]}"
        state, answer = "", dict[str, object]()
        while not self._token:
            self._stop_when_over()
            self._token = str((await self._api("POST", "/api/session")).get("token", ""))
        while state != "admitted":
            self._stop_when_over()
            if state == "called":
                answer = await self._api("POST", f"{queue}/claim")
            elif state in ("", "none", "expired", "left"):
                answer = await self._api("POST", queue)
            else:
                is_near = int(str(answer.get("position") or NEAR_POSITION + 1)) <= NEAR_POSITION
                await asyncio.sleep((NEAR_POLL_SECONDS if is_near else POLL_SECONDS) * random.uniform(0.8, 1.2))
                answer = await self._api("GET", queue)
            state = str(answer.get("state", ""))
        self.session.cookie_jar.update_cookies({SESSION: self._token}, URL(f"{parts.scheme}://{parts.netloc}"))
        return await self.page("GET", url)

    def _stop_when_over(self) -> None:
        if time.monotonic() > self.until:
            raise GaveUpError

    async def end_pass(self) -> None:
        """Give the slot to the next fan, as a shop's own server does for a fan whose order is complete."""
        for name, cookie in self.session.cookie_jar.filter_cookies(URL(self.shop.url)).items():
            if name.startswith(COOKIE):
                await self._api(
                    "POST", f"/gate/{name.removeprefix(COOKIE)}/end", f"X-Admitone-Pass: {cookie.value}\r\n"
                )

    async def _api(self, method: str, path: str, headers: str = "") -> dict[str, object]:
        assert self.line is not None, "a shop without a line sends nobody there"
        bearer = f"Authorization: Bearer {self._token}\r\n" if self._token else ""
        body = b"{}" if method == "POST" and not path.endswith("/claim") else None
        try:
            answer = await self.line.call(self.line.request(method, path, f"{bearer}{headers}", body))
            if answer.status < 400:
                return dict(answer.document())
            self.watch.failures[f"line {answer.status}"] += 1
        except Broken as error:
            self.watch.failures[f"line {error}"] += 1
        await asyncio.sleep(random.uniform(*AGAIN_SECONDS))
        return {}

    async def shop_page(self, method: str, url: str, form: dict[str, str] | None = None) -> tuple[str, str]:
        """A page of the shop; by way of the line where that is asked."""
        at, text = await self.page(method, url, form)
        if not self._is_shop(at):
            at, text = await self.wait_in_line(at)
        return at, text


async def _buy(browser: _Browser, fan: Fan) -> None:
    front = browser.shop.url + PATH
    at, text = await browser.shop_page("GET", front)
    fan.in_shop_at = time.monotonic()
    await asyncio.sleep(random.uniform(*THINKS_SECONDS))
    form = {"csrfmiddlewaretoken": _token(text), f"item_{browser.shop.item}": "1"}
    at, text = await browser.shop_page("POST", urljoin(front, "cart/add?next=" + PATH), form)
    at, text = await browser.shop_page("GET", urljoin(front, "checkout/start"))
    for _ in range(6):
        if "/order/" in at:
            fan.ordered_at = time.monotonic()
            await browser.end_pass()
            return
        await asyncio.sleep(random.uniform(*THINKS_SECONDS))
        form = {"csrfmiddlewaretoken": _token(text)}
        if "/questions" in at:
            form["email"] = f"fan-{fan.number}@fans.invalid"
        at, text = await browser.shop_page("POST", at, form)
    found = _error(text)
    browser.watch.failures[f"no order: {found[1].strip() if found else at}"[:120]] += 1


def _token(text: str) -> str:
    found = _csrf(text)
    return found[1] if found else ""


async def _visit(fan: Fan, after_seconds: float, line: HttpClient | None, watch: Watch, shop: PretixSite) -> None:
    await asyncio.sleep(after_seconds)
    fan.came_at = time.monotonic()
    timeout = aiohttp.ClientTimeout(total=PAGE_SECONDS_MAX)
    connector = aiohttp.TCPConnector(limit=1)
    jar = aiohttp.CookieJar(unsafe=True)
    headers = {"User-Agent": AGENT, "Accept": "text/html,application/json", "Sec-Fetch-Site": "same-origin"}
    async with aiohttp.ClientSession(connector=connector, cookie_jar=jar, headers=headers, timeout=timeout) as session:
        try:
            await _buy(_Browser(session, line, watch, shop), fan)
        except GaveUpError:
            watch.unserved += 1


async def _all(
    shop: PretixSite, fans_count: int, arrive_seconds: float, seconds_max: float, gateway: int | None
) -> Watch:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    watch = Watch(fans=[Fan(number) for number in range(fans_count)], began_at=time.monotonic())
    watch.until = watch.began_at + seconds_max
    line = None if gateway is None else HttpClient(f"http://127.0.0.1:{gateway}")
    comings = sorted(random.uniform(0, arrive_seconds) for _ in range(fans_count))
    telling = asyncio.create_task(_tell(watch))
    await asyncio.gather(
        *(_visit(fan, after, line, watch, shop) for fan, after in zip(watch.fans, comings, strict=True))
    )
    telling.cancel()
    if line is not None:
        line.close()
    watch.ended_at = time.monotonic()
    return watch


async def _tell(watch: Watch) -> None:
    while True:
        await asyncio.sleep(TELL_SECONDS)
        inside = sum(fan.in_shop_at is not None for fan in watch.fans)
        print(
            f"  {time.monotonic() - watch.began_at:.0f} s: {inside} fans came in, {len(watch.ordered)} ordered, "
            f"{len(watch.pages)} pages, {sum(watch.failures.values())} failures",
            flush=True,
        )


def run_fans(
    shop: PretixSite, fans_count: int, arrive_seconds: float, seconds_max: float, gateway: int | None = None
) -> Watch:
    """Let the fans come within ``arrive_seconds`` in a random order, and follow each until it ordered or gave up.

    Args:
        seconds_max: nobody tries anything new after so long, and pages under way are awaited for a minute more.
        gateway: the port at which the line is, where the shop has one.
    """
    return asyncio.run(_all(shop, fans_count, arrive_seconds, seconds_max, gateway))

"""A page looked at as its readers meet it: by axe-core, at three sizes, in several languages, and as it is read aloud.

What is found is kept under `artefacts/`, which Git does not.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import Page

from gateway.pages.languages import LANGUAGES
from tests.services import ROOT

ARTEFACTS: Final = ROOT / "artefacts" / "pages"
IN_ALL_LANGUAGES: Final = os.environ.get("PICTURES") == "yes"
"""`make pictures` photographs every page, in English and in every language of `PHOTOGRAPHED`; `make test` none."""
PHOTOGRAPHED: Final = ("de", "ja", "ar")

AXE: Final = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
# Every rule of WCAG 2.2 at A and AA that axe knows, and what it calls best practice.
RULES: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
OF_SIGHT: Final = ("color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size")
"""The rules whose answer another size or colour scheme may change, though the document and what it shows stay."""
RUN: Final = """
async ([type, values]) => {
    const { violations } = await axe.run(document, {
        runOnly: { type, values },
        resultTypes: ["violations"],
        // A mail's frame runs no script, and axe would wait for its answer for a minute.
        iframes: false,
    });
    return violations.flatMap(({ id, nodes }) =>
        nodes.map(({ target, failureSummary }) => `${id}: ${target.join(" ")}: ${failureSummary}`));
}
"""
KEPT: Final = """
() => {
    const shown = [...document.querySelectorAll("*")].filter((element) => element.checkVisibility());
    const html = document.documentElement.outerHTML;
    const before = window.looked;
    const kept = before?.html === html && shown.every((element) => before.shown.has(element));
    window.looked = { html, shown: new Set(kept ? [...before.shown] : shown) };
    return kept;
}
"""
"""Whether the document is as it was at the look before, and shows nothing that it did not show then."""
SIDEWAYS: Final = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

LIVE: Final = '[aria-live]:not([aria-live="off"]), [role="status"], [role="alert"]'
LISTEN: Final = f"""
(() => {{
    window.heard = [];
    const hear = (node) => {{
        const region = (node.nodeType === 1 ? node : node.parentElement)?.closest('{LIVE}');
        const said = region && region.checkVisibility() ? region.innerText.replace(/\\s+/g, " ").trim() : "";
        if (said && said !== window.heard.at(-1)) window.heard.push(said);
    }};
    new MutationObserver((changes) => changes.forEach(({{ target }}) => hear(target))).observe(document, {{
        subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ["hidden"],
    }});
}})()
"""
"""Notes what a screen reader is given to say: the words of a live part when they change."""


@dataclass(frozen=True)
class Size:
    """A window: ``zoomed`` is the desktop's at 200 %, which gives a page half of its pixels each way."""

    name: str
    width: int
    height: int
    scheme: Literal["light", "dark"]


DESKTOP: Final = Size("desktop", 1280, 860, "light")
PHONE: Final = Size("phone", 360, 740, "dark")
ZOOMED: Final = Size("zoomed", 640, 430, "light")


def violations(page: Page, *, of_sight: bool = False) -> list[str]:
    """What axe finds on the page as it is now; ``of_sight``: by the rules of `OF_SIGHT` alone."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    found: list[str] = page.evaluate(RUN, ["rule", OF_SIGHT] if of_sight else ["tag", RULES])
    return found


@dataclass
class Looks:
    """Looks at pages and keeps what is wrong with them, so that one run tells of all pages."""

    read_at_every_size: bool
    """Whether axe reads a page at each size. Otherwise it reads one page on the phone, the next one on the desktop.
    Whether a page scrolls sideways is looked at in all.
    """
    faults: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def look(self, page: Page, name: str) -> None:
        """Let axe read the page, and see whether it scrolls sideways; for pictures, photograph it at two sizes."""
        turn = (PHONE, DESKTOP)[len(self.seen) % 2]
        self.seen.append(name)
        page.evaluate("window.looked = undefined")
        for size in (ZOOMED, PHONE, DESKTOP):
            page.emulate_media(color_scheme=size.scheme, reduced_motion="reduce")
            page.set_viewport_size({"width": size.width, "height": size.height})
            if size is turn or self.read_at_every_size:
                found = violations(page, of_sight=page.evaluate(KEPT))
                self.faults += [f"{name}, {size.name}: {fault}" for fault in found]
            if page.evaluate(SIDEWAYS) > 0:
                self.faults.append(f"{name}, {size.name}: it scrolls sideways")
            if IN_ALL_LANGUAGES and size is not ZOOMED:
                photograph(page, f"{name}-{size.name}-en")

    def look_in_languages(self, page: Page, name: str, path: str, ready: Callable[[Page], None]) -> None:
        """Look at the page of a path; where `IN_ALL_LANGUAGES`, photograph it in the others too."""
        origin = re.match(r"https?://[^/]+", page.url)
        assert origin
        page.goto(origin[0] + path)
        ready(page)
        self.look(page, name)
        for tag in PHOTOGRAPHED if IN_ALL_LANGUAGES else ():
            page.goto(f"{origin[0]}/{tag}{path}")
            ready(page)
            assert page.locator("html").get_attribute("dir") == LANGUAGES[tag].direction
            for size in (DESKTOP, PHONE):
                page.set_viewport_size({"width": size.width, "height": size.height})
                page.emulate_media(color_scheme="light", reduced_motion="reduce")
                photograph(page, f"{name}-{size.name}-{tag}")
                if page.evaluate(SIDEWAYS) > 0:
                    self.faults.append(f"{name}, {size.name}, {tag}: it scrolls sideways")


def photograph(page: Page, name: str, *, whole: bool = True) -> Path:
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    path = ARTEFACTS / f"{name}.png"
    page.screenshot(path=path, full_page=whole)
    return path


@dataclass
class Transcript:
    """What a screen reader makes of one page, step by step. The page needs `LISTEN` as a script of its context."""

    page: Page
    steps: dict[str, tuple[str, list[str]]] = field(default_factory=dict)

    def note(self, step: str) -> None:
        """Keep the tree that assistive technology sees now, and what was said since the last step."""
        tree = self.page.locator("body").aria_snapshot()
        heard: list[str] = self.page.evaluate("window.heard.splice(0)")
        self.steps[step] = (tree, heard)

    def headings(self, step: str) -> list[str]:
        return re.findall(r'heading "(.*?)" \[level', self.steps[step][0])

    def heard(self, step: str) -> str:
        return "\n".join(self.steps[step][1])

    def keep(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        parts = []
        for step, (tree, heard) in self.steps.items():
            said = "\n".join(f"    “{words}”" for words in heard) or "    nothing"
            parts.append(f"== {step}\n\nSaid since the last step:\n{said}\n\nThe page:\n{tree}\n")
        path.write_text("\n".join(parts), "utf-8")

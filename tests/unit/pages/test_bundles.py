"""A page's script and its modules become one file; what the bundler cannot do rightly, it refuses with a place."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.pages.bundles import BundleError, bundle_scripts

PAGES = Path(__file__).parents[3] / "gateway" / "pages"
DENO = Path(sys.executable).with_name("deno")


def deno(*arguments: str, script: str = "") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"DENO_DIR": str(DENO.parent.parent / "deno"), "DENO_NO_UPDATE_CHECK": "1"}
    return subprocess.run(
        [DENO, *arguments], input=script, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def run(bundle: str) -> str:
    answer = deno("run", "--no-config", "-", script=bundle)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_a_bundle_does_what_its_modules_do() -> None:
    bundles = bundle_scripts(
        {
            "page.js": 'import { greet } from "./shop/greet.js";\nimport "./hello.js";\n'
            'import { name as theirs } from "./names.js";\nconst name = "page";\n'
            "console.log(greet(), name, theirs, await Promise.resolve(1));\n",
            "shop/greet.js": 'import { name } from "../names.js";\n'
            'const word = "Hello";\nexport const greet = () => `${word}, ${name}`;\n',
            "names.js": 'export const name = "fan";\nexport class Unused {}\nexport async function also() {}\n',
            "hello.js": 'const word = "hello.js runs first";\nconsole.log(word);\n',
        }
    )
    assert list(bundles) == ["page.js"]
    assert run(bundles["page.js"]) == "hello.js runs first\nHello, fan page fan 1\n"


def test_a_module_that_two_others_import_is_there_once() -> None:
    bundles = bundle_scripts(
        {
            "page.js": 'import { a } from "./a.js";\nimport { b } from "./b.js";\nconsole.log(a === b);\n',
            "a.js": 'import { one } from "./one.js";\nexport const a = one;\n',
            "b.js": 'import { one } from "./one.js";\nexport const b = one;\n',
            "one.js": "export const one = {};\n",
        }
    )
    assert run(bundles["page.js"]) == "true\n"


def test_what_several_pages_import_is_in_each_of_their_bundles() -> None:
    shared = {"one.js": "export const one = 1;\n", "worker.js": "self.onmessage = () => {};\n"}
    page = 'import { one } from "./one.js";\nconsole.log(one);\n'
    bundles = bundle_scripts(shared | {"a.js": page, "b.js": page})
    assert set(bundles) == {"a.js", "b.js", "worker.js"}
    assert bundles["worker.js"].endswith(shared["worker.js"])
    assert run(bundles["a.js"]) == run(bundles["b.js"]) == "1\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('import { one } from "./none.js";\n', r"page.js imports none.js, which does not exist"),
        ('import { two } from "./one.js";\n', r"page.js imports two from one.js, which does not export it"),
        ('import { one } from "https://elsewhere.example/one.js";\n', r"page.js:1: .* is not a script of ours"),
        ('import { one } from "one.js";\n', r"page.js:1: .* begin with ./ or ../"),
        ('// A page.\nimport * as all from "./one.js";\n', r"page.js:2: .* import \* as all"),
        ('import one from "./one.js";\n', r"page.js:1: .* import one from"),
        ("\nexport default 1;\n", r"page.js:2: .* export default 1"),
        ("export let moved = 1;\n", r"page.js:1: .* export let moved"),
        ("const a = 1;\nexport { a };\n", r"page.js:2: .* export \{ a \}"),
        ('export * from "./one.js";\n', r"page.js:1: .* export \*"),
        ('const one = await import("./one.js");\n', r"page.js:1: .* import\("),
        ('new Worker(new URL("./one.js", import.meta.url));\n', r"page.js:1: .* import.meta"),
        ("const text = `One\n// two`;\n", r"page.js:1: the text of a template literal"),
        ("const text = `One ${\n1\n}\n// two\n`;\n", r"page.js:5: the text of a template literal"),
        ("/* A comment.\n */ const a = 1;\n", r"page.js:2: code follows the end of a comment"),
        ('import { page } from "./page.js";\nexport const page = 1;\n', r"circle: page.js -> page.js"),
    ],
)
def test_what_cannot_be_bundled_rightly_is_refused(text: str, why: str) -> None:
    with pytest.raises(BundleError, match=why):
        bundle_scripts({"page.js": text, "one.js": "export const one = 1;\n"})


def test_a_circle_of_imports_is_refused_with_its_way() -> None:
    with pytest.raises(BundleError, match=r"circle: a\.js -> b\.js -> c\.js -> b\.js"):
        bundle_scripts(
            {
                "a.js": 'import { b } from "./b.js";\n',
                "b.js": 'import { c } from "./c.js";\nexport const b = 1;\n',
                "c.js": 'import { b } from "./b.js";\nexport const c = 1;\n',
            }
        )


def test_types_in_comments_are_no_imports_and_are_left_out() -> None:
    comments = '/** @import { One } from "./one.js" */\n/**\n * @typedef {import("./one.js").One} Same\n */\n// Why.\n'
    code = (
        "const text = `//${\n  1 /* stays */\n}//`; // it goes\n/** @type {Console} */ (console).log(text);\n"
        'console.log("one; // two"); // a "quoted" one stays\n'
    )
    bundle = bundle_scripts({"page.js": comments + code})["page.js"]
    assert bundle == (
        "// page.js\nconst text = `//${\n1 /* stays */\n}//`;\n(console).log(text);\n"
        'console.log("one; // two"); // a "quoted" one stays\n'
    )
    assert run(bundle) == "//1//\none; // two\n"


def test_every_script_of_ours_belongs_to_a_page() -> None:
    """A bundle that no template names would be a module that nothing imports any more."""
    static = PAGES / "static"
    paths = [path for path in static.rglob("*.js") if "vendor" not in path.parts]
    sources = {path.relative_to(static).as_posix(): path.read_text() for path in paths}
    bundles = bundle_scripts(sources)
    templates = "".join(path.read_text() for path in (PAGES / "templates").glob("*.html"))
    asked = set(re.findall(r"'([\w./-]+\.js)'", templates))
    # The service workers, and what shops load, have addresses of their own, which no template writes.
    assert set(bundles) | {"vendor/uPlot.iife.min.js"} == asked | {"alert-worker.js", "scan-worker.js", "widget.js"}
    for name, bundle in bundles.items():
        parsed = deno("fmt", "--no-config", "--ext", "js", "-", script=bundle)
        assert parsed.returncode == 0, f"{name}: {parsed.stderr}"

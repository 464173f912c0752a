"""Bundle each page's script with the modules it imports, so that a page loads one file and needs no build step.

A script that no other script imports is a page's own, or a worker's. Its bundle holds every module it needs, each in a
function of its own, so that equal names in two modules never meet. Comments and indentation are left out: with their
types they are a quarter of the text. This is no parser: it understands what the formatter leaves at the beginning
of a line, and refuses every other form when the gateway starts, with the file and the line.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_IMPORT = re.compile(r'^import (?:\{([^}]*)\} from )?"([^"]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:const|class|function\*?|async function\*?) ([A-Za-z_$][\w$]*))", re.MULTILINE)
_STATEMENT = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)
_PLACE_DEPENDENT = re.compile(r"^(?!\s*(?:/?\*|//)).*\bimport(?:\(|\.meta\b).*", re.MULTILINE)
"""Outside of comments: what would mean another file in a bundle than in the module that it was written in."""
_BESIDE_CODE = re.compile(r"/\*\* @type \{[^*]*\} \*/ (?=\()|(?<=[;,{]) // [^\"`]*$")
"""Comments on a line with code: a cast's type, and words after the code's end that can be in no string."""
_NAME = re.compile(r"([\w$]+)(?: as ([\w$]+))?")


class BundleError(Exception):
    """A script cannot be bundled. The message names the file and, where it can, the line."""


@dataclass(frozen=True, slots=True)
class _Import:
    module: str
    """The imported file's path below the folder of scripts."""
    names: tuple[tuple[str, str], ...]
    """Each name as the module exports it, and as the importer calls it."""


@dataclass(frozen=True, slots=True)
class _Module:
    name: str
    imports: tuple[_Import, ...]
    exports: tuple[str, ...]
    body: str
    """The text without its import statements and without the word ``export``."""


def bundle_scripts(sources: Mapping[str, str]) -> dict[str, str]:
    """Bundle every script that no other script imports.

    Args:
        sources: each script's text by its path below one folder, with ``/`` between the parts.

    Returns:
        Each bundle's text by the path of the script that it begins from.

    Raises:
        BundleError: a script imports what is not there, imports in a circle, or is written in a form that is not
            understood: a default export, ``export { … }``, ``export let``, ``import *``, ``import(…)``,
            ``import.meta``.
    """
    modules = {name: _parse(name, text) for name, text in sources.items()}
    imported = set()
    for module in modules.values():
        for one in module.imports:
            if one.module not in modules:
                raise BundleError(f"{module.name} imports {one.module}, which does not exist")
            for name, _ in one.names:
                if name not in modules[one.module].exports:
                    raise BundleError(f"{module.name} imports {name} from {one.module}, which does not export it")
            imported.add(one.module)
    for name in modules:
        _refuse_circle(modules, name, ())
    return {name: _bundle(modules, name) for name in modules if name not in imported}


def _parse(name: str, text: str) -> _Module:
    imports = []
    for found in _IMPORT.finditer(text):
        path = found[2]
        if not path.startswith(("./", "../")):
            raise BundleError(f'{_place(name, text, found)}: "{path}" is not a script of ours: begin with ./ or ../')
        module = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
        imports.append(_Import(module, tuple(_names(name, text, found))))
    is_place_dependent = "import(" in text or "import.meta" in text
    for pattern in (_STATEMENT, _PLACE_DEPENDENT) if is_place_dependent else (_STATEMENT,):
        for found in pattern.finditer(text):
            if not _IMPORT.match(text, found.start()) and not _EXPORT.match(text, found.start()):
                raise BundleError(f"{_place(name, text, found)}: the bundler does not take {found[0].strip()}")
    exports = tuple(found[2] for found in _EXPORT.finditer(text))
    body = _without_comments(name, text)
    return _Module(name, tuple(imports), exports, _EXPORT.sub(r"\1", _IMPORT.sub("", body)))


def _without_comments(name: str, text: str) -> str:
    """Leave out indentation, the comments that have their lines for themselves, and the plain ones beside code.

    What looks like one inside a template literal is not one. So a literal's own text may not go over several lines:
    the formatter breaks a long one inside its ``${…}`` only.
    """
    lines = []
    in_comment = in_template = False
    for number, line in enumerate(text.splitlines(), 1):
        code = line.strip()
        if in_comment:
            in_comment = "*/" not in code
            if not in_comment and not code.endswith("*/"):
                raise BundleError(f"{name}:{number}: code follows the end of a comment")
            continue
        if code.startswith("//") or (code.startswith("/*") and code.find("*/") in (-1, len(code) - 2)):
            in_comment = code.startswith("/*") and "*/" not in code
            continue
        if line.count("`") % 2:
            if not (code.startswith("}") if in_template else code.endswith("${")):
                raise BundleError(f"{name}:{number}: the text of a template literal goes over several lines")
            in_template = not in_template
        lines.append((_BESIDE_CODE.sub("", code) if "//" in code or "/**" in code else code) + "\n")
    return "".join(lines)


def _names(name: str, text: str, statement: re.Match[str]) -> Iterator[tuple[str, str]]:
    for part in (statement[1] or "").split(","):
        if not part.strip():
            continue
        found = _NAME.fullmatch(part.strip())
        if found is None:
            raise BundleError(f"{_place(name, text, statement)}: {part.strip()} is not a name")
        yield found[1], found[2] or found[1]


def _place(name: str, text: str, found: re.Match[str]) -> str:
    return f"{name}:{text.count(chr(10), 0, found.start()) + 1}"


def _refuse_circle(modules: Mapping[str, _Module], name: str, importers: tuple[str, ...]) -> None:
    if name in importers:
        raise BundleError(f"scripts import each other in a circle: {' -> '.join((*importers, name))}")
    for one in modules[name].imports:
        _refuse_circle(modules, one.module, (*importers, name))


def _bundle(modules: Mapping[str, _Module], entry: str) -> str:
    order: list[str] = []
    _add_in_order(modules, entry, order)
    variables = {name: f"_m{number}" for number, name in enumerate(order)}
    parts = []
    for name in order:
        module = modules[name]
        imports = "".join(
            f"const {{ {', '.join(f'{theirs}: {ours}' if theirs != ours else ours for theirs, ours in one.names)} }}"
            f" = {variables[one.module]};\n"
            for one in module.imports
            if one.names
        )
        text = f"// {name}\n{imports}{module.body}"
        if name != entry:
            text = f"const {variables[name]} = (() => {{\n{text}return {{ {', '.join(module.exports)} }};\n}})();\n"
        parts.append(text)
    return "".join(parts)


def _add_in_order(modules: Mapping[str, _Module], name: str, order: list[str]) -> None:
    """Append a module after all that it imports, each once."""
    for one in modules[name].imports:
        if one.module not in order:
            _add_in_order(modules, one.module, order)
    order.append(name)

"""The fans' texts as they stand in templates, scripts and Python, and the catalogues that hold their translations.

``python -m gateway.pages.texts`` (``make texts``) writes every text that is new into each language's catalogue, with no
translation yet, and takes out what nothing says any more. Pages and messages have catalogues of their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import write_po

from gateway.pages.languages import FOLDER, OTHERS, Language
from messages.languages import FOLDER as MESSAGES_FOLDER
from messages.languages import read_catalogue

_WHERE: Final = [
    ("static/vendor/**", "ignore"),
    ("**.py", "python"),
    ("**.js", "javascript"),
    ("**.html", "jinja2"),
    ("**.j2", "jinja2"),
]
_OPTIONS: Final = {
    "**.html": {"newstyle_gettext": "true", "trimmed": "true"},
    "**.j2": {"newstyle_gettext": "true"},
    "**.js": {"parse_template_string": "true"},
}
_KEYWORDS: Final[dict[str, Any]] = {
    "_": None,
    "gettext": None,
    "N_": None,
    "ngettext": (1, 2),
    "t": None,
    "tn": (1, 2),
}
"""The functions that take a text, and which of their arguments are one where not only the first is."""


def texts(folder: Path = FOLDER.parent) -> Catalog:
    """All texts of the fans' pages or of their messages, each once, in the order of the files that say them."""
    catalogue = Catalog()
    found = extract_from_dir(str(folder), _WHERE, _OPTIONS, keywords=_KEYWORDS, comment_tags=())
    for path, _, message, _, _ in found:
        catalogue.add(message, None, locations=[(path, 0)])
    return catalogue


def updated(language: Language) -> Catalog:
    """The language's catalogue with exactly the texts of today; what is translated stays."""
    return _updated(language.catalogue, language, texts(), "pages")


def _updated(catalogue: Catalog, language: Language, said: Catalog, what: str) -> Catalog:
    catalogue.project, catalogue.version, catalogue.fuzzy = "Admit One", "", False
    catalogue.header_comment = f"# The fans' {what} in {language.locale.english_name}."
    catalogue.copyright_holder = catalogue.msgid_bugs_address = ""
    catalogue.last_translator = catalogue.language_team = "Admit One"
    catalogue.revision_date = catalogue.creation_date
    catalogue.update(said, no_fuzzy_matching=True, update_creation_date=False)
    return catalogue


def main() -> None:
    for folder in (FOLDER, MESSAGES_FOLDER):
        folder.mkdir(exist_ok=True)
    for language in OTHERS:
        # Read before the file is opened, which empties it.
        catalogues = {
            FOLDER: updated(language),
            MESSAGES_FOLDER: _updated(
                read_catalogue(MESSAGES_FOLDER, language.tag), language, texts(MESSAGES_FOLDER.parent), "messages"
            ),
        }
        for folder, catalogue in catalogues.items():
            with (folder / f"{language.tag}.po").open("wb") as file:
                write_po(file, catalogue, width=120, omit_header=False, ignore_obsolete=True, include_lineno=False)


if __name__ == "__main__":
    main()

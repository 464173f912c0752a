"""The texts of the scripts in another language, put in before a page loads them.

A script writes `t("Sold out")` or `tn("{n} seat", "{n} seats", n)`, as ``static/text.js`` describes. Each language gets
bundles of its own with its texts in place of the English ones, so that a page loads no catalogue.
"""

from __future__ import annotations

import json
import re
from typing import Final

from gateway.pages.languages import Language

_TEXT: Final = r'"(?:[^"\\\n]|\\.)*"'
_ONE: Final = re.compile(rf"(?<![\w$.])t\(\s*({_TEXT})")
_MANY: Final = re.compile(rf"(?<![\w$.])tn\(\s*({_TEXT}),\s*({_TEXT})")
_FORM: Final = re.compile(r"^const pluralForm = .*$", re.MULTILINE)
"""In ``static/text.js``: which form English takes for a number."""


def has_texts(script: str) -> bool:
    return bool(_ONE.search(script) or _MANY.search(script))


def translated(script: str, language: Language) -> str:
    """The script with its texts in ``language``; a text without a translation stays English."""

    def one(found: re.Match[str]) -> str:
        return f"t({_written(language.translations.gettext(json.loads(found[1])))}"

    def many(found: re.Match[str]) -> str:
        english = (json.loads(found[1]), json.loads(found[2]))
        forms = language.forms.get(english[0])
        return f"tn({_written(forms)}, 0" if forms else found[0]

    script = _FORM.sub(f"const pluralForm = (n) => Number({language.plural_expression});", script)
    return _MANY.sub(many, _ONE.sub(one, script))


def _written(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)

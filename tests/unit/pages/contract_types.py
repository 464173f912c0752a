"""What the API answers, as TypeScript types for the pages' scripts.

``make format`` writes them anew after a change of the contract.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import msgspec

from gateway.captcha.captcha import CaptchaOffer
from gateway.contract.lists import ANSWERS, UNIONS

FILE = Path(__file__).parents[3] / "gateway" / "pages" / "contract.d.ts"
COMMAND = "make format"
HEAD = f"// The answers of the public API, made from gateway/contract by `{COMMAND}`.\n"
REFERENCE = "#/$defs/"
PRIMITIVES = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def render() -> str:
    """The text of the file: one type for each answer of the contract, and for each type that they hold."""
    _, found = msgspec.json.schema_components((*ANSWERS, CaptchaOffer), ref_template=REFERENCE + "{name}")
    for name, union in UNIONS.items():
        ((found[name],), _) = msgspec.json.schema_components((union,), ref_template=REFERENCE + "{name}")
    return HEAD + "".join(f"export type {name} = {_type(schema)};\n" for name, schema in sorted(found.items()))


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(REFERENCE)
    if "anyOf" in schema:
        return " | ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(json.dumps(one) for one in schema["enum"])
    if "const" in schema:
        return json.dumps(schema["const"])
    match schema.get("type"):
        case "object" if "properties" in schema:
            return _fields(schema)
        case "object":
            return f"Record<string, {_type(schema.get('additionalProperties', {}))}>"
        case "array":
            return _array(schema)
        case None:
            return "unknown"
        case name:
            return PRIMITIVES[name]


def _fields(schema: dict[str, Any]) -> str:
    required = schema.get("required", ())
    fields = "".join(
        f"  {name}{'' if name in required else '?'}: {_type(field)};\n" for name, field in schema["properties"].items()
    )
    return f"{{\n{fields}}}"


def _array(schema: dict[str, Any]) -> str:
    if "prefixItems" in schema:
        return f"[{', '.join(_type(one) for one in schema['prefixItems'])}]"
    item = _type(schema.get("items", {}))
    length = schema.get("maxItems")
    if length is not None and length == schema.get("minItems"):
        return f"[{', '.join([item] * length)}]"
    return f"({item})[]" if " | " in item else f"{item}[]"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--write", action="store_true", help=f"write {FILE.name} instead of printing it")
    if arguments.parse_args().write:
        FILE.write_text(render())
    else:
        print(render(), end="")


if __name__ == "__main__":
    main()

"""The dials of a room as options of a command, made from `db.rooms.dials`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, Final

import msgspec
import typer

from db.languages import Texts
from db.rooms.dials import DIALS, Dial, DialValue

Command = Callable[..., None]

_BY_OPTION: Final = {dial.option_name.replace("-", "_"): dial for dial in DIALS.values()}


def with_dials(command: Command) -> Command:
    """Give the command an option for each dial. Its parameter ``dials`` gets the given ones, by their names."""
    signature = inspect.signature(command, eval_str=True)
    own = [parameter for parameter in signature.parameters.values() if parameter.name != "dials"]
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_annotation(dial))
        for name, dial in _BY_OPTION.items()
    ]

    @wraps(command)
    def with_options(**given: Any) -> None:
        values = {name: given.pop(name) for name in _BY_OPTION}
        dials: dict[str, DialValue] = {
            _BY_OPTION[name].name: value for name, value in values.items() if value is not None
        }
        command(**given, dials=dials)

    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    with_options.__signature__ = signature.replace(parameters=parameters + options)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters + options}
    return with_options


def _texts(given: str | Texts) -> Texts:
    if isinstance(given, Texts):
        return given
    try:
        return msgspec.json.decode(given, type=Texts)
    except msgspec.DecodeError as error:
        raise typer.BadParameter(f"""a text by language, as in {{"de": "Einlass um acht"}}: {error}""") from None


def _annotation(dial: Dial) -> Any:
    help_text = f"{dial.meaning[0].upper()}{dial.meaning[1:]}."
    if dial.type is bool:
        return Annotated[bool | None, typer.Option(f"--{dial.option_name}/--no-{dial.option_name}", help=help_text)]
    if dial.type is str:
        return Annotated[str | None, typer.Option(f"--{dial.option_name}", help=help_text)]
    if dial.type is Texts:
        option = typer.Option(f"--{dial.option_name}", parser=_texts, metavar="JSON", help=help_text)
        return Annotated[Texts | None, option]
    return Annotated[int | None, typer.Option(f"--{dial.option_name}", min=dial.least, max=dial.most, help=help_text)]

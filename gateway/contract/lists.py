"""Every body and every answer of the contract, as the modules beside this one define them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from gateway import contract
from gateway.contract.booking import Job
from gateway.contract.values import AnswerBody, RequestBody

_T = TypeVar("_T")


def _defined(base: type[_T]) -> tuple[type[_T], ...]:
    """The types that derive from ``base``, by their names; one whose name begins with _ only lends its fields."""
    found: set[type[_T]] = set()
    unseen = [base]
    while unseen:
        types = unseen.pop().__subclasses__()
        found.update(types)
        unseen += types
    public = (one for one in found if one.__module__.startswith(contract.__name__) and not one.__name__.startswith("_"))
    return tuple(sorted(public, key=lambda one: one.__name__))


for _module in pkgutil.iter_modules(contract.__path__, f"{contract.__name__}."):
    importlib.import_module(_module.name)

BODIES: Final = _defined(RequestBody)
ANSWERS: Final = _defined(AnswerBody)
UNIONS: Final[Mapping[str, Any]] = {"Job": Job}
"""Answers that are one of several types, by the name under which they are described."""

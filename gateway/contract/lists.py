"""Lists every body and every answer that the other modules of the contract define."""

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
    """The contract's types that derive from ``base``, sorted by name.

    A type whose name begins with _ is left out: it only lends its fields to others.
    """
    derived: set[type[_T]] = set()
    unseen = [base]
    while unseen:
        types = unseen.pop().__subclasses__()
        derived.update(types)
        unseen += types
    public = (type_ for type_ in derived if type_.__module__.startswith(contract.__name__) and type_.__name__[0] != "_")
    return tuple(sorted(public, key=lambda type_: type_.__name__))


for _module in pkgutil.iter_modules(contract.__path__, f"{contract.__name__}."):
    importlib.import_module(_module.name)

BODIES: Final = _defined(RequestBody)
ANSWERS: Final = _defined(AnswerBody)
UNIONS: Final[Mapping[str, Any]] = {"Job": Job}
"""Answers that are one of several types, by the name that the published description gives them."""

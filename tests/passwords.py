"""The tests' passwords are hashed as the product hashes them, with the least work that Argon2 knows: the product's own
cost, tens of milliseconds of every core for each sign-in, was a tenth of some files' time.
"""

from __future__ import annotations

from typing import Final

from argon2 import PasswordHasher

from db import passwords

OF_THE_PRODUCT: Final = passwords._hasher
"""How the product hashes; `tests/integration/db/test_operators.py` holds with how much work."""
_LIGHT: Final = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def hash_lightly() -> None:
    """Hash with little work in this process from now on."""
    _use(_LIGHT)


def hash_as_the_product() -> None:
    """Take `hash_lightly` back."""
    _use(OF_THE_PRODUCT)


def _use(hasher: PasswordHasher) -> None:
    passwords._hasher = hasher
    passwords._nobody.cache_clear()

"""A command that is accepted, and whose outcome comes with its payment."""

from __future__ import annotations

import uuid


class AwaitsPayment(Exception):  # noqa: N818 - an answer, not an error
    """The book has the command's changes, and the payment's end will record its outcome."""

    def __init__(self, payment_id: uuid.UUID) -> None:
        super().__init__(str(payment_id))
        self.payment_id = payment_id

"""RQ jobs that run listed functions only.

RQ imports and calls whatever name a job in Redis gives: as its function, as a callback, or as a method of the object
that it carries. Here a name is looked up in a list, and nothing is ever imported because of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final

import redis
from rq.job import Job

from booking_lane.serializer import MsgpackSerializer

NAME_SHOWN_MAX: Final = 200


class UnlistedJobError(Exception):
    """A job in Redis asks for something that none of our jobs has, so that our own code did not write it."""


class ListedJob(Job):
    """A job whose function stands in `functions`. It has no callbacks and no web hooks, and one that names some fails.

    A process that runs no jobs, such as a gateway, lists no functions.
    """

    functions: ClassVar[Mapping[str, Callable[..., None]]] = MappingProxyType({})

    @property
    def func(self) -> Callable[..., None]:
        """The listed function.

        Raises:
            UnlistedJobError: the job names another function, or has an instance, a callback or a web hook.
        """
        function = self.functions.get(self.func_name) if isinstance(self.func_name, str) else None
        if function is None:
            raise UnlistedJobError(f"{str(self.func_name)[:NAME_SHOWN_MAX]!r} is no job of this process")
        callbacks = (self._success_callback_name, self._failure_callback_name, self._stopped_callback_name)
        if self.instance is not None or any(callbacks) or self.webhooks:
            raise UnlistedJobError(f"{self.func_name} takes no instance, no callback and no web hook")
        return function

    # RQ asks for the callbacks of a job that failed, too, and thus also of one that was refused.

    @property
    def success_callback(self) -> None:
        return None

    @property
    def failure_callback(self) -> None:
        return None

    @property
    def stopped_callback(self) -> None:
        return None

    def send_webhooks(self, *args: Any, **kwargs: Any) -> None:
        """Send nothing: RQ would send the job to any address that it names."""


def fetch_jobs(client: redis.Redis, ids: Iterable[str]) -> list[ListedJob | None]:
    """The jobs of these ids; None for each that is gone.

    Raises:
        redis.RedisError: Redis does not answer.
    """
    return ListedJob.fetch_many(ids, connection=client, serializer=MsgpackSerializer)  # type: ignore[return-value]

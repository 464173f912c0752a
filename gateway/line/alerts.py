"""Alerts by web push: which browsers a fan wants to be told in. They are sent by the workers."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from db.push.subscriptions import keep_subscription, remove_subscription
from db.webhooks.urls import UrlRefusedError, check_url
from gateway.contract.push import PushBody, PushSubscriptionBody
from gateway.wire.problems import ProblemError, invalid


class Alerts:
    """Keeps browsers' subscriptions.

    Args:
        public_key: the site's VAPID key; empty: the site sends no web push, and nothing is kept.
    """

    def __init__(self, engine: AsyncEngine, public_key: str) -> None:
        self._engine = engine
        self.public_key = public_key

    async def subscribe(self, event_id: int, user_id: int, body: PushSubscriptionBody) -> None:
        """Tell this browser of the fan's turn from now on.

        Raises:
            ProblemError: ``push_off``, ``unknown_event``, or ``invalid_request`` for an endpoint that is no address of
                a push service.
        """
        if not self.public_key:
            raise ProblemError("push_off")
        try:
            # We shall send to it: so it may point nowhere inside of our network.
            check_url(body.endpoint, production=True)
        except UrlRefusedError as error:
            raise invalid(str(error), "$.endpoint") from None
        async with self._engine.begin() as connection:
            kept = await keep_subscription(
                connection,
                event_id,
                user_id,
                endpoint=body.endpoint,
                p256dh=body.keys.p256dh,
                auth=body.keys.auth,
                language=body.language,
            )
        if not kept:
            raise ProblemError("unknown_event")

    async def unsubscribe(self, event_id: int, user_id: int, body: PushBody) -> None:
        """Tell this browser nothing any more."""
        async with self._engine.begin() as connection:
            await remove_subscription(connection, event_id, user_id, body.endpoint)

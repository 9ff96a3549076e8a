"""One client of Anthropic's, with what is said to it and what is made of its answers."""

from __future__ import annotations

from time import perf_counter

import anthropic

from jurist.bodies import read_json
from jurist.chat import ChatReply, ChatRequest
from jurist.prices import Price
from jurist_anthropic.batches import MessageBatches
from jurist_anthropic.failures import Failures, missing_key
from jurist_anthropic.listing import Listing
from jurist_anthropic.options import AnthropicOptions
from jurist_anthropic.replies import ReplyMaker
from jurist_anthropic.requests import RequestWriter

_WITH_SAMPLING = {"anthropic-version": "2023-06-01"}
"""The newest version of the service that hears of temperature and top_p; later ones refuse both."""


class Client:
    """One model of Anthropic's, asked over one pool of connections."""

    def __init__(
        self, options: AnthropicOptions, listing: Listing, price: Price | None, pause: float
    ) -> None:
        self._writer = RequestWriter(options, listing)
        self._anthropic = _connected(options, _WITH_SAMPLING if self._writer.takes_sampling else {})
        secrets = (self._anthropic.api_key, self._anthropic.auth_token)
        self._failures = Failures(options.model, tuple(secret for secret in secrets if secret))
        self._replies = ReplyMaker(options.model, price, self._failures)
        self.batches = MessageBatches(self._anthropic, self._writer, self._replies, self._failures, pause)

    async def complete(self, request: ChatRequest) -> ChatReply:
        """One call, one reply.

        Raises:
            ProviderError: the call failed.
        """
        asked = self._writer.body(request)
        started = perf_counter()
        try:
            response = await self._anthropic.messages.with_raw_response.create(
                model=asked.pop("model"),
                max_tokens=asked.pop("max_tokens"),
                messages=asked.pop("messages"),
                extra_body=asked,  # the client has no parameter for temperature and top_p
            )
        except Exception as error:
            # Whatever the client raises, to the engine it is a call that failed.
            raise self._failures.of_call(error) from error
        seconds = perf_counter() - started
        sent = response.http_response.content
        try:
            body = read_json(sent)
        except ValueError as error:
            raise self._failures.unreadable(sent) from error
        return self._replies.reply(body, request.messages, seconds=seconds)

    async def close(self) -> None:
        """Close the connections."""
        await self._anthropic.close()


def _connected(options: AnthropicOptions, headers: dict[str, str]) -> anthropic.AsyncAnthropic:
    try:
        client = anthropic.AsyncAnthropic(
            api_key=options.api_key.get_secret_value() if options.api_key else None,
            base_url=options.base_url,
            default_headers=headers,
            max_retries=0,
            timeout=None,  # limits.timeout of the engine is the only one
        )
    except anthropic.AnthropicError as error:
        raise missing_key(options.model, error) from error
    if not (client.api_key or client.auth_token or client.credentials):
        raise missing_key(options.model)
    return client

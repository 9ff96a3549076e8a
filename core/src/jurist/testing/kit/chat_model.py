"""What a chat model promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import pytest

from jurist.chat import ChatReply, ChatRequest, Sampling
from jurist.component import COMMON_SETTINGS
from jurist.contracts import ChatModel
from jurist.errors import ProviderError
from jurist.prices import Price
from jurist.records import Message
from jurist.roles import ROLES
from jurist.testing.kit.component import ComponentContract, assert_finite, assert_survives_json
from jurist.testing.kit.generator import GREEDY
from jurist.testing.kit.samples import HOSTILE_TEXTS, PROMPTS

Reply = ChatReply | ProviderError
CONCURRENT = 24
CHOICES = (("A", "B"), ("yes", "no", "perhaps"), ("甲", "乙"))
ROLE_OPTIONS = frozenset(name for role in ROLES.values() for name in role.Options.model_fields)
"""In a recipe the options of a role lie beside those of its model, so these names are taken."""


class ChatModelContract(ComponentContract):
    """Tests of a chat model. Override :meth:`samples` if yours cannot answer just any request."""

    contract = ChatModel
    known_capabilities: ClassVar[frozenset[str]] = frozenset({"logprobs"})
    reserved_options: ClassVar[frozenset[str]] = COMMON_SETTINGS | ROLE_OPTIONS

    def samples(self) -> Sequence[ChatRequest]:
        """Greedy requests that the model can answer; English, Chinese and a conversation by default."""
        return [ChatRequest(messages=prompt.messages, sampling=GREEDY) for prompt in PROMPTS]

    def replies(self, requests: Sequence[ChatRequest], *, together: bool = False) -> list[Reply]:
        """The model's reply to each request, checked for its type."""
        replies = self.ask(requests, lambda made, request: made.complete(request), together=together)
        for reply in replies:
            assert isinstance(reply, ProviderError) or type(reply) is ChatReply, f"returned {reply!r}"
        return replies

    def answers(self, requests: Sequence[ChatRequest]) -> list[tuple[ChatRequest, ChatReply]]:
        """The requests that were answered, with their replies; at least one."""
        replies = self.replies(requests)
        found = [
            (asked, said)
            for asked, said in zip(requests, replies, strict=True)
            if isinstance(said, ChatReply)
        ]
        assert found, f"no reply, only {[str(reply) for reply in replies]}; override samples() if none suits"
        return found

    def test_replies(self) -> None:
        """Return a ChatReply; if the samples do not suit the model, override samples()."""
        self.answers(self.samples())

    def test_replies_survive_json(self) -> None:
        """Put only JSON values into replies: the ledger stores them and reads them back."""
        for _, reply in self.answers(self.samples()):
            assert_survives_json(reply)

    def test_finish_reason_is_true(self) -> None:
        """Report ``length`` when ``max_tokens`` cut the text, and never exceed it."""
        limit = GREEDY.model_copy(update={"max_tokens": 1})
        requests = [request.model_copy(update={"sampling": limit}) for request in self.samples()]
        for _, reply in self.answers(requests):
            assert reply.finish_reason in {"stop", "length", "refusal"}
            assert reply.usage.completion_tokens <= 1
            assert reply.finish_reason == "length" or len(reply.text.split()) <= 1

    def test_usage_is_reported(self) -> None:
        """Report the tokens of every reply, estimated if need be: budgets and limits count them."""
        free = self.new().free
        for request, reply in self.answers(self.samples()):
            for amount in reply.usage.model_dump().values():
                assert_finite(amount)
                assert amount >= 0
            if not free:
                assert reply.usage.prompt_tokens > 0, f"no prompt tokens reported for {request}"

    def test_costs_are_said_beforehand(self) -> None:
        """Return a jurist.prices.Price from ``price()``, or None where nobody knows it; caps need it.

        A reply costs no more than that price says, and ``most_tokens`` is never less than ``max_tokens``.
        """
        made = self.new()
        assert isinstance(made, ChatModel)
        price = made.price()
        assert price is None or isinstance(price, Price), f"price() returned {price!r}"
        for request, reply in self.answers(self.samples()):
            assert made.most_tokens(request) >= request.sampling.max_tokens
            if price is not None:
                dearest = price.model_copy(update={"input": max(price.input, price.cache_write or 0)})
                most = dearest.usd(reply.usage.prompt_tokens, reply.usage.completion_tokens)
                assert reply.usage.usd <= most + 1e-9, f"${reply.usage.usd} for a reply of at most ${most}"

    def test_stop_ends_the_text(self) -> None:
        """End the text before the first of ``sampling.stop``, and leave the stop out of it."""
        self.skip_unless_deterministic()
        for request, reply in self.answers(self.samples()):
            if len(reply.text) < 2:
                continue
            stop = reply.text[len(reply.text) // 2]
            stopped = request.sampling.model_copy(update={"stop": (stop,)})
            for _, shorter in self.answers([request.model_copy(update={"sampling": stopped})]):
                assert stop not in shorter.text

    def test_sampling_is_taken(self) -> None:
        """Heed every part of ``sampling``; what cannot be done is a ProviderError, not another exception."""
        warm = Sampling(temperature=1.3, top_p=0.9, max_tokens=5, seed=None)
        self.replies([request.model_copy(update={"sampling": warm}) for request in self.samples()])

    def test_assistant_turns_are_continued(self) -> None:
        """Accept a conversation that ends with an assistant turn: the model continues it."""
        turn = Message(role="assistant", content="The answer is")
        self.answers(
            [request.model_copy(update={"messages": (*request.messages, turn)}) for request in self.samples()]
        )

    def test_same_request_same_reply(self) -> None:
        """Keep nothing between calls that changes a greedy reply."""
        self.skip_unless_deterministic()
        for before, after in zip(self.replies(self.samples()), self.replies(self.samples()), strict=True):
            if isinstance(before, ChatReply) and isinstance(after, ChatReply):
                assert after.text == before.text

    def test_concurrent_requests_keep_their_replies(self) -> None:
        """Give each call the reply to its own request, however many are in flight at once."""
        self.skip_unless_deterministic()
        samples = list(self.samples())
        many = (samples * CONCURRENT)[: max(CONCURRENT, len(samples))]
        alone = self.replies(samples)
        for number, reply in enumerate(self.replies(many, together=True)):
            expected = alone[number % len(samples)]
            if isinstance(expected, ChatReply) and isinstance(reply, ChatReply):
                assert reply.text == expected.text

    def test_hostile_text_is_handled(self) -> None:
        """Pass any text on as it is; what the provider does not take is a ProviderError."""
        self.replies(
            [
                ChatRequest(messages=(Message(role="user", content=text),), sampling=GREEDY)
                for text in ("", " \n", *HOSTILE_TEXTS)
            ]
        )

    def test_choices_are_scored(self) -> None:
        """Give one finite log-probability, at most 0, per choice; None if you do not declare ``logprobs``."""
        capabilities = self.new().capabilities
        for choices in CHOICES:
            requests = [request.model_copy(update={"choices": choices}) for request in self.samples()]
            for _, reply in self.answers(requests):
                if "logprobs" not in capabilities:
                    assert reply.choice_logprobs is None
                    continue
                assert reply.choice_logprobs is not None
                assert len(reply.choice_logprobs) == len(choices)
                for logprob in reply.choice_logprobs:
                    assert_finite(logprob)
                    assert logprob <= 0

    def test_choices_keep_their_order(self) -> None:
        """Give the log-probabilities in the order of the request's choices."""
        self.skip_unless_capable_of("logprobs")
        for choices in CHOICES:
            for request in self.samples():
                asked = [request.model_copy(update={"choices": order}) for order in (choices, choices[::-1])]
                scores = [
                    dict(zip(r.choices, s.choice_logprobs or (), strict=True)) for r, s in self.answers(asked)
                ]
                for score in scores:
                    assert score == pytest.approx(scores[0], abs=1e-3)

"""Recorder: a chat model that writes down what it is asked."""

from __future__ import annotations

from jurist.chat import ChatReply, ChatRequest
from jurist.contracts import ChatModel
from jurist.errors import ProviderError
from jurist.planning.bounds import Bounds
from jurist.planning.rehearsal.answers import Answers, usage_of, without_answers
from jurist.planning.rehearsal.tally import Tally
from jurist.records import Message
from jurist.tokens import estimate_tokens


class Recorder(ChatModel):
    """Stands for ``model``: can do what it can, counts by its tokenizer, and asks it nothing."""

    def __init__(self, model: ChatModel, tally: Tally, answers: Answers) -> None:
        super().__init__(model.options)
        vars(self).update(capabilities=model.capabilities)
        self._model = model
        self._tally = tally
        self._answers = answers
        self._counted: dict[tuple[Message, ...], int] = {}

    async def complete(self, request: ChatRequest) -> ChatReply:
        """A placeholder, or the same log-probability for every choice."""
        chooses = bool(request.choices) and "logprobs" in self.capabilities
        # A model on one's own machine reads its choices off and writes nothing; a service writes one of them.
        silent = chooses and self._tally.is_local
        written = Bounds() if silent else self._answers.length(request.sampling)
        if self._tally.is_new(request):
            prompt = await self._prompt_tokens(request)  # other requests are added while this is counted
            self._tally.prompt_tokens += prompt
            thinking = self._model.most_tokens(request) - request.sampling.max_tokens
            self._tally.completion_tokens += written + Bounds(high=0 if silent else thinking)
        return ChatReply(
            text=self._answers.text(written),
            choice_logprobs=(0.0,) * len(request.choices) if chooses else None,
            usage=usage_of(written),
        )

    async def _prompt_tokens(self, request: ChatRequest) -> Bounds:
        messages, quoted = without_answers(request.messages)
        if not quoted.high:
            return Bounds.of(await self._count(request))
        # Without the answers it quotes, one request about an item is often like the next.
        if messages not in self._counted:
            plain = request.model_copy(update={"messages": messages, "shared": 0})
            self._counted[messages] = await self._count(plain)
        return quoted + Bounds.of(self._counted[messages])

    async def _count(self, request: ChatRequest) -> int:
        """By the model's own tokenizer, or else estimated."""
        if not self._tally.estimated:
            try:
                tokens = await self._model.prompt_tokens(request)
            except ProviderError:  # its tokenizer is not to be had here; the plan says that it estimates
                tokens = None
            if tokens is not None:
                return tokens
            self._tally.estimated = True
        return estimate_tokens(request.messages)

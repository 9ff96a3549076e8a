"""The chat model ``hf``: a local transformers model that answers concurrent requests in batches."""

from __future__ import annotations

import asyncio
import threading
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, JsonValue, field_validator

from jurist.chat import ChatReply, ChatRequest
from jurist.contracts import ChatModel
from jurist.engine.batcher import Batcher
from jurist.engine.limits import Limits
from jurist.errors import ProviderError
from jurist.options import LocalPath, Operational, Options
from jurist.prices import FREE, Price
from jurist_hf.checkpoint import PROVIDED_BY, find_checkpoint, names_folder

if TYPE_CHECKING:
    from jurist_hf.batching import BatchFunction
    from jurist_hf.loading import LoadedModel
    from jurist_hf.prompts import PromptEncoder

_GATHERED_BATCHES = 4
"""How many batches are gathered before they are sorted by length and cut."""


class TransformersOptions(Options):
    """Options of ``hf``.

    ``max_length`` overrides the context length that the checkpoint states. With ``too_long: shorten`` the
    prompt says what it lost in its place, and the reply in its note.
    """

    model: Annotated[str, LocalPath] = Field(
        description="A folder, or a model of the Hugging Face hub, pinned to the commit it resolves to."
    )
    tokenizer: Annotated[str | None, LocalPath] = Field(
        default=None, description="A folder or hub id; by default the model's."
    )
    adapter: Annotated[str | None, LocalPath] = Field(
        default=None, description="A LoRA adapter: a folder or hub id."
    )
    chat_template: Annotated[str | None, LocalPath] = Field(
        default=None, description="A Jinja file, or the template itself; by default the tokenizer's."
    )
    chat_template_kwargs: dict[str, JsonValue] = Field(
        default_factory=dict, description="Variables for the template, such as `enable_thinking: false`."
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="`auto`: float32 on a CPU, the checkpoint's own elsewhere."
    )
    max_length: int | None = Field(
        default=None, ge=2, description="The context length in tokens; by default the checkpoint's."
    )
    too_long: Literal["refuse", "shorten"] = Field(
        default="refuse",
        description="A prompt past the context fails, or, where choices are asked for, loses the middle "
        "of its longest paragraphs, and says so.",
    )
    device: Annotated[str, Operational] = Field(
        default="auto", description="`auto`, `cpu`, `cuda`, `cuda:1`, `mps`."
    )
    batch_size: Annotated[int, Operational, Field(ge=1)] = Field(
        default=16, description="Requests per batch; halved by itself where a batch does not fit into memory."
    )
    batch_tokens: Annotated[int, Operational, Field(ge=1)] = Field(
        default=32768, description="Tokens per batch, padding and `max_tokens` included."
    )

    @field_validator("model", "tokenizer", "adapter")
    @classmethod
    def _is_there(cls, name: str | None) -> str | None:
        if name is not None and names_folder(name) and not Path(name).expanduser().is_dir():
            raise ValueError(f"there is no folder {Path(name).expanduser().absolute()}")
        return name

    @property
    def template_text(self) -> str | None:
        """The chat template that was asked for, read from its file if it is one.

        Raises:
            ProviderError: it is neither a template nor a file; fatal.
        """
        given = self.chat_template
        if given is None or "{" in given:
            return given
        try:
            return Path(given).expanduser().read_text(encoding="utf-8")
        except OSError as error:
            raise ProviderError(
                f"The chat template {given} cannot be read.",
                fatal=True,
                provided_by=PROVIDED_BY,
                cause=error,
                hint="give the path of a Jinja file, or the template itself",
            ) from error


class TransformersChatModel(ChatModel):
    """A local transformers model.

    Requests that are in flight together are answered together, sorted by length. What a request gets
    depends on its content and seed, not on its neighbours in the batch. The model is loaded on the
    first call, in the thread that runs it.
    """

    Options: ClassVar[type[Options]] = TransformersOptions
    capabilities: ClassVar[frozenset[str]] = frozenset({"logprobs"})
    # A trainer gets the checkpoint alone and knows nothing of these, so what it trained would not be
    # what had answered: a run refuses to train a policy that sets one.
    not_trained: ClassVar[frozenset[str]] = frozenset(
        {"adapter", "tokenizer", "chat_template", "chat_template_kwargs"}
    )
    # Calls wait for each other in batches, and nobody else refuses them for rate.
    limits: ClassVar[Limits] = Limits(concurrency=256, attempts=2, timeout=3600)
    options: TransformersOptions

    def __init__(self, options: TransformersOptions) -> None:
        super().__init__(options)
        self._lock = threading.Lock()
        self._loaded: LoadedModel | None = None
        self._encoder: PromptEncoder | None = None
        gathered = _GATHERED_BATCHES * options.batch_size
        self._generation = Batcher(self._generate, max_size=gathered)
        self._choice = Batcher(self._score, max_size=gathered)

    def identity(self) -> JsonValue:
        """The options, with the content of checkpoints and template in place of their paths."""
        options = self.options
        return {
            **options.identity(),
            "model": self._fingerprint,
            "tokenizer": options.tokenizer
            and find_checkpoint(options.tokenizer, "tokenizer_config.json").fingerprint(),
            "adapter": options.adapter
            and find_checkpoint(options.adapter, "adapter_config.json").fingerprint(),
            "chat_template": options.template_text,
        }

    @cached_property
    def _fingerprint(self) -> str:
        return find_checkpoint(self.options.model).fingerprint()

    async def complete(self, request: ChatRequest) -> ChatReply:
        """Answer one request, together with those that are in flight beside it.

        Raises:
            ProviderError: the model cannot be loaded (fatal), or the request does not fit it.
        """
        batcher = self._choice if request.choices else self._generation
        answer = await batcher.submit(request)
        if isinstance(answer, ProviderError):
            raise answer
        return answer

    async def misfit(self, request: ChatRequest) -> str | None:
        """Why the request does not fit the context, or None."""
        error = await asyncio.to_thread(self._misfit, request)
        return None if error is None else error.what

    def price(self) -> Price:
        """Nothing: it runs on one's own machine."""
        return FREE

    async def prompt_tokens(self, request: ChatRequest) -> int | None:
        """By the model's own tokenizer and template, if it is a folder here; loads no weights."""
        return await asyncio.to_thread(self._prompt_tokens, request)

    async def close(self) -> None:
        """Stop the batchers and let the weights go."""
        await self._generation.close()
        await self._choice.close()
        with self._lock:
            loaded, self._loaded = self._loaded, None
        if loaded is not None:
            loaded.release()

    def _prompt_tokens(self, request: ChatRequest) -> int | None:
        from jurist_hf.prompts import load_encoder

        if not Path(self.options.tokenizer or self.options.model).expanduser().is_dir():
            return None  # it would be fetched from the hub, and counting makes no call
        with self._lock:
            if self._encoder is None:
                try:
                    self._encoder = load_encoder(self.options)
                except ProviderError:
                    return None  # a run says why; an estimate can do without
            return len(self._encoder.encode_prompt(request))

    def _misfit(self, request: ChatRequest) -> ProviderError | None:
        from jurist_hf.batching import encode

        with self._lock:
            loaded = self._load()
        try:
            encode(loaded, request)
        except ProviderError as error:
            return error
        return None

    def _generate(self, requests: list[ChatRequest]) -> list[ChatReply | ProviderError]:
        from jurist_hf.generation import generate

        return self._answer(requests, generate)

    def _score(self, requests: list[ChatRequest]) -> list[ChatReply | ProviderError]:
        from jurist_hf.choices import score_choices

        return self._answer(requests, score_choices)

    def _answer(
        self, requests: list[ChatRequest], function: BatchFunction
    ) -> list[ChatReply | ProviderError]:
        from jurist_hf.batching import answer_in_batches

        with self._lock:
            try:
                loaded = self._load()
            except ProviderError as error:
                return [error] * len(requests)
            return answer_in_batches(
                loaded, requests, function, self.options.batch_size, self.options.batch_tokens
            )

    def _load(self) -> LoadedModel:
        from jurist_hf.loading import load_model

        if self._loaded is None:
            self._loaded = load_model(self.options)
        return self._loaded

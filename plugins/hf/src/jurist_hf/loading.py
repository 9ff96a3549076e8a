"""Loading a model with its tokenizer, and the few things asked of the pair."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForCausalLM, GenerationConfig
from transformers.utils import logging

from jurist.errors import ProviderError
from jurist_hf.beginning import Beginning
from jurist_hf.checkpoint import PROVIDED_BY, Checkpoint, find_checkpoint, unusable
from jurist_hf.prompts import PromptEncoder, load_encoder

if TYPE_CHECKING:
    from jurist_hf.model import TransformersOptions

# Transformers loads by changing state of the whole process for a while (how weights are initialised and
# tied, the default dtype), so two loads at once spoil each other.
_ONE_AT_A_TIME = threading.Lock()


@dataclass
class LoadedModel:
    """A model in memory, and what turns messages into its token ids."""

    name: str
    model: Any
    prompts: PromptEncoder
    max_length: int | None
    shortens: bool
    end_ids: tuple[int, ...]
    pad_id: int
    beginning: Beginning | None = None

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        return self.prompts.tokenizer

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = self.model.device
        return device

    def check_length(self, prompt_tokens: int, new_tokens: int, what: str) -> None:
        """Refuse what the context cannot hold; nothing is ever cut off silently."""
        if self.max_length is None or prompt_tokens + new_tokens <= self.max_length:
            return
        raise ProviderError(
            f"The prompt has {prompt_tokens} tokens; with {new_tokens} more for {what} that is past the "
            f"{self.max_length} of the context of {self.name}.",
            provided_by=PROVIDED_BY,
            hint="lower max_tokens, shorten the prompt, or use a model with a longer context",
        )

    def padded(self, rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids padded on the left, and their attention mask."""
        width = max(map(len, rows))
        ids = [[self.pad_id] * (width - len(row)) + list(row) for row in rows]
        mask = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
        return torch.tensor(ids, device=self.device), torch.tensor(mask, device=self.device)

    def release(self) -> None:
        """Let the weights go; the object is of no use afterwards."""
        self.model = self.beginning = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def load_model(options: TransformersOptions) -> LoadedModel:
    """Load what the options name.

    Raises:
        ProviderError: it cannot be loaded or has no chat template; fatal.
    """
    checkpoint = find_checkpoint(options.model)
    prompts = load_encoder(options)
    model = _load_weights(options, checkpoint)
    end_ids = _end_ids(model, prompts.tokenizer)
    pad_id = next((i for i in (prompts.tokenizer.pad_token_id, *end_ids) if i is not None), 0)
    # The checkpoint's own sampling defaults (top_k, a repetition penalty) would bend the distribution
    # that was asked for.
    model.generation_config = GenerationConfig(eos_token_id=list(end_ids) or None, pad_token_id=pad_id)
    text_config = model.config.get_text_config()
    return LoadedModel(
        name=options.model,
        model=model,
        prompts=prompts,
        max_length=options.max_length or getattr(text_config, "max_position_embeddings", None),
        shortens=options.too_long == "shorten",
        end_ids=end_ids,
        pad_id=pad_id,
    )


def _load_weights(options: TransformersOptions, checkpoint: Checkpoint) -> Any:
    device = _device(options.device)
    dtype = options.dtype
    if dtype == "auto" and device.type == "cpu":
        dtype = "float32"
    try:
        with _ONE_AT_A_TIME, _no_progress_bar():
            model, report = AutoModelForCausalLM.from_pretrained(
                checkpoint.name,
                revision=checkpoint.revision or "main",
                dtype=dtype,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
        if report["missing_keys"]:
            missing = ", ".join(sorted(report["missing_keys"])[:4])
            raise unusable(
                f"{checkpoint.name} is not a whole causal language model: it lacks {missing}.",
                hint="name a checkpoint saved from AutoModelForCausalLM (a reward model is not one)",
            )
        if options.adapter is not None:
            adapter = find_checkpoint(options.adapter, "adapter_config.json")
            model.load_adapter(adapter.name, adapter_kwargs={"revision": adapter.revision or "main"})
        return model.to(device).eval()
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise unusable(f"{checkpoint.name} cannot be loaded.", error) from error


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """Loading takes seconds, and a bar of it would run through the one that the run shows."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _device(name: str) -> torch.device:
    if name == "auto":
        found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return found or torch.device("cpu")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise unusable(f"There is no device '{name}'.", error, hint="auto, cpu, cuda, cuda:1, mps") from error


def _end_ids(model: Any, tokenizer: Any) -> tuple[int, ...]:
    stated = model.generation_config.eos_token_id
    several = stated if isinstance(stated, list) else [stated]
    return tuple(dict.fromkeys(i for i in (tokenizer.eos_token_id, *several) if i is not None))

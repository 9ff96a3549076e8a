"""How a policy's forward passes are made whose log-probabilities are learned from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from trl.trainer import utils


def position_ids(attention_mask: Tensor) -> Tensor:
    """Positions that count real tokens only, so that padding on the left shifts nothing."""
    return (attention_mask.cumsum(dim=-1) - 1).clamp(min=0)


@contextmanager
def positions_of_real_tokens(model: Any) -> Iterator[None]:
    """Within it, ``model`` is told the position of each token, as it is while it samples.

    Without it, a model with learned positions counts the padding on the left, too.
    """

    def with_positions(module: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return args, kwargs | {"position_ids": position_ids(kwargs["attention_mask"])}

    # at the outermost model, since adapters and wrappers call what they wrap without its hooks
    hook = model.register_forward_pre_hook(with_positions, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def labelled_tokens_alone() -> Iterator[None]:
    """Have TRL score the labelled tokens alone on every device, as it does where there is Triton.

    Elsewhere it scores prompts and padding too, so that compiled graphs keep their shapes. Nothing is
    compiled here, and on a CPU these tokens take half the time of a forward and backward pass.
    """
    before = utils._use_triton
    utils._use_triton = lambda device: True
    try:
        yield
    finally:
        utils._use_triton = before

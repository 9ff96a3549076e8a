"""Which tokens TRL's head scores in a forward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from trl.trainer import utils


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

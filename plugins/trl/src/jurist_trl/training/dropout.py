"""Dropout turned off, where two forward passes must not differ by chance."""

from __future__ import annotations

from typing import Any

from torch import nn


def without_dropout(model: Any) -> Any:
    """The model, none of whose modules drops anything any more; its configuration stays as it is.

    TRL finds modules of the class Dropout alone. Most of Transformers' attention, and all of OPT, keep the
    probability as a number of their own.
    """
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for name, value in vars(module).items():
            if "drop" in name and isinstance(value, float):
                setattr(module, name, 0.0)
    return model

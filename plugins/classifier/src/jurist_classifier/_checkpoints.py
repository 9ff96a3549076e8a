"""Checkpoints: where a training is, on disk, so that it can go on."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_model, save_model

from jurist.files.folders import replacing

_STATE = "state.json"


@dataclass
class State:
    """How far a training is: optimizer steps done, the best look so far, and the looks since."""

    step: int = 0
    best_step: int = 0
    best_loss: float = float("inf")
    looks_since_best: int = 0
    seconds: float = 0.0


class Checkpoints:
    """The newest checkpoint of a training, and the weights that were best."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._best = folder / "best.safetensors"

    @property
    def last(self) -> Path | None:
        """The folder of the newest checkpoint, if there is one; one that was cut short is none."""
        whole = [file.parent for file in self._folder.glob(f"step-*/{_STATE}")]
        whole = [folder for folder in whole if not folder.name.endswith(".partial")]
        return max(whole, key=lambda folder: int(folder.name.removeprefix("step-")), default=None)

    def save(self, state: State, model: Any, optimizer: torch.optim.Optimizer) -> None:
        """Keep this moment in place of the last."""
        before, folder = self.last, self._folder / f"step-{state.step}"
        with replacing(folder) as partial:
            save_model(model, str(partial / "model.safetensors"))
            torch.save(optimizer.state_dict(), partial / "optimizer.pt")
            (partial / _STATE).write_text(json.dumps(asdict(state)), encoding="utf-8")
        if before is not None and before != folder:
            shutil.rmtree(before)

    def restore(self, model: Any, optimizer: torch.optim.Optimizer) -> State:
        """Go back to the last checkpoint, if there is one."""
        folder = self.last
        if folder is None:
            return State()
        load_model(model, str(folder / "model.safetensors"), device=str(model.device))
        optimizer.load_state_dict(torch.load(folder / "optimizer.pt", weights_only=True))
        return State(**json.loads((folder / _STATE).read_text(encoding="utf-8")))

    def save_best(self, model: Any) -> None:
        """Keep these weights as the best."""
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = self._best.with_suffix(".partial")
        save_model(model, str(partial))
        partial.replace(self._best)

    def restore_best(self, model: Any) -> None:
        """Put the best weights into the model."""
        load_model(model, str(self._best), device=str(model.device))

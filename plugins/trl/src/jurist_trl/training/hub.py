"""Local folders of models that are named by their id on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from jurist.errors import UsageError
from jurist.train_jobs import TrainJob

_FILES = ["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken"]
# Copies in other formats lie in folders of their own, or under this name, and would double the download.
_COPIES = ["*/*", "consolidated*.safetensors"]


def with_local_models(job: TrainJob) -> TrainJob:
    """The job with folders in place of hub ids.

    Raises:
        UsageError: a model is neither a folder here nor to be had from the hub.
    """
    reward_models = tuple(local_folder(model) for model in job.reward_models)
    return job.model_copy(update={"model": local_folder(job.model), "reward_models": reward_models})


def local_folder(model: Path) -> Path:
    """The folder ``model`` if there is one, else that of the hub's model of this name, downloaded if need be.

    ``HF_HUB_OFFLINE`` and the hub's cache are honoured.

    Raises:
        UsageError: it is neither.
    """
    folder = model.expanduser()
    if folder.is_dir():
        return folder
    if folder.is_absolute() or model.parts[:1] == ("..",) or len(model.parts) > 2:
        raise _missing(f"there is no folder {model}", None, "give the folder of a Transformers checkpoint")
    return _hub_folder(model.as_posix())


class Snapshot(NamedTuple):
    """A model of the hub at one of its commits."""

    name: str
    revision: str


def hub_snapshot(folder: Path) -> Snapshot | None:
    """Which model of the hub the folder is a copy of, if it lies in the hub's cache."""
    prefix, _, name = folder.parent.parent.name.partition("models--")
    if prefix or not name or folder.parent.name != "snapshots":
        return None
    return Snapshot(name.replace("--", "/"), folder.name)


def _hub_folder(name: str) -> Path:
    from httpx import HTTPError
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    hint = f"hf download {name}, or give the folder of a Transformers checkpoint"
    try:
        folder = Path(snapshot_download(name, allow_patterns=_FILES, ignore_patterns=_COPIES))
    except (OSError, HTTPError, HFValidationError) as error:
        raise _missing(
            f"'{name}' is no folder here and could not be had from the hub", error, hint
        ) from error
    missing = [pattern for pattern in ("config.json", "*.safetensors") if not any(folder.glob(pattern))]
    if missing:
        cause = f"{folder} holds no {' and no '.join(missing)}"
        raise _missing(f"the hub's '{name}' cannot be trained as it lies here", cause, hint)
    return folder


def _missing(what: str, cause: BaseException | str | None, hint: str) -> UsageError:
    return UsageError(what, provided_by="jurist-trl", cause=cause, hint=hint)

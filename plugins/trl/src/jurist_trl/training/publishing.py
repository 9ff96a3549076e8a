"""Finished models on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from jurist.errors import TrainingError, UsageError


def unreachable(repository: str) -> list[str]:
    """Why nothing can be pushed to ``repository``, as far as that can be told without the network."""
    from huggingface_hub import constants, get_token

    faults = []
    if constants.HF_HUB_OFFLINE:
        faults.append(f"push_to_hub: '{repository}' is out of reach: HF_HUB_OFFLINE is set")
    if get_token() is None:
        faults.append(f"push_to_hub: there is no token for '{repository}': hf auth login, or set HF_TOKEN")
    return faults


def open_repository(repository: str) -> None:
    """Make the repository on the hub, private, unless it exists; a refusal shows before training so.

    Raises:
        UsageError: the hub refuses, or is out of reach.
    """
    from httpx import HTTPError
    from huggingface_hub import HfApi

    try:
        HfApi().create_repo(repository, private=True, exist_ok=True)
    except (OSError, HTTPError, ValueError) as error:
        raise UsageError(
            f"the model could not be pushed to '{repository}' on the hub when it is trained",
            provided_by="jurist-trl",
            cause=error,
            hint="correct the option push_to_hub or the token (hf auth whoami), or leave the option out",
        ) from error


def push(folder: Path, repository: str) -> None:
    """Upload a finished model.

    Raises:
        TrainingError: that failed; the model lies in ``folder`` all the same.
    """
    from httpx import HTTPError
    from huggingface_hub import HfApi

    try:
        HfApi().upload_folder(
            repo_id=repository, folder_path=folder, commit_message="Model trained with Jurist"
        )
    except (OSError, HTTPError, ValueError) as error:
        raise TrainingError(
            f"the model is trained and lies in {folder}, but could not be pushed to '{repository}'",
            provided_by="jurist-trl",
            cause=error,
            hint=f"run again, which pushes and trains no step anew; or hf upload {repository} {folder}",
        ) from error

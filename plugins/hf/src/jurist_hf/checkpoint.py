"""Which checkpoint a name means, and a fingerprint of what is in it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jurist.errors import ProviderError

PROVIDED_BY = "jurist-hf (jurist_hf.model:TransformersChatModel)"

_DECIDING = (
    "config.json",
    "generation_config.json",
    "adapter_config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    "tokenizer*.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.model",
    "*.tiktoken",
    "*.jinja",
)
"""The files that decide what a model answers; optimizer states, logs and READMEs are not among them."""

_FULLY_READ = 1 << 30
_BLOCK = 1 << 16
_STRIDE = 1 << 22


@dataclass(frozen=True)
class Checkpoint:
    """A folder of weights, or a model of the Hugging Face hub pinned to one commit."""

    name: str
    revision: str | None = None

    def fingerprint(self) -> str:
        """Hex digits that change when the weights, the tokenizer or the configuration do."""
        if self.revision is not None:
            return f"{self.name}@{self.revision}"
        digest = hashlib.sha256()
        for path in _deciding_files(Path(self.name)):
            digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
            for block in _blocks(path):
                digest.update(block)
        return digest.hexdigest()[:32]


def find_checkpoint(name: str, marker: str = "config.json") -> Checkpoint:
    """The folder ``name`` if there is one, else the model of that name on the hub.

    ``marker`` is the file that a folder must hold to be what is looked for.

    Raises:
        ProviderError: it is neither; fatal.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / marker).is_file():
            raise _missing(f"The folder {folder} holds no {marker}.", None)
        return Checkpoint(str(folder))
    if names_folder(name):
        raise _missing(f"There is no folder {folder}.", None)
    return _hub_checkpoint(name, marker)


def names_folder(name: str) -> bool:
    """Whether a name can only be that of a folder here: a model of the hub is ``name`` or ``owner/name``."""
    return Path(name).is_absolute() or name.startswith((".", "~")) or name.count("/") > 1


def _hub_checkpoint(name: str, marker: str) -> Checkpoint:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        path = hf_hub_download(name, marker)
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        raise _missing(f"'{name}' is no folder here and could not be had from the hub.", error) from error
    return Checkpoint(name, revision=Path(path).parent.name)


def unusable(what: str, cause: BaseException | None = None, hint: str | None = None) -> ProviderError:
    """The error for a checkpoint that cannot be used."""
    return ProviderError(
        what,
        fatal=True,
        provided_by=PROVIDED_BY,
        cause=cause,
        hint=hint or "check that the folder is a complete checkpoint that transformers loads",
    )


def _missing(what: str, cause: BaseException | None) -> ProviderError:
    return ProviderError(
        what,
        fatal=True,
        provided_by=PROVIDED_BY,
        cause=cause,
        hint="give a folder written by save_pretrained, or a hub id such as Qwen/Qwen3-0.6B",
    )


def _deciding_files(folder: Path) -> list[Path]:
    found = {path for pattern in _DECIDING for path in folder.glob(pattern) if path.is_file()}
    return sorted(found, key=lambda path: path.name)


def _blocks(path: Path) -> Iterator[bytes]:
    """All of a file under 1 GiB; of a larger one 64 KiB of every 4 MiB, which no large tensor escapes."""
    size = path.stat().st_size
    stride = _STRIDE if size > _FULLY_READ else _BLOCK
    with path.open("rb") as file:
        for start in range(0, size, stride):
            file.seek(start)
            yield file.read(_BLOCK)

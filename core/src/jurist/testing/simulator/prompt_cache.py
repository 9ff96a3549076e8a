"""Which beginnings of prompts the simulated provider has seen before."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

SHORTEST = 1024
STEP = 128
"""OpenAI caches prompts from 1024 tokens on, in steps of 128."""


@dataclass(frozen=True)
class CacheUse:
    """What of a prompt came from the cache, counted in words.

    ``read`` and ``created`` are the words read from the cache and written to it; ``keys`` are the
    beginnings that are kept once the request is answered, and not before, as providers do.
    """

    prompt: int
    read: int = 0
    created: int = 0
    keys: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Block:
    """A part of a prompt; ``marked`` if the prompt up to its end shall be cached."""

    role: str
    text: str
    marked: bool


class PromptCache:
    """The beginnings of prompts that were answered; they stay for as long as the server does."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def keep(self, use: CacheUse) -> None:
        """Remember the beginnings of a request that is answered."""
        self._seen.update(use.keys)

    def automatic(self, model: str, messages: Sequence[tuple[str, str]]) -> CacheUse:
        """As OpenAI does: the longest known beginning of a long prompt, without being told to."""
        total = sum(len(text.split()) for _, text in messages)
        if total < SHORTEST:
            return CacheUse(total)
        words = [word for role, text in messages for word in f"{role}:{text.lstrip()}".split()]
        keys, lengths = [], range(SHORTEST, len(words) + 1, STEP)
        running, start = _hash_of(model), 0
        for length in lengths:
            running.update(" ".join(words[start:length]).encode())
            keys.append(running.digest())
            start = length
        known = [length for key, length in zip(keys, lengths, strict=True) if key in self._seen]
        return CacheUse(total, read=max(known, default=0), keys=tuple(keys))

    def marked(self, model: str, blocks: Sequence[Block]) -> CacheUse:
        """As Anthropic does: what is marked is written, and what an earlier request wrote is read.

        Anthropic ignores marks in short prompts, this cache does not.
        """
        ends = list(accumulate(len(block.text.split()) for block in blocks))
        last = max((index for index, block in enumerate(blocks) if block.marked), default=None)
        if last is None:
            return CacheUse(ends[-1])
        running, keys, read = _hash_of(model), [], 0
        for block, end in zip(blocks[: last + 1], ends, strict=False):
            running.update(f"{block.role} {len(block.text)} {block.text}".encode())
            if running.digest() in self._seen:
                read = end
            if block.marked:
                keys.append(running.digest())
        return CacheUse(ends[-1], read=read, created=ends[last] - read, keys=tuple(keys))


def _hash_of(model: str) -> hashlib.blake2b:
    return hashlib.blake2b(model.encode(), digest_size=16)

"""Sequences of token ids cut into passes, so that what several of them begin with is computed once.

Sorted, sequences with the same beginning stand side by side. A pass computes pieces of them; each goes on
from a piece of the pass before, whose keys and values it finds in the cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

_WORTHWHILE = 32
"""How many tokens a shared piece has to save, and what one more pass costs, in tokens."""

Ids = Sequence[int]


@dataclass(frozen=True)
class Piece:
    """Tokens ``start`` to ``end`` of its members, which are equal that far.

    ``members`` are places in ``Prefixes.sequences``; ``parent`` is the row in the pass before.
    """

    members: range
    start: int
    end: int
    parent: int = 0


Passes = list[list[Piece]]


@dataclass
class Prefixes:
    """Sequences in sorted order, and how far each agrees with the next.

    ``sequences`` has no sequence twice and none that another begins with; ``places`` says for each of
    those given which one covers it.
    """

    given: Sequence[Ids]
    sequences: list[tuple[int, ...]] = field(init=False)
    places: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.sequences, self.places = [], [0] * len(self.given)
        keys = [tuple(ids) for ids in self.given]
        covered: list[int] = []
        ordered = sorted(range(len(keys)), key=keys.__getitem__)
        for index, following in zip(ordered, [*ordered[1:], None], strict=True):
            covered.append(index)
            if following is not None and keys[following][: len(keys[index])] == keys[index]:
                continue
            for each in covered:
                self.places[each] = len(self.sequences)
            self.sequences.append(keys[index])
            covered = []
        self._shared_lengths = [shared_length(one, other) for one, other in pairwise(self.sequences)]

    def shared(self) -> Passes:
        """Passes in which what is shared is computed once, where that saves enough."""
        passes, pieces = [], self._split(range(len(self.sequences)), 0, 0)
        while pieces:
            passes.append(pieces)
            pieces = [
                child
                for row, piece in enumerate(pieces)
                if len(piece.members) > 1
                for child in self._split(piece.members, piece.end, row)
            ]
        return passes

    def alone(self) -> Passes:
        """One pass in which every sequence is computed from its beginning."""
        return [[Piece(range(i, i + 1), 0, len(ids)) for i, ids in enumerate(self.sequences)]]

    def families(self) -> list[list[int]]:
        """Which of those given share more than all of them do, as places in ``given``."""
        passes = self.shared()
        family = 1 if len(passes) > 1 and len(passes[0]) == 1 else 0
        of = {member: n for n, piece in enumerate(passes[family]) for member in piece.members}
        found: list[list[int]] = [[] for _ in passes[family]]
        for index, place in enumerate(self.places):
            found[of[place]].append(index)
        return found

    def tokens(self, piece: Piece) -> tuple[int, ...]:
        """The token ids of a piece."""
        return self.sequences[piece.members[0]][piece.start : piece.end]

    def _split(self, members: range, start: int, parent: int) -> list[Piece]:
        """The pieces with which the members go on from ``start``, up to where they agree."""
        if len(members) == 1:
            return [Piece(members, start, len(self.sequences[members[0]]), parent)]
        between = self._shared_lengths[members[0] : members[-1]]
        end = min(between)
        if (end - start) * (len(members) - 1) >= _WORTHWHILE:
            return [Piece(members, start, end, parent)]
        cuts = [members[0] + i + 1 for i, length in enumerate(between) if length == end]
        bounds = [members[0], *cuts, members[-1] + 1]
        return [
            piece for low, high in pairwise(bounds) for piece in self._split(range(low, high), start, parent)
        ]


def width(pieces: Sequence[Piece]) -> int:
    """The columns of a pass: the length of its longest piece."""
    return max(piece.end - piece.start for piece in pieces)


def cost(passes: Passes) -> int:
    """What passes cost, in tokens: all that is computed, padding included, and something per pass."""
    return sum(len(pieces) * width(pieces) + _WORTHWHILE for pieces in passes)


def shared_length(one: Ids, other: Ids) -> int:
    """How many tokens both begin with."""
    pairs = zip(one, other, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))

"""IdSet against a set of texts."""

from __future__ import annotations

import random

from jurist.files.id_set import IdSet


def test_it_knows_what_a_set_knows() -> None:
    numbers = random.Random(7)
    # Few of the last digits, so that most ids meet others on the way to their slot.
    ids = [f"{numbers.getrandbits(52):013x}{numbers.getrandbits(8):03x}" for _ in range(5000)]
    ids += [*random.Random(8).sample(ids, 1000), "0" * 16, "f" * 16, "0" * 16, "0" * 15 + "1"]
    found, known = IdSet(), set[str]()
    for id_ in ids:
        assert found.add(id_) is (id_ not in known)
        known.add(id_)
    assert len(found) == len(known) == 5003

"""What real judges wrote is read as their authors recorded it."""

from __future__ import annotations

import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from jurist.parsing import parse_verdict

Counts = dict[tuple[int, int | None], int]

SIDES = {"a": 1, "b": 2, "tie": 3}
# Peer Rank asks for 1, 2 or 3 (a tie) on the last line. Of each judge: (recorded, read) -> texts.
PEER_RANK: dict[str, Counts] = {
    "gpt4": {(1, 1): 848, (2, 2): 512, (3, 3): 240},
    # Unread: 8 say which "correct answer" or choice it is, as they do of the mathematics; 5 choose answer 2
    # and write 3 below; 4 speak of the output inside a sentence; 2 compare without a verdict.
    "gpt35": {(1, 1): 628, (2, 2): 655, (3, 3): 298, (1, None): 6, (2, None): 5, (3, None): 8},
    # Unread: one describes both and ends.
    "claude": {(1, 1): 531, (2, 2): 937, (3, 3): 131, (1, None): 1},
    # Unread: 18 are empty, the others compare in prose ("more detailed", "Assistant 1's email as the better
    # one"). In four the record is not what the text says: "Assistant 2 is the better answer" is recorded as
    # 1, "I would recommend choosing Assistant 1's answer" as 2, and an edge for 2 twice as a tie.
    "bard": {
        **{(1, 1): 1107, (2, 2): 226, (3, 3): 19, (1, None): 145, (2, None): 63, (3, None): 36},
        **{(1, 2): 1, (2, 1): 1, (3, 2): 2},
    },
    # Asked for two scores, as "7 8" on the first line; without them, scores stand in prose and are unread.
    "vicuna-13b": {(1, 1): 557, (2, 2): 837, (1, None): 74, (2, None): 85, (3, None): 47},
}


def test_every_completion_of_llmbar_is_read_as_its_authors_did(data: Path) -> None:
    files = sorted((data / "llmbar" / "raw").rglob("result.json"))
    if not files:
        pytest.skip(f"no completions of LLMBar are at hand: {data / 'llmbar' / 'raw'}")
    read = Counter[bool]()
    for file in files:
        for item in json.loads(file.read_text("utf-8")):
            for order, said in ((k, v) for result in item["results"] for k, v in result.items()):
                text = said["completion"][0] if isinstance(said["completion"], list) else said["completion"]
                sides = {"a": "1", "b": "2"} if order == "swap = False" else {"a": "2", "b": "1"}
                verdict = parse_verdict(text, ("a", "b"))
                read[verdict is not None and sides.get(verdict) == said["winner"]] += 1
    assert read == {True: 1584}


def reviews(archive: Path) -> Iterator[tuple[str, str, int]]:
    """Of every review by a model: the judge, its text and the recorded verdict."""
    with tarfile.open(archive) as members:
        for member in members:
            judge = member.name.split("/")[0].removeprefix("ratings-")
            file = members.extractfile(member)
            if file is not None and judge != "human":
                for line in file.read().decode("utf-8").splitlines():
                    review = json.loads(line)
                    yield judge, review["text"], review["score"]


def by_scores(text: str) -> int | None:
    """The verdict of a first line that is two scores."""
    scores = re.match(r"\s*(\d+(?:\.\d+)?) (\d+(?:\.\d+)?)\s*(?:\n|$)", text)
    if scores is None:
        return None
    first, second = float(scores[1]), float(scores[2])
    return 1 if first > second else 2 if second > first else 3


def of_three(text: str) -> int | None:
    """The verdict between 1, 2 and 3: the one that wins against both others."""
    verdict = parse_verdict(text, ("1", "2"))
    if verdict == "tie" or "3" not in text[-200:]:
        return None if verdict is None else SIDES[verdict]
    if parse_verdict(text, ("3", "1")) == parse_verdict(text, ("3", "2")) == "a":
        return 3
    side = {"a": "1", "b": "2"}.get(verdict or "")
    return int(side) if side and parse_verdict(text, (side, "3")) == "a" else None


@pytest.mark.slow
def test_the_reviews_of_peer_rank_are_read_as_they_were_recorded(data: Path) -> None:
    archive = data / "prd" / "ratings_raw.tar.gz"
    if not archive.exists():
        pytest.skip(f"the reviews of Peer Rank are not at hand: {archive}")
    read: dict[str, Counter[tuple[int, int | None]]] = {judge: Counter() for judge in PEER_RANK}
    for judge, text, recorded in reviews(archive):
        scored = by_scores(text) if judge == "vicuna-13b" else None
        read[judge][recorded, scored or of_three(text)] += 1
    assert read == PEER_RANK
    assert sum(counts.total() for counts in read.values()) == 8000

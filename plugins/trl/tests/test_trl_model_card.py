"""Model cards: what they say, and that text from outside is no markup in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jurist.train_jobs import TrainJob
from jurist_trl import plugin
from jurist_trl.options import LoraOptions
from jurist_trl.supervised.reward import RewardOptions
from jurist_trl.supervised.sft import SFT, SFTOptions
from jurist_trl.training.model_card import METHODS, Trained, model_card

LINEAGE = {
    "data": {"file": "revisions.jsonl", "sha256": "ab12"},
    "judges": ["a", "b"],
    "recipe": "house rules",
}


def job(model: Path, **fields: Any) -> TrainJob:
    return TrainJob(model=model, data=Path("data.jsonl"), output=Path("out"), **fields)


def card(model: Path = Path("/home/someone/runs/base"), **fields: Any) -> str:
    options = SFTOptions(learning_rate=3e-4, lora=LoraOptions(rank=4), save_steps=7)
    metrics = {"loss": 0.123456789, "step_time": 3.2, "steps": 12.0}
    return model_card(Trained("trl-sft", job(model, seed=5, **fields), options, metrics))


def metadata(text: str) -> dict[str, Any]:
    from huggingface_hub import ModelCard

    return dict(ModelCard(text).data.to_dict())


def test_a_card_says_what_was_done_and_nothing_that_changes_from_run_to_run() -> None:
    text = card(lineage=LINEAGE)
    assert metadata(text) == {"library_name": "transformers", "tags": ["jurist", "trl", "sft"]}
    lines = text.splitlines()
    assert "It started from a local checkpoint, `base`, with seed 5." in lines
    start = lines.index("## Options that differ from their defaults")
    assert lines[start + 2 : start + 5] == ["- `learning_rate`: `0.0003`", "- `lora`", "  - `rank`: `4`"]
    assert "- `loss`: `0.123457`" in lines
    assert lines[-6:] == [
        "",
        "- `data`",
        "  - `file`: `revisions.jsonl`",
        "  - `sha256`: `ab12`",
        '- `judges`: `["a", "b"]`',
        "- `recipe`: `house rules`",
    ]
    for absent in ("step_time", "save_steps", "/home/someone"):
        assert absent not in text


def test_the_model_that_it_goes_back_to_is_found_in_the_cache_and_over_checkpoints_of_ours(
    tmp_path: Path,
) -> None:
    snapshot = tmp_path / "models--our-house--tiny-policy" / "snapshots" / "0123abc"
    first = card(snapshot)
    assert metadata(first)["base_model"] == "our-house/tiny-policy"
    assert "It started from `our-house/tiny-policy` at revision `0123abc`, with seed 5." in first
    trained = tmp_path / "model"
    trained.mkdir()
    (trained / "README.md").write_text(first)
    assert metadata(card(trained))["base_model"] == "our-house/tiny-policy"


@pytest.mark.parametrize(
    "found",
    [
        "---\nbase_model: someone/else\n---\n",
        "---\ntags: [jurist]\nbase_model: '<script>'\n---\n",
        "---\ntags: [jurist]\nbase_model: [a/b, c/d]\n---\n",
        "---\ntags: [jurist\n---\n",
        "---\n- jurist\n---\n",
        "no metadata",
    ],
)
def test_a_card_that_is_not_ours_is_not_believed(found: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(found)
    assert "base_model" not in metadata(card(tmp_path))


@pytest.mark.parametrize(
    "text",
    [
        "</code><script>x</script>",
        "` [click](http://evil)",
        "``` a ``",
        "| a | b |",
        "a\n\n# b\n---\nc: d",
        "`",
        "",
    ],
)
def test_text_from_outside_is_no_markup(text: str) -> None:
    """A Markdown parser finds the text in one code span of one list item."""
    markdown = pytest.importorskip("markdown_it")
    whole = card(lineage={text or "name": text})
    body = whole.split("---\n", 2)[2]
    tokens = markdown.MarkdownIt("commonmark").parse(body)
    headings = [tokens[i + 1].content for i, token in enumerate(tokens) if token.type == "heading_open"]
    assert headings[-1] == "Origin"
    assert len(headings) == 4
    name, between, value = [token for token in tokens if token.type == "inline"][-1].children or []
    assert (name.type, between.content, value.type) == ("code_inline", ": ", "code_inline")
    assert value.content.strip() == " ".join(text.split())
    assert not any(token.type.startswith("html") for token in tokens)


def test_letters_that_turn_the_direction_of_writing_are_left_out() -> None:
    assert "- `name`: `abcd`" in card(lineage={"name": "ab\u202ecd\u0000"})


def test_paths_among_options_give_their_last_part_alone() -> None:
    options = RewardOptions(reference=Path("/home/someone/references.jsonl"))
    text = model_card(Trained("trl-reward", job(Path("base")), options, {}))
    assert "- `reference`: `references.jsonl`" in text
    assert "Metrics" not in text


def test_every_trainer_has_a_method_with_a_paper() -> None:
    assert set(METHODS) == {component.name for component in plugin.jurist_trainers()}
    assert all(method.address.startswith("https://arxiv.org/abs/") for method in METHODS.values())


def test_equal_trainings_end_with_equal_cards(policy: Path, revisions: Path, tmp_path: Path) -> None:
    cards = []
    for name in ("first", "second"):
        done = SFT(SFTOptions(batch_size=8, max_steps=2)).train(
            TrainJob(model=policy, data=revisions, output=tmp_path / name, lineage=LINEAGE), lambda _: None
        )
        cards.append((done.path / "README.md").read_bytes())
    assert cards[0] == cards[1]
    assert b"- `revisions`: `24`" in cards[0]
    assert b"- `recipe`: `house rules`" in cards[0]

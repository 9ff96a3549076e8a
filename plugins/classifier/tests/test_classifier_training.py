"""Training: it learns a planted rule, goes on where it stopped, and says what came of it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from jurist.errors import TrainingError, UsageError
from jurist.files.training_data import PreferenceRow, read_training_data
from jurist.train_jobs import Artifact, TrainJob, TrainProgress
from jurist_classifier._training import learning_rate_share, preference_loss
from jurist_classifier.facts import Facts
from jurist_classifier.labeler import Labeler
from jurist_classifier.pairs import Pair, split_by_prompt
from jurist_classifier.trainer import ClassifierOptions, ClassifierTrainer

Lines = Callable[[Path], list[dict[str, Any]]]

HEADS = {"bradley_terry": 1, "cross_encoder": 2}
FAST: dict[str, Any] = {"learning_rate": 3e-3, "epochs": 4, "eval_steps": 10, "batch_size": 16}


class Stopped(Exception):
    """Stands for a crash in the middle of training."""


def train(
    base: Path,
    data: Path,
    output: Path,
    progress: Callable[[TrainProgress], None] = lambda _: None,
    *,
    seed: int = 0,
    **options: Any,
) -> Artifact:
    job = TrainJob(model=base, data=data, output=output, seed=seed)
    return ClassifierTrainer(ClassifierOptions(**{**FAST, **options})).train(job, progress)


@pytest.fixture(scope="module", params=[(b, h) for b in ("encoder", "decoder") for h in HEADS], ids="-".join)
def trained(
    request: Any, bases: dict[str, Path], preferences: Path, tmp_path_factory: pytest.TempPathFactory
) -> Artifact:
    """A labeler of each kind of base with each head."""
    base, head = request.param
    return train(bases[base], preferences, tmp_path_factory.mktemp("trained"), head=head)


def held_out(preferences: Path, part: int) -> list[PreferenceRow]:
    rows = read_training_data(preferences, PreferenceRow)
    return split_by_prompt(rows, 0.15, 0.1, seed=0)[part]


def test_a_planted_rule_is_learnt_and_swapped_pairs_get_the_rest_exactly(
    trained: Artifact, preferences: Path
) -> None:
    assert trained.kind == "labeler"
    rows = held_out(preferences, 2)
    assert trained.metrics["test_pairs"] == len(rows) >= 30
    assert trained.metrics["accuracy"] >= 0.95
    labeler = Labeler.load(trained.path)
    pairs = [Pair(row.prompt, row.chosen, row.rejected) for row in rows]
    shown = labeler.probabilities(pairs)
    assert sum(p > 0.5 for p in shown) / len(shown) == trained.metrics["accuracy"]
    one_by_one = [labeler.probabilities([pair])[0] for pair in pairs]
    swapped = [labeler.probabilities([Pair(p.prompt, p.b, p.a)])[0] for p in pairs]
    assert [p + q for p, q in zip(one_by_one, swapped, strict=True)] == [1.0] * len(pairs)
    assert shown == pytest.approx(one_by_one, abs=1e-5)
    assert labeler.probabilities([Pair(pairs[0].prompt, pairs[0].a, pairs[0].a)]) == [0.5]


def test_plain_transformers_loads_it_and_finds_the_same(trained: Artifact, preferences: Path) -> None:
    facts = Facts.load(trained.path)
    model = AutoModelForSequenceClassification.from_pretrained(trained.path).eval()
    tokenizer = AutoTokenizer.from_pretrained(trained.path)
    assert model.config.num_labels == HEADS[facts.head]
    row = held_out(preferences, 2)[0]
    labeler = Labeler.load(trained.path)
    pair = Pair(row.prompt, row.chosen, row.rejected)
    texts = [[{"role": t.role, "content": t.content} for t in text] for text in labeler._head.texts(pair)]
    with torch.no_grad():
        one, other = (
            model(**tokenizer.apply_chat_template(text, return_dict=True, return_tensors="pt")).logits[0]
            for text in texts
        )
    if facts.head == "bradley_terry":
        margin = one[0] - other[0]
    else:
        margin = ((one[0] - one[1]) - (other[0] - other[1])) / 2
    assert labeler.margins([pair])[0] == pytest.approx(margin.item(), abs=1e-4)


def test_facts_card_and_metrics_say_the_same(trained: Artifact, preferences: Path) -> None:
    facts = Facts.load(trained.path)
    assert facts.train_pairs + facts.calibration_pairs + facts.test_pairs == 300
    assert trained.metrics == facts.metrics()
    card = (trained.path / "README.md").read_text(encoding="utf-8")
    for part in (
        f"| accuracy | {facts.accuracy.mean:.3f} [{facts.accuracy.low:.3f}, {facts.accuracy.high:.3f}] |",
        f"| {facts.longest.mean:.3f} [{facts.longest.low:.3f}, {facts.longest.high:.3f}] |",
        f"{facts.train_pairs} pairs",
        f"T = {facts.temperature:.3g}",
        facts.data,
        "better than chance",
    ):
        assert part in card
    assert facts.seconds > 0
    assert facts.peak_memory_mb > 10


def test_the_calibration_is_that_of_the_calibration_part(trained: Artifact, preferences: Path) -> None:
    from jurist_classifier.calibration import fit_temperature

    rows = held_out(preferences, 1)
    labeler = Labeler.load(trained.path)
    margins = labeler.margins([Pair(row.prompt, row.chosen, row.rejected) for row in rows])
    assert labeler.facts.temperature == pytest.approx(fit_temperature(margins, [1.0] * len(rows)), rel=1e-3)


def weights(artifact: Artifact) -> dict[str, torch.Tensor]:
    return load_file(artifact.path / "model.safetensors")


def test_a_stopped_training_ends_where_an_uninterrupted_one_ends(
    bases: dict[str, Path], preferences: Path, tmp_path: Path, lines: Lines
) -> None:
    options = {"epochs": 3, "eval_steps": 6}
    whole = train(bases["encoder"], preferences, tmp_path / "whole", **options)

    def stop(seen: TrainProgress) -> None:
        if seen.step == 20:
            raise Stopped

    with pytest.raises(Stopped):
        train(bases["encoder"], preferences, tmp_path / "parts", stop, **options)
    seen: list[int] = []
    state = torch.get_rng_state()
    parts = train(bases["encoder"], preferences, tmp_path / "parts", lambda p: seen.append(p.step), **options)
    assert torch.equal(torch.get_rng_state(), state)  # of whoever trains in a process of theirs
    assert seen[0] == 19  # after the checkpoint of step 18
    assert weights(whole).keys() == weights(parts).keys()
    assert all(torch.equal(value, weights(parts)[name]) for name, value in weights(whole).items())
    assert Facts.load(whole.path).temperature == Facts.load(parts.path).temperature
    steps = lines(tmp_path / "parts" / "metrics.jsonl")
    assert [row["step"] for row in steps] == list(range(1, int(whole.metrics["steps"]) + 1))
    assert steps == lines(tmp_path / "whole" / "metrics.jsonl")


def test_a_checkpoint_that_was_cut_short_is_not_continued_from(
    bases: dict[str, Path], preferences: Path, tmp_path: Path
) -> None:
    def stop(seen: TrainProgress) -> None:
        if seen.step == 15:
            raise Stopped

    with pytest.raises(Stopped):
        train(bases["encoder"], preferences, tmp_path, stop)
    (folder,) = (tmp_path / "checkpoints").glob("step-*")
    assert folder.name == "step-10"
    folder.rename(folder.with_name("step-10.partial"))
    seen: list[int] = []
    train(bases["encoder"], preferences, tmp_path, lambda p: seen.append(p.step))
    assert seen[0] == 1


def test_training_ends_early_and_keeps_the_best_weights(
    bases: dict[str, Path], tmp_path: Path, lines: Lines, write: Callable[..., Path]
) -> None:
    """Labels that are chance can be learnt by heart alone, and the held-out loss soon rises."""
    words = ["well", "maybe", "so", "then", "now", "here", "there", "yes", "no", "please"]
    chance = random.Random(0)
    rows = [
        {"prompt": f"say {i}", **{side: " ".join(chance.sample(words, 3)) for side in ("chosen", "rejected")}}
        for i in range(60)
    ]
    data = write(tmp_path / "chance.jsonl", rows)
    seen: list[TrainProgress] = []
    artifact = train(bases["encoder"], data, tmp_path, seen.append, epochs=60, eval_steps=5, patience=3)
    looks = {row["step"]: row["eval_loss"] for row in lines(tmp_path / "metrics.jsonl") if "eval_loss" in row}
    best = min(looks, key=lambda step: looks[step])
    assert artifact.metrics["best_step"] == best
    assert artifact.metrics["steps"] == best + 3 * 5 < seen[0].total
    assert (seen[-1].step, seen[-1].total) == (best + 15, best + 15)
    facts = Facts.load(artifact.path)
    labeler = Labeler.load(artifact.path)
    held = split_by_prompt(read_training_data(data, PreferenceRow), 0.15, 0.1, seed=0)[1]
    from jurist_classifier.calibration import loss

    margins = labeler.margins([Pair(row.prompt, row.chosen, row.rejected) for row in held])
    assert loss(margins, [1.0] * len(held)) == pytest.approx(looks[best], abs=1e-5)
    assert facts.accuracy.low < 0.5
    assert "not shown to be better than chance" in (artifact.path / "README.md").read_text(encoding="utf-8")


def test_soft_labels_hold_the_margins_back(
    bases: dict[str, Path], tmp_path: Path, write: Callable[..., Path], make_rows: Callable[..., Any]
) -> None:
    data = write(tmp_path / "soft.jsonl", make_rows(300, probability=0.7))
    artifact = train(bases["encoder"], data, tmp_path, epochs=8)
    labeler = Labeler.load(artifact.path)
    rows = read_training_data(data, PreferenceRow)
    found = labeler.probabilities([Pair(row.prompt, row.chosen, row.rejected) for row in rows])
    assert sum(found) / len(found) == pytest.approx(0.7, abs=0.05)


def test_long_texts_are_cut_and_counted(bases: dict[str, Path], preferences: Path, tmp_path: Path) -> None:
    artifact = train(bases["encoder"], preferences, tmp_path, max_length=16, epochs=1)
    rows = read_training_data(preferences, PreferenceRow)
    cut = sum(max(len(r.chosen[0].content.split()), len(r.rejected[0].content.split())) > 3 for r in rows)
    assert artifact.metrics["shortened"] == cut > 0
    assert Labeler.load(artifact.path).encoder.max_length == 16


def test_a_loss_that_is_no_number_stops_the_training_and_names_the_last_checkpoint(
    bases: dict[str, Path], preferences: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=r"not a finite number at step 2; no checkpoint") as caught:
        train(bases["decoder"], preferences, tmp_path, learning_rate=1e30, warmup=0)
    assert "learning_rate" in str(caught.value.hint)


def test_a_base_that_is_none_is_named(preferences: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the base 'no/such-model' cannot be loaded"):
        train(Path("no/such-model"), preferences, tmp_path)


def test_a_test_part_of_ties_is_refused_before_training(
    bases: dict[str, Path], tmp_path: Path, write: Callable[..., Path], make_rows: Callable[..., Any]
) -> None:
    data = write(tmp_path / "ties.jsonl", make_rows(60, probability=0.5))
    with pytest.raises(UsageError, match="measure on is a tie"):
        train(bases["encoder"], data, tmp_path)


def test_the_loss_is_the_cross_entropy_and_its_gradient_the_gap() -> None:
    margins = torch.tensor([0.3, -1.2, 4.0], requires_grad=True)
    labels = torch.tensor([1.0, 0.7, 0.2])
    value = preference_loss(margins, labels)
    p = torch.sigmoid(margins.detach())
    assert value.item() == pytest.approx(
        -(labels * p.log() + (1 - labels) * (1 - p).log()).mean().item(), rel=1e-6
    )
    (gradient,) = torch.autograd.grad(value, margins)
    torch.testing.assert_close(gradient, (p - labels) / 3)


def test_the_learning_rate_rises_and_falls() -> None:
    shares = [learning_rate_share(step, 20, 0.2) for step in range(1, 21)]
    assert shares[:4] == [0.25, 0.5, 0.75, 1.0]
    assert shares[4:] == pytest.approx([(20 - step + 1) / 16 for step in range(5, 21)])
    assert learning_rate_share(1, 20, 0) == 1.0
    assert learning_rate_share(5, 20, 10) == 0.5


def test_labelers_of_two_seeds_differ_and_of_one_do_not(
    bases: dict[str, Path], preferences: Path, tmp_path: Path
) -> None:
    one, same, other = (
        json.dumps(
            [
                w.sum().item()
                for w in weights(
                    train(bases["encoder"], preferences, tmp_path / name, seed=seed, epochs=0.5)
                ).values()
            ]
        )
        for name, seed in (("one", 1), ("same", 1), ("other", 2))
    )
    assert one == same != other

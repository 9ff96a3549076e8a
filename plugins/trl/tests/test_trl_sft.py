"""Fine-tuning on revisions."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from jurist.errors import TrainingError, UsageError
from jurist.train_jobs import TrainJob, TrainProgress
from jurist_trl.supervised.sft import SFT, SFTOptions

STEPS = {"batch_size": 8, "learning_rate": 1e-2, "save_steps": 2}


def train(job: TrainJob, progress: Callable[[TrainProgress], None] = lambda _: None, **options: Any) -> Any:
    return SFT(SFTOptions(**{**STEPS, **options})).train(job, progress)


def test_the_policy_learns_to_write_the_revision(policy: Path, revisions: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    seen: list[TrainProgress] = []
    artifact = train(TrainJob(model=policy, data=revisions, output=tmp_path), seen.append, epochs=12)

    assert artifact.kind == "policy"
    assert artifact.metrics["revisions"] == 24
    assert artifact.metrics["loss"] < 0.2 < seen[0].metrics["loss"]
    assert [p.step for p in seen] == list(range(1, 37))
    assert seen[-1].total == 36
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 37))
    assert lines[-1]["loss"] == seen[-1].metrics["loss"]
    assert list(seen[-1].metrics)[:2] == ["loss", "mean_token_accuracy"]
    assert {"step": 36, **seen[-1].metrics} == lines[-1]  # the order alone differs

    tokenizer = AutoTokenizer.from_pretrained(artifact.path)
    model = AutoModelForCausalLM.from_pretrained(artifact.path)
    encoded = tokenizer.apply_chat_template(
        [{"role": "user", "content": "say blue please"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    written = model.generate(**encoded, max_new_tokens=6, do_sample=False)[0, encoded["input_ids"].shape[1] :]
    assert tokenizer.decode(written) == "blue good <eos>"


def test_killed_and_resumed_training_ends_bit_identical(
    policy: Path, revisions: Path, tmp_path: Path, weights: Any, kill_at: Any
) -> None:
    import torch

    whole = TrainJob(model=policy, data=revisions, output=tmp_path / "whole", seed=3)
    train(whole, epochs=2, gradient_accumulation_steps=1)
    halved = TrainJob(model=policy, data=revisions, output=tmp_path / "halved", seed=3)
    with pytest.raises(Exception, match="at step 5"):
        train(halved, kill_at(5), epochs=2)
    resumed: list[TrainProgress] = []
    train(halved, resumed.append, epochs=2)

    assert [p.step for p in resumed] == [5, 6]
    a, b = weights(tmp_path / "whole/model"), weights(tmp_path / "halved/model")
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)
    first, second = (
        [json.loads(x) for x in (tmp_path / n / "metrics.jsonl").read_text().splitlines()]
        for n in ("whole", "halved")
    )
    assert [x["step"] for x in second] == [1, 2, 3, 4, 5, 6]
    assert first == second


def test_a_checkpoint_cut_short_by_a_crash_is_not_continued_from(
    policy: Path, revisions: Path, tmp_path: Path, kill_at: Any
) -> None:
    job = TrainJob(model=policy, data=revisions, output=tmp_path)
    with pytest.raises(Exception, match="at step 3"):
        train(job, kill_at(3))
    cut = tmp_path / "checkpoints" / "checkpoint-3"
    cut.mkdir()
    (cut / "trainer_state.json").write_text("{}")
    resumed: list[TrainProgress] = []
    train(job, resumed.append)
    assert [p.step for p in resumed] == [3]


def test_only_the_completion_is_learnt(policy: Path) -> None:
    from jurist.files.training_data import RevisionRow
    from jurist_trl.supervised.sft_trainer import _tokenized
    from jurist_trl.tokens import load_tokenizer

    tokenizer = load_tokenizer(policy)
    example = RevisionRow.model_validate(
        {
            "prompt": [{"role": "user", "content": "say red"}],
            "completion": [{"role": "assistant", "content": "red yes"}],
        }
    )
    row = _tokenized(tokenizer, example)
    assert tokenizer.decode(row["input_ids"]) == "<user> say red <assistant> red yes <eos>"
    learnt = [i for i in row["labels"] if i != -100]
    assert tokenizer.decode(learnt) == "red yes <eos>"
    assert row["labels"][-3:] == row["input_ids"][-3:]


@pytest.fixture
def mixed(tmp_path: Path, write_rows: Any) -> Path:
    """Conversations of several turns, one of them too long for 24 tokens."""
    rows = [
        {
            "prompt": [
                {"role": "system", "content": "say the colour"},
                {"role": "user", "content": f"what is {number}"},
                {"role": "assistant", "content": "maybe red"},
                {"role": "user", "content": "please"},
            ],
            "completion": [{"role": "assistant", "content": f"yes {number} {number}"}],
        }
        for number in ("one", "two", "three") * 4
    ]
    rows.append(
        {
            "prompt": [{"role": "user", "content": "say"}],
            "completion": [{"role": "assistant", "content": "red " * 30}],
        }
    )
    return write_rows(tmp_path / "mixed.jsonl", rows)


def test_conversations_mixed_in_are_learnt_besides_the_revisions(
    policy: Path, revisions: Path, mixed: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    job = TrainJob(model=policy, data=revisions, mixed=mixed, output=tmp_path / "output")
    artifact = train(job, max_length=24, epochs=12)
    counts = {name: artifact.metrics[name] for name in ("revisions", "revisions_too_long")}
    counts |= {name: artifact.metrics[name] for name in ("mixed", "mixed_too_long")}
    assert counts == {"revisions": 24, "revisions_too_long": 0, "mixed": 12, "mixed_too_long": 1}
    assert artifact.metrics["steps"] == math.ceil(36 / 8) * 12

    tokenizer = AutoTokenizer.from_pretrained(artifact.path)
    model = AutoModelForCausalLM.from_pretrained(artifact.path)
    conversation = json.loads(mixed.read_text().splitlines()[1])
    for prompt, answer in (
        ([{"role": "user", "content": "say blue please"}], "blue good <eos>"),
        (conversation["prompt"], "yes two two <eos>"),
    ):
        encoded = tokenizer.apply_chat_template(
            prompt, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        start = encoded["input_ids"].shape[1]
        written = model.generate(**encoded, max_new_tokens=6, do_sample=False)[0, start:]
        assert tokenizer.decode(written) == answer


def test_batches_hold_both_and_the_loss_is_on_the_last_completion_alone(
    policy: Path, revisions: Path, mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoTokenizer

    from jurist_trl.supervised import sft_trainer

    class Recording(sft_trainer.QuietSFTTrainer):
        batches: ClassVar[list[Any]] = []

        def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            self.batches.append({name: inputs[name].clone() for name in ("input_ids", "labels")})
            return super().compute_loss(model, inputs, *args, **kwargs)

    monkeypatch.setattr(sft_trainer, "QuietSFTTrainer", Recording)
    train(
        TrainJob(model=policy, data=revisions, mixed=mixed, output=tmp_path / "output"),
        max_length=24,
        epochs=1,
    )
    tokenizer = AutoTokenizer.from_pretrained(policy)
    learnt = []
    for batch in Recording.batches:
        for ids, labels in zip(batch["input_ids"], batch["labels"], strict=True):
            kept = labels[labels != -100]
            learnt.append(tokenizer.decode(kept))
            end = int((labels != -100).nonzero().max()) + 1
            assert ids[end - len(kept) : end].tolist() == kept.tolist()  # one stretch, up to the end token
    wanted = [
        tokenizer.decode(tokenizer(row["completion"][0]["content"] + " <eos>")["input_ids"])
        for file in (revisions, mixed)
        for row in map(json.loads, file.read_text().splitlines())
    ]
    assert sorted(learnt) == sorted(wanted[:-1])  # all but the one that is too long
    both = [{text.startswith("yes ") for text in learnt[i : i + 8]} for i in range(0, 32, 8)]
    assert sum(kinds == {True, False} for kinds in both) >= 3


def test_faults_of_the_conversations_mixed_in_are_listed_before_training(
    policy: Path, revisions: Path, tmp_path: Path
) -> None:
    data = tmp_path / "mixed.jsonl"
    data.write_text('{"prompt": [{"role": "user", "content": "x"}]}\n')
    with pytest.raises(UsageError, match=r"mixed\.jsonl:1\.completion: required"):
        train(TrainJob(model=policy, data=revisions, mixed=data, output=tmp_path / "output"))
    assert not (tmp_path / "output").exists()


def test_long_revisions_are_counted_and_none_left_is_an_error(
    policy: Path, revisions: Path, tmp_path: Path
) -> None:
    long = json.dumps(
        {
            "prompt": [{"role": "user", "content": "say"}],
            "completion": [{"role": "assistant", "content": "red " * 30}],
        }
    )
    data = tmp_path / "mixed.jsonl"
    data.write_text(revisions.read_text() + long + "\n")
    artifact = train(TrainJob(model=policy, data=data, output=tmp_path), max_length=20, max_steps=1)
    assert (artifact.metrics["revisions"], artifact.metrics["revisions_too_long"]) == (24, 1)
    with pytest.raises(UsageError, match="none of the 25 revisions has at most 4 tokens"):
        train(TrainJob(model=policy, data=data, output=tmp_path), max_length=4)


def test_all_faults_of_the_data_are_listed(policy: Path, tmp_path: Path) -> None:
    data = tmp_path / "bad.jsonl"
    data.write_text(
        '{"prompt": []}\nnot json\n{"prompt": [{"role": "user", "content": "x"}], "completion": 3}\n'
    )
    with pytest.raises(UsageError) as caught:
        train(TrainJob(model=policy, data=data, output=tmp_path))
    message = str(caught.value)
    for place in ("bad.jsonl:1.prompt", "bad.jsonl:1.completion", "bad.jsonl:2", "bad.jsonl:3.completion"):
        assert place in message


def test_missing_template_and_padding_are_both_named(
    make_policy: Any, revisions: Path, tmp_path: Path
) -> None:
    bare = make_policy(pad=None, template=None)
    with pytest.raises(UsageError, match="2 faults") as caught:
        train(TrainJob(model=bare, data=revisions, output=tmp_path))
    assert "no chat template" in str(caught.value)
    assert "no padding token" in str(caught.value)


def test_a_loss_that_is_no_number_stops_and_names_the_last_good_checkpoint(
    policy: Path, revisions: Path, tmp_path: Path
) -> None:
    job = TrainJob(model=policy, data=revisions, output=tmp_path)
    with pytest.raises(TrainingError, match=r"the last good checkpoint is \S+checkpoint-1\n") as caught:
        train(job, max_steps=9, learning_rate=1e30, lr_scheduler="constant", save_steps=1)
    assert "not a finite number" in str(caught.value)


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")
def test_adapters_are_merged_into_the_checkpoint(
    policy: Path, revisions: Path, tmp_path: Path, weights: Any
) -> None:
    import torch

    artifact = train(
        TrainJob(model=policy, data=revisions, output=tmp_path),
        lora={"rank": 4, "target_modules": ["q_proj", "v_proj"]},
    )
    before, after = weights(policy), weights(artifact.path)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert before.keys() == after.keys()
    assert changed == {f"model.layers.{i}.self_attn.{p}_proj.weight" for i in (0, 1) for p in "qv"}

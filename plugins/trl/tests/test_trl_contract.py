"""What this plugin overrides of and relies on in TRL and Transformers, by signature."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from importlib.metadata import version

import pytest

import jurist_trl

INPUTS = ["self", "model", "inputs"]
REWARDS = ["self", "inputs", "prompts", "completions", "completion_ids_list"]
LOG = ["self", "logs", "start_time"]
CALLBACK = ["self", "args", "state", "control", "kwargs"]

EPOCH = ["self", "model", "epoch", "train_dataloader", "steps_in_epoch", "num_update_steps_per_epoch"]
EPOCH += ["trial", "ignore_keys_for_eval", "start_time", "resume_from_checkpoint", "epochs_trained"]
EPOCH += ["steps_trained_in_current_epoch"]

LOGPS = ["self", "model", "input_ids", "attention_mask", "logits_to_keep", "batch_size"]
LOGPS += ["compute_entropy", "compute_aux_loss", "pixel_values", "image_grid_thw", "num_images"]
LOGPS += ["pixel_attention_mask", "spatial_shapes", "num_tiles", "image_sizes", "token_type_ids"]
LOGPS += ["mm_token_type_ids", "image_position_ids"]

OVERRIDDEN = {
    "trl:GRPOTrainer._calculate_rewards": REWARDS,
    "trl:GRPOTrainer._compute_loss": INPUTS,
    "trl:GRPOTrainer._generate_and_score_completions": ["self", "inputs"],
    "trl:GRPOTrainer._generate": ["self", "prompts"],
    "trl:GRPOTrainer._get_per_token_logps_and_entropies": LOGPS,
    "trl:GRPOTrainer._save_checkpoint": ["self", "model", "trial"],
    "trl:GRPOTrainer._tokenize_prompts": ["self", "prompts"],
    "trl:GRPOTrainer.log": LOG,
    "trl:RLOOTrainer._calculate_rewards": REWARDS,
    "trl:RLOOTrainer._generate": ["self", "prompts"],
    "trl:RLOOTrainer._get_per_token_logps_and_entropies": LOGPS,
    "trl:RLOOTrainer._tokenize_prompts": ["self", "prompts"],
    "trl:RLOOTrainer.log": LOG,
    "trl:RewardTrainer._set_signature_columns_if_needed": ["self"],
    "trl:RewardTrainer.compute_loss": [*INPUTS, "return_outputs", "num_items_in_batch"],
    "trl:DPOTrainer._compute_loss": [*INPUTS, "return_outputs"],
    "trl:DPOTrainer._prepare_dataset": ["self", "dataset", "processing_class", "args", "dataset_name"],
    "trl:DPOTrainer._set_signature_columns_if_needed": ["self"],
    "trl.trainer.base_trainer:_BaseTrainer._send_telemetry": ["self"],
    "trl.trainer.base_trainer:_BaseTrainer.create_model_card": ["self", "model_name", "dataset_name", "tags"],
    "trl.trainer.reward_trainer:DataCollatorForPreference.torch_call": ["self", "examples"],
    "trl.trainer.dpo_trainer:DataCollatorForPreference.torch_call": ["self", "examples"],
    "transformers:Trainer._clip_grad_norm": ["self", "model"],
    "transformers:Trainer._run_epoch": EPOCH,
    "transformers:Trainer.create_optimizer": ["self", "model"],
    "transformers:TrainerCallback.on_log": CALLBACK,
    "transformers:TrainerCallback.on_save": CALLBACK,
    "transformers:TrainerCallback.on_step_end": CALLBACK,
    "transformers:TrainerCallback.on_train_begin": CALLBACK,
}
CALLED = {
    "trl:GRPOTrainer._prepare_inputs": ["self", "generation_batch"],
    "trl:DPOTrainer.compute_ref_log_probs": ["self", "model", "inputs"],
    "trl:DPOTrainer.evaluate": ["self", "eval_dataset", "ignore_keys", "metric_key_prefix"],
    "trl.trainer.utils:pad": ["tensors", "padding_value", "padding_side", "pad_to_multiple_of"],
    "trl.trainer.utils:add_fused_lm_head": ["model", "temperature", "cast_lm_head_to_fp32", "outputs"],
}


def overrides() -> Iterator[tuple[str, str]]:
    """(class of ours, method of theirs that it overrides, named by the class that defines it)."""
    for found in pkgutil.walk_packages(jurist_trl.__path__, "jurist_trl."):
        module = importlib.import_module(found.name)
        for ours in vars(module).values():
            if inspect.isclass(ours) and ours.__module__ == module.__name__:
                yield from overrides_of(ours)


def overrides_of(ours: type) -> Iterator[tuple[str, str]]:
    for place, layer in enumerate(ours.__mro__):
        if layer.__module__.startswith("jurist_trl."):
            for name in vars(layer):
                below = (base for base in ours.__mro__[place + 1 :] if name in vars(base))
                theirs = next((base for base in below if is_theirs(base)), None)
                if theirs is not None and not name.startswith("__"):
                    yield layer.__qualname__, f"{theirs.__module__}.{theirs.__qualname__}.{name}"


def is_theirs(base: type) -> bool:
    return base.__module__.partition(".")[0] in ("trl", "transformers")


def resolved(target: str) -> str:
    """The method that the table names, named by the class that defines it."""
    module, _, path = target.partition(":")
    owner, _, name = path.rpartition(".")
    start = getattr(importlib.import_module(module), owner)
    definer = next(base for base in start.__mro__ if name in vars(base))
    return f"{definer.__module__}.{definer.__qualname__}.{name}"


def test_every_overridden_method_is_in_the_table_and_nothing_else() -> None:
    table = {resolved(target) for target in OVERRIDDEN}
    found = set(overrides())
    missing = sorted(f"{ours} overrides {theirs}" for ours, theirs in found if theirs not in table)
    assert not missing, f"add to OVERRIDDEN, with the parameters of trl {version('trl')}: {missing}"
    stale = sorted(table - {theirs for _, theirs in found})
    assert not stale, f"nothing overrides these any more; take them out of OVERRIDDEN: {stale}"


@pytest.mark.parametrize("target", OVERRIDDEN | CALLED)
def test_signature(target: str) -> None:
    module, _, path = target.partition(":")
    found: object = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name, None)
    package = module.partition(".")[0]
    where = f"{package} {version(package)}: {module}.{path}"
    assert callable(found), f"{where} is gone; jurist_trl overrides or calls it"
    parameters = list(inspect.signature(found).parameters)
    expected = (OVERRIDDEN | CALLED)[target]
    assert parameters == expected, f"{where} now takes {parameters}; adapt jurist_trl to it"


def test_the_fused_head_asks_once_whether_it_scores_labelled_tokens_alone() -> None:
    import trl
    from trl.trainer import utils

    source = inspect.getsource(utils)
    said = f"trl {trl.__version__}: trl.trainer.utils decides otherwise which tokens it scores; adapt"
    where = "jurist_trl.rollouts.log_probabilities"
    assert source.count("_use_triton(") == 1, f"{said} {where}"
    assert "compact = _use_triton(hidden_states.device)" in source, f"{said} {where}"


@pytest.mark.parametrize(
    ("trainer", "scaled"), [("GRPOTrainer", True), ("RewardTrainer", False), ("DPOTrainer", False)]
)
def test_losses_are_scaled_for_gradient_accumulation_where_we_expect_it(trainer: str, scaled: bool) -> None:
    import trl

    found = getattr(trl, trainer).loss_is_scaled_for_ga
    assert found is scaled, (
        f"trl {trl.__version__}: {trainer} now scales its loss differently; adapt ours to it"
    )


@pytest.mark.parametrize("trainer", ["GRPOTrainer", "RLOOTrainer"])
def test_generate_gives_tokens_in_these_places(trainer: str) -> None:
    """jurist_trl.rollouts.sampling reads the first two."""
    import trl

    source = inspect.getsource(getattr(trl, trainer)._generate)
    last = source[source.rindex("return ") :].split()
    message = f"trl {trl.__version__}: {trainer}._generate returns something else now"
    assert last[1:3] == ["prompt_ids,", "completion_ids,"], message

"""What this plugin overrides of and relies on in TRL and Transformers, by signature."""

from __future__ import annotations

import importlib
import inspect
from importlib.metadata import version

import pytest

RELIED_ON = {
    # overridden
    "trl:GRPOTrainer._generate_and_score_completions": ["self", "inputs"],
    "trl:GRPOTrainer._compute_loss": ["self", "model", "inputs"],
    "trl:GRPOTrainer._save_checkpoint": ["self", "model", "trial"],
    "trl:RewardTrainer.compute_loss": ["self", "model", "inputs", "return_outputs", "num_items_in_batch"],
    "trl:RewardTrainer._set_signature_columns_if_needed": ["self"],
    "trl.trainer.reward_trainer:DataCollatorForPreference.torch_call": ["self", "examples"],
    "trl.trainer.base_trainer:_BaseTrainer._send_telemetry": ["self"],
    "transformers:Trainer.create_optimizer": ["self", "model"],
    "transformers:Trainer._clip_grad_norm": ["self", "model"],
    # called
    "trl:GRPOTrainer._generate": ["self", "prompts"],
    "trl:GRPOTrainer._prepare_inputs": ["self", "generation_batch"],
    "trl.trainer.utils:pad": ["tensors", "padding_value", "padding_side", "pad_to_multiple_of"],
    "trl.trainer.utils:disable_dropout_in_model": ["model"],
    "trl.trainer.utils:add_fused_lm_head": ["model", "temperature", "cast_lm_head_to_fp32", "outputs"],
}


@pytest.mark.parametrize("target", RELIED_ON)
def test_signature(target: str) -> None:
    module, _, path = target.partition(":")
    found: object = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name, None)
    package = module.partition(".")[0]
    where = f"{package} {version(package)}: {module}.{path}"
    assert callable(found), f"{where} is gone; jurist_trl overrides or calls it"
    parameters = list(inspect.signature(found).parameters)
    assert parameters == RELIED_ON[target], f"{where} now takes {parameters}; adapt jurist_trl to it"


def test_the_loss_of_ppo_is_not_divided_again_for_gradient_accumulation() -> None:
    import trl

    message = (
        f"trl {trl.__version__}: GRPOTrainer now scales the loss differently; adapt PPOTrainer._compute_loss"
    )
    assert trl.GRPOTrainer.loss_is_scaled_for_ga is True, message
    assert trl.RewardTrainer.loss_is_scaled_for_ga is False, message


def test_generate_gives_tokens_and_completions_in_these_places() -> None:
    """`_generate` returns a tuple of eight; PPOTrainer reads the first, second and fourth."""
    import trl

    source = inspect.getsource(trl.GRPOTrainer._generate)
    last = source[source.rindex("return ") :].split()
    expected = ["return", "prompt_ids,", "completion_ids,", "tool_mask,", "completions,"]
    assert last[:5] == expected, f"trl {trl.__version__}: GRPOTrainer._generate returns something else now"

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copytree

import pytest
import torch
from pydantic import ValidationError
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen3Config, Qwen3ForSequenceClassification

from jurist.chat import ChatRequest, Sampling
from jurist.errors import ProviderError
from jurist.options import Options
from jurist.records import Message
from jurist_hf import plugin
from jurist_hf.checkpoint import find_checkpoint
from jurist_hf.model import TransformersChatModel, TransformersOptions

REQUEST = ChatRequest(
    messages=(Message(role="user", content="Hello"),), sampling=Sampling(max_tokens=4, seed=1)
)


async def failure(**options: object) -> ProviderError:
    """The error that the first call of a model with these options raises."""
    model = TransformersChatModel(TransformersOptions(**options))
    with pytest.raises(ProviderError) as caught:
        await model.complete(REQUEST)
    await model.close()
    return caught.value


def test_the_plugin_offers_the_model() -> None:
    (component,) = plugin.jurist_chat_models()
    assert component.collected("chat_model", "jurist-hf").load() is TransformersChatModel
    assert issubclass(TransformersChatModel.Options, Options)
    assert TransformersChatModel.capabilities == {"logprobs"}


def test_what_changes_the_policy_beside_its_checkpoint_is_not_trained() -> None:
    assert TransformersChatModel.not_trained == {
        "adapter",
        "tokenizer",
        "chat_template",
        "chat_template_kwargs",
    }
    assert TransformersChatModel.not_trained < TransformersOptions.model_fields.keys()
    for name in TransformersChatModel.not_trained:
        assert not TransformersOptions(model="x").model_dump()[name]  # unset unless a recipe sets it


async def test_tokens_are_counted_as_the_model_sees_them_without_its_weights(checkpoint: Path) -> None:
    model = TransformersChatModel(TransformersOptions(model=str(checkpoint)))
    counted = await model.prompt_tokens(REQUEST)
    assert model._loaded is None
    reply = await model.complete(REQUEST)
    await model.close()
    assert counted == reply.usage.prompt_tokens > 0
    assert await TransformersChatModel(TransformersOptions(model="no/such")).prompt_tokens(REQUEST) is None


def test_importing_the_class_loads_nothing_heavy() -> None:
    code = (
        "import sys, jurist_hf.plugin, jurist_hf.model\n"
        "jurist_hf.model.TransformersOptions(model='x')\n"
        "heavy = {'torch', 'transformers', 'numpy', 'huggingface_hub', 'tokenizers', 'jinja2'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_remote_code_cannot_be_asked_for() -> None:
    with pytest.raises(ValidationError, match="trust_remote_code"):
        TransformersOptions(model="x", trust_remote_code=True)


@pytest.mark.parametrize("option", ["model", "tokenizer", "adapter"])
def test_a_missing_folder_is_a_fault_of_the_option(tmp_path: Path, option: str) -> None:
    for name in (str(tmp_path / "none"), "./none", "~/no/such", "runs/demo/model"):
        with pytest.raises(ValidationError, match=f"there is no folder {Path(name).expanduser().absolute()}"):
            TransformersOptions(**{"model": "owner/name", option: name})


async def test_a_folder_that_is_gone_is_fatal_and_says_what_to_give(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    options = TransformersOptions(model=str(folder))
    folder.rmdir()
    with pytest.raises(ProviderError) as caught:
        await TransformersChatModel(options).complete(REQUEST)
    assert caught.value.fatal
    assert not caught.value.retryable
    assert f"There is no folder {folder}" in str(caught.value)
    assert "save_pretrained" in str(caught.value)


async def test_a_name_that_is_neither_folder_nor_on_the_hub_is_fatal() -> None:
    error = await failure(model="no-such-owner/no-such-model")
    assert error.fatal
    assert "no folder here" in str(error)


async def test_a_folder_without_a_model_is_fatal(tmp_path: Path) -> None:
    error = await failure(model=str(tmp_path))
    assert error.fatal
    assert "config.json" in str(error)


async def test_without_a_chat_template_it_says_how_to_give_one(checkpoint: Path, tmp_path: Path) -> None:
    folder = copytree(checkpoint, tmp_path / "bare")
    (folder / "chat_template.jinja").unlink()
    error = await failure(model=str(folder))
    assert error.fatal
    assert "has no chat template" in str(error)
    assert "chat_template" in str(error.hint)


async def test_a_reward_model_is_not_taken_for_a_chat_model(checkpoint: Path, tmp_path: Path) -> None:
    AutoTokenizer.from_pretrained(checkpoint).save_pretrained(tmp_path)
    config = Qwen3Config.from_pretrained(checkpoint, num_labels=1)
    Qwen3ForSequenceClassification(config).save_pretrained(tmp_path)
    error = await failure(model=str(tmp_path))
    assert error.fatal
    assert "lm_head.weight" in str(error)


async def test_a_device_that_is_not_there_is_fatal(checkpoint: Path) -> None:
    error = await failure(model=str(checkpoint), device="abacus")
    assert error.fatal
    assert "abacus" in str(error)


async def test_a_template_is_read_from_its_file(checkpoint: Path, tmp_path: Path) -> None:
    file = tmp_path / "short.jinja"
    file.write_text("{{ messages[0].content }}{{ mark }}", encoding="utf-8")
    marked = {"model": str(checkpoint), "chat_template_kwargs": {"mark": "!"}}
    model = TransformersChatModel(TransformersOptions(chat_template=str(file), **marked))
    await model.complete(REQUEST)
    loaded = model._loaded
    assert loaded is not None
    assert loaded.tokenizer.decode(loaded.prompts.encode_prompt(REQUEST)) == "Hello!"
    await model.close()
    assert (await failure(chat_template=str(tmp_path / "none.jinja"), **marked)).fatal


async def test_padding_uses_the_end_token_when_there_is_no_other(chat_model: TransformersChatModel) -> None:
    await chat_model.complete(REQUEST)
    loaded = chat_model._loaded
    assert loaded is not None
    assert loaded.tokenizer.pad_token is None
    assert loaded.pad_id == loaded.tokenizer.eos_token_id == 2


async def test_close_lets_the_weights_go(checkpoint: Path) -> None:
    model = TransformersChatModel(TransformersOptions(model=str(checkpoint)))
    await model.complete(REQUEST)
    loaded = model._loaded
    assert loaded is not None
    await model.close()
    assert model._loaded is None
    assert loaded.model is None


def test_models_can_be_asked_for_at_once(checkpoint: Path, tmp_path: Path) -> None:
    """Transformers cannot load two at a time: weights of one came out missing."""
    from jurist_hf.loading import load_model

    folder = copytree(checkpoint, tmp_path / "tied")
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "vocab_size": 300}
    config = Qwen3Config(**size, num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True)
    saved = AutoModelForCausalLM.from_config(config)
    saved.save_pretrained(folder)
    with ThreadPoolExecutor(4) as pool:
        loads = [pool.submit(load_model, TransformersOptions(model=str(folder))) for _ in range(12)]
        models = [load.result().model for load in loads]
    for model in models:
        assert torch.equal(model.lm_head.weight, saved.lm_head.weight)


def test_a_retrained_checkpoint_at_the_same_path_is_another_model(checkpoint: Path, tmp_path: Path) -> None:
    folder = copytree(checkpoint, tmp_path / "policy")
    elsewhere = copytree(checkpoint, tmp_path / "moved")
    before = TransformersChatModel(TransformersOptions(model=str(folder))).identity()
    assert before == TransformersChatModel(TransformersOptions(model=str(elsewhere))).identity()
    assert before == TransformersChatModel(TransformersOptions(model=str(folder), batch_size=3)).identity()
    assert before != TransformersChatModel(TransformersOptions(model=str(folder), max_length=64)).identity()
    (folder / "trainer_state.json").write_text("{}")
    assert before == TransformersChatModel(TransformersOptions(model=str(folder))).identity()
    trained = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        trained.lm_head.weight[0, 0] += 1e-3
    trained.save_pretrained(folder)
    after = TransformersChatModel(TransformersOptions(model=str(folder))).identity()
    assert before != after
    json.dumps(after)


def test_large_files_are_sampled_all_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text("{}")
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(bytes(9 << 20))
    monkeypatch.setattr("jurist_hf.checkpoint._FULLY_READ", 1 << 20)

    def changed(at: int, length: int = 1) -> bool:
        before = find_checkpoint(str(tmp_path)).fingerprint()
        with weights.open("r+b") as file:
            file.seek(at)
            file.write(b"x" * length)
        return find_checkpoint(str(tmp_path)).fingerprint() != before

    assert changed(0)
    assert changed((4 << 20) + 100)
    assert changed(100 << 10, length=4 << 20)  # as long as the stride, it cannot be missed
    assert not changed(200 << 10)
    assert changed(9 << 20)  # appended


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft's own
async def test_an_adapter_changes_the_answers_and_the_identity(checkpoint: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft", reason="peft is not installed")
    base = AutoModelForCausalLM.from_pretrained(checkpoint)
    torch.manual_seed(1)
    tuned = peft.get_peft_model(base, peft.LoraConfig(r=4, init_lora_weights=False, task_type="CAUSAL_LM"))
    tuned.save_pretrained(tmp_path)
    asked = REQUEST.model_copy(update={"choices": ("A", "B")})
    plain = TransformersChatModel(TransformersOptions(model=str(checkpoint)))
    adapted = TransformersChatModel(TransformersOptions(model=str(checkpoint), adapter=str(tmp_path)))
    before, after = await plain.complete(asked), await adapted.complete(asked)
    assert before.choice_logprobs != pytest.approx(after.choice_logprobs, abs=1e-2)
    assert plain.identity() != adapted.identity()
    await plain.close()
    await adapted.close()

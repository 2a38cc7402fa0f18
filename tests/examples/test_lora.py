"""The life of an adapter: trained, saved, loaded, merged, saved, and loaded by remote code in a fresh process."""

import json
from pathlib import Path

import pytest
import torch
from finetune import FinetuneArguments, load_model, run, trainer_arguments
from peft import PeftModel
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoProcessor, Trainer, TrainingArguments

from tests.hidden import run_hidden


CHECKPOINT = str(Path(__file__).resolve().parents[2] / "checkpoints" / "minimonkey-tiny")
QUESTION = [{"role": "user", "content": [{"type": "image", "image": "page.png"}, {"type": "text", "text": "Read."}]}]

REMOTE = """
model = transformers.AutoModelForImageTextToText.from_pretrained(arguments["folder"], trust_remote_code=True)
paths = {"allow_paths": True}
processor = transformers.AutoProcessor.from_pretrained(arguments["folder"], trust_remote_code=True, **paths)
inputs = processor.apply_chat_template(arguments["chat"], tokenize=True, return_dict=True, return_tensors="pt")
with torch.no_grad():
    logits = model(**inputs).logits
print("\\n" + json.dumps(logits[0, -1].tolist()))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with chats, and with the adapter that was trained on them in `adapter`."""
    folder = tmp_path_factory.mktemp("lora")
    Image.effect_noise((300, 200), 90).convert("RGB").save(folder / "page.png")
    chat = [*QUESTION, {"role": "assistant", "content": "A NEW ANSWER"}]
    (folder / "chats.jsonl").write_text(json.dumps({"messages": chat}) + "\n")
    arguments = FinetuneArguments(train_data=str(folder / "chats.jsonl"), model=CHECKPOINT, train="lora")
    settings = {"max_steps": 8, "learning_rate": 5e-3, "use_cpu": True, "report_to": "none", "disable_tqdm": True}
    run(Trainer(**trainer_arguments(arguments, TrainingArguments(str(folder / "adapter"), **settings))))
    return folder


@pytest.fixture(scope="module")
def inputs(folder):
    processor = AutoProcessor.from_pretrained(CHECKPOINT, allow_paths=True)
    chat = json.loads(json.dumps(QUESTION).replace("page.png", str(folder / "page.png")))
    return processor.apply_chat_template(chat, tokenize=True, return_dict=True, return_tensors="pt")


@torch.no_grad()
def logits(model, inputs) -> torch.Tensor:
    return model.eval()(**inputs).logits[0, -1]


def base_model():
    return AutoModelForImageTextToText.from_pretrained(CHECKPOINT, dtype=torch.float32)


def test_the_adapter_is_small_and_changes_the_answer(folder, inputs):
    names = {path.name for path in (folder / "adapter").iterdir()}
    assert "adapter_model.safetensors" in names and "model.safetensors" not in names
    weights = load_file(folder / "adapter" / "adapter_model.safetensors")
    assert all("language_model" in name and "lora_" in name for name in weights)
    tuned = PeftModel.from_pretrained(base_model(), folder / "adapter")
    assert (logits(tuned, inputs) - logits(base_model(), inputs)).abs().max() > 0.1


@pytest.mark.slow
def test_loaded_merged_and_loaded_again_the_logits_are_the_same(folder, inputs):
    tuned = PeftModel.from_pretrained(base_model(), folder / "adapter")
    expected = logits(tuned, inputs)
    by_folder = AutoModelForImageTextToText.from_pretrained(folder / "adapter", dtype=torch.float32)
    torch.testing.assert_close(logits(by_folder, inputs), expected, atol=1e-5, rtol=0)
    merged = tuned.merge_and_unload()
    torch.testing.assert_close(logits(merged, inputs), expected, atol=1e-5, rtol=0)
    merged.save_pretrained(folder / "merged")
    AutoProcessor.from_pretrained(folder / "adapter").save_pretrained(folder / "merged")
    chat = json.loads(json.dumps(QUESTION).replace("page.png", str(folder / "page.png")))
    remote = run_hidden(REMOTE, folder, folder / "cache", folder=str(folder / "merged"), chat=chat)
    torch.testing.assert_close(torch.tensor(remote), expected, atol=1e-5, rtol=0)


def test_modules_are_named_by_a_regular_expression():
    settings = {"train": "lora", "lora_rank": 4, "lora_modules": r".*vision_tower.*\.q_proj"}
    model = load_model(FinetuneArguments(train_data="", model=CHECKPOINT, **settings))
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    assert len(trained) == 2 * 6 and all("vision_tower" in name and "q_proj" in name for name in trained)
    assert min(min(weight.shape) for weight in trained.values()) == 4

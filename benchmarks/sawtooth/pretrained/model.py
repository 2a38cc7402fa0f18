"""A pretrained language model behind a vision tower that already reads: built, adapted, saved and loaded.

The tower is that of a small Mini-Monkey, the projector is new, the language model keeps its weights: what it learns
are matrices of low rank beside them (LoRA).
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from transformers import AutoConfig, InternVLVisionModel, PreTrainedTokenizerBase

from modeling_minimonkey import MiniMonkeyConfig, MiniMonkeyForConditionalGeneration


IMAGE_TOKENS = ("<img>", "</img>", "<IMG_CONTEXT>")
ADAPTED = r"layers\.\d+\..*_proj"  # all matrices of the language model's layers
FILES = {"adapter": "adapter.safetensors", "tower": "tower.safetensors"}


def add_image_tokens(tokenizer: PreTrainedTokenizerBase) -> None:
    """The three tokens of an image after those of the language model."""
    tokenizer.add_special_tokens({"additional_special_tokens": list(IMAGE_TOKENS)})


def load_tower(folder: str | Path) -> InternVLVisionModel:
    """The vision tower of a saved Mini-Monkey, or a tower saved alone; in float32."""
    config = AutoConfig.from_pretrained(folder)
    if not isinstance(config, MiniMonkeyConfig):
        return InternVLVisionModel.from_pretrained(folder, dtype=torch.float32)
    return MiniMonkeyForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).model.vision_tower


def build(causal_lm, tower: InternVLVisionModel, tokenizer) -> MiniMonkeyForConditionalGeneration:
    """
    A Mini-Monkey whose language model and tower have the given weights; nothing in it asks for gradients.

    Args:
        causal_lm (`LlamaForCausalLM`): a language model whose head shares its embeddings' weights.
        tower: one image token per patch is what the language model sees.
        tokenizer: with the three tokens of `add_image_tokens`; their embeddings are the mean of all.
    """
    text = causal_lm.config.to_dict()
    text.pop("quantization_config", None)  # a GGUF file's weights have been unpacked
    patches = [side // patch for side, patch in zip(tower.config.image_size, tower.config.patch_size, strict=True)]
    config = MiniMonkeyConfig(
        vision_config=tower.config.to_dict(),
        text_config=text | {"vocab_size": len(tokenizer)},
        image_token_id=tokenizer.convert_tokens_to_ids(IMAGE_TOKENS[2]),
        image_seq_length=patches[0] * patches[1],
        downsample_ratio=1.0,
        tie_word_embeddings=True,
    )
    model = MiniMonkeyForConditionalGeneration(config)
    model.model.vision_tower.load_state_dict(tower.state_dict())
    weights = causal_lm.model.state_dict()
    old = weights["embed_tokens.weight"]
    new = old.mean(0, keepdim=True).expand(len(tokenizer) - len(old), -1)
    model.model.language_model.load_state_dict(weights | {"embed_tokens.weight": torch.cat((old, new))})
    model.tie_weights()
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    model.generation_config.eos_token_id = model.generation_config.pad_token_id = end
    return model.requires_grad_(False).eval()


def add_adapter(model: MiniMonkeyForConditionalGeneration, rank: int) -> None:
    """LoRA of a rank in the language model's layers, in float32 whatever their weights are; at first it adds zero."""
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=ADAPTED)
    inject_adapter_in_model(config, model.model.language_model)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.float()
            parameter.requires_grad_(True)
    model.eval()


@contextlib.contextmanager
def without_adapter(model: MiniMonkeyForConditionalGeneration) -> Iterator[None]:
    """The language model as it was before."""
    layers = [module for module in model.modules() if isinstance(module, LoraLayer)]
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)


def learned(model: MiniMonkeyForConditionalGeneration, part: str) -> dict[str, nn.Parameter]:
    """What is learned, by name: the `"projector"`, the language model's `"adapter"`, or the `"tower"`."""
    marks = {"projector": "multi_modal_projector", "adapter": "lora_", "tower": "vision_tower"}
    return {name: parameter for name, parameter in model.named_parameters() if marks[part] in name}


@torch.no_grad()
def save_learned(model: MiniMonkeyForConditionalGeneration, folder: Path, settings: dict, tower: bool = False) -> None:
    """
    Saves what was learned in bfloat16: projector and adapter in one file, and the tower in another if it was trained.
    A rank of 16 takes 11 MB on 30 layers, the small tower 5 MB.

    Args:
        folder: it is created.
        settings: goes along as metadata; it has to say the `rank` of the adapter.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {"adapter": learned(model, "projector") | learned(model, "adapter")}
    if tower:
        files["tower"] = learned(model, "tower")
    for part, parameters in files.items():
        tensors = {name: parameter.to("cpu", torch.bfloat16).contiguous() for name, parameter in parameters.items()}
        save_file(tensors, folder / FILES[part], metadata={"settings": json.dumps(settings)})


@torch.no_grad()
def load_learned(model: MiniMonkeyForConditionalGeneration, folder: Path) -> dict:
    """
    Puts what `save_learned` saved into a model that `build` gave, and returns the settings.

    Raises:
        ValueError: the file holds a tensor that the model lacks, or of another shape.
    """
    with safe_open(folder / FILES["adapter"], "pt") as file:
        settings = json.loads(file.metadata()["settings"])
    if not learned(model, "adapter"):
        add_adapter(model, settings["rank"])
    parameters = dict(model.named_parameters())
    for path in (folder / name for name in FILES.values() if (folder / name).exists()):
        with safe_open(path, "pt") as file:
            for name in file.keys():
                tensor = file.get_tensor(name)
                if name not in parameters or parameters[name].shape != tensor.shape:
                    raise ValueError(f"`folder` {folder} does not fit the model: {name} {tuple(tensor.shape)}.")
                parameters[name].copy_(tensor)
    return settings

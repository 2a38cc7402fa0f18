"""The published checkpoints: what `checkpoints.json` says of them, as models without weights, and their size."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from modeling_minimonkey import MiniMonkeyConfig, MiniMonkeyForConditionalGeneration
from modeling_minimonkey.conversion.config import convert_config


FILE = Path(__file__).with_name("checkpoints.json")
FORMATS = ("bf16", "int8", "int4")
BLOCK = 64  # weights that share a scale in int4
ADDED_TOKENS = ("<img>", "</img>", "<IMG_CONTEXT>", "<quad>", "</quad>", "<ref>", "</ref>", "<box>", "</box>")


@dataclass(frozen=True)
class Checkpoint:
    """
    One published checkpoint.

    Attributes:
        name (`str`): on the Hub.
        language_model, vision_tower (`str`): what they are called.
        parameters (`str`): billions, as the model page rounds them.
        original (`dict`): the content of the original config.json, as far as it matters here.
        note (`str`): what of it could not be confirmed or was left out; mostly nothing.
    """

    name: str
    language_model: str
    vision_tower: str
    parameters: str
    original: dict
    note: str

    @property
    def short_name(self) -> str:
        return self.name.partition("/")[2]

    @property
    def config(self) -> MiniMonkeyConfig:
        """Converted as the converter does it. The placeholder is one of the tokens that end the vocabulary."""
        context = ADDED_TOKENS.index("<IMG_CONTEXT>") - len(ADDED_TOKENS)
        return convert_config(self.original, self.original["llm_config"]["vocab_size"] + context)


def read_checkpoints() -> list[Checkpoint]:
    facts = json.loads(FILE.read_text("utf-8"))
    return [
        Checkpoint(
            name=name,
            language_model=entry["language_model"],
            vision_tower=entry["vision_tower"],
            parameters=entry["parameters"],
            original={
                "template": entry["template"],
                "select_layer": -1,
                "downsample_ratio": 0.5,
                "force_image_size": 448,
                "llm_config": entry["llm_config"],
                "vision_config": facts["vision_towers"][entry["vision_tower"]]["config"],
            },
            note=entry.get("note", ""),
        )
        for name, entry in facts["checkpoints"].items()
    ]


def meta_model(config: MiniMonkeyConfig) -> MiniMonkeyForConditionalGeneration:
    """The model in bfloat16 on the meta device: its tensors have sizes and no values."""
    with torch.device("meta"):
        return MiniMonkeyForConditionalGeneration(config).to(torch.bfloat16).eval()


def count_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def weight_bytes(model: MiniMonkeyForConditionalGeneration, number_format: str) -> int:
    """
    Bytes of the weights in one of `FORMATS`.

    Only the weights of the linear layers within the language model are quantized. int8 (LLM.int8) has one float32
    scale per output, int4 (FP4, NF4) one per `BLOCK` weights. Everything else has two bytes per parameter.
    """
    size = 2 * count_parameters(model)
    if number_format == "bf16":
        return size
    for module in model.model.language_model.modules():
        if isinstance(module, nn.Linear):
            weights = module.weight.numel()
            size -= 2 * weights
            size += weights + 4 * module.out_features if number_format == "int8" else 0
            size += math.ceil(weights / 2) + 4 * math.ceil(weights / BLOCK) if number_format == "int4" else 0
    return size


def cache_bytes(config: MiniMonkeyConfig, tokens: int) -> int:
    """Bytes of the KV cache in bfloat16: a key and a value per layer, key-value head and token."""
    text = config.text_config
    head_dim = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return 2 * text.num_hidden_layers * text.num_key_value_heads * head_dim * 2 * tokens

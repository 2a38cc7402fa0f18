"""How a model of another family begins with what the small checkpoint has learned.

All have its language model. LLaVA-OneVision and MiniCPM-V have a SigLIP tower: the same weights without class token
and layer scale, trained on until they do without; their connector is new. InternVL is the small checkpoint's own
architecture and takes all of its weights.
"""

from __future__ import annotations

import re

import torch
from transformers import AutoModel, InternVLVisionModel, PreTrainedModel, SiglipVisionConfig, SiglipVisionModel

from benchmarks.sawtooth.readers.tower import sizes_of_tower
from modeling_minimonkey import MiniMonkeyForConditionalGeneration


# InternVL's names, and SigLIP's
RENAMED = {
    "embeddings.patch_embeddings.projection": "embeddings.patch_embedding",
    "encoder.layer.": "encoder.layers.",
    "attention.projection_layer": "self_attn.out_proj",
    "attention.": "self_attn.",
    "layernorm_before": "layer_norm1",
    "layernorm_after": "layer_norm2",
}


def siglip_tower(source: InternVLVisionModel, size: str) -> SiglipVisionModel:
    """The tower without class token, its layer scale multiplied into the layers before it."""
    config = SiglipVisionConfig(**sizes_of_tower(size), vision_use_head=False)
    weights = source.state_dict()
    for layer in range(config.num_hidden_layers):
        for scale, scaled in (("lambda_1", "attention.projection_layer"), ("lambda_2", "mlp.fc2")):
            factor = weights.pop(f"encoder.layer.{layer}.{scale}")
            name = f"encoder.layer.{layer}.{scaled}"
            weights[f"{name}.weight"] = weights[f"{name}.weight"] * factor[:, None]
            weights[f"{name}.bias"] = weights[f"{name}.bias"] * factor
    weights.pop("embeddings.cls_token")
    positions = weights.pop("embeddings.position_embeddings")[0, 1:]  # (patches, hidden)
    pattern = re.compile("|".join(map(re.escape, sorted(RENAMED, key=len, reverse=True))))
    renamed = {pattern.sub(lambda match: RENAMED[match[0]], name): value for name, value in weights.items()}
    tower = SiglipVisionModel(config)
    missing, unexpected = tower.load_state_dict(
        renamed | {"embeddings.position_embedding.weight": positions}, strict=False
    )
    if unexpected or set(missing) != {"post_layernorm.weight", "post_layernorm.bias"}:
        raise ValueError(f"The tower doesn't fit: missing {missing}, unexpected {unexpected}.")
    return tower


def load_tower(model: PreTrainedModel, folder: str) -> None:
    """Put a trained tower into a model; MiniCPM-V's merger, which its 4x mode leaves out, stays as it is."""
    tower = AutoModel.from_pretrained(folder)
    missing, unexpected = model.model.vision_tower.load_state_dict(tower.state_dict(), strict=False)
    if unexpected or any(not name.startswith("vit_merger") for name in missing):
        raise ValueError(f"The tower doesn't fit: missing {missing}, unexpected {unexpected}.")


def load_reader(model: PreTrainedModel, family: str, folder: str) -> None:
    """Put the language model of a trained reader into a model, for InternVL tower and projector as well."""
    reader = MiniMonkeyForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    target = model.state_dict()
    for name, value in reader.state_dict().items():
        if family == "internvl" or "language_model" in name or name == "lm_head.weight":
            target[name][: len(value)] = value  # a family's vocabulary has a few special tokens more
    model.load_state_dict(target)

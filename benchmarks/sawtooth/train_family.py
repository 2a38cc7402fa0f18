"""Tiny models of three families, begun with what the small checkpoint has learned (`examples/minimonkey_tiny`).

    R=runs/6m/again/model
    python -m benchmarks.sawtooth.train_family tower --source runs/6m/tower/tower --output runs/siglip
    python -m benchmarks.sawtooth.train_family words --family minicpmv --reader $R --tower runs/siglip/tower --output ...
    python -m benchmarks.sawtooth.train_family pages --family minicpmv --source runs/minicpmv/words/model --output ...
    python -m benchmarks.sawtooth.train_family pyramid --family minicpmv --source runs/minicpmv/pages/model --output ...

All have the small checkpoint's language model. LLaVA-OneVision and MiniCPM-V have a SigLIP tower: the same weights
without class token and layer scale, trained on (`tower`) until they do without; their connector is new. `words` and
`pages` cut with the family's own processor, `pyramid` with CIP in its place, `control` is as long as `pyramid`, without.
InternVL is the small checkpoint's own architecture: `copy` writes its weights as a model of the native class.
"""  # noqa: E501

from __future__ import annotations

import argparse
import re

import torch
from transformers import AutoModel, InternVLVisionModel, PreTrainedModel, SiglipVisionConfig, SiglipVisionModel

from benchmarks.sawtooth.families import FAMILIES, family_model, family_processor
from examples.minimonkey_tiny.recipe import SIZES, add_arguments, train
from examples.minimonkey_tiny.rendering import TILE_SIZE
from examples.minimonkey_tiny.train_reader import (
    STAGES,
    Collator,
    PageDataset,
    compute_metrics,
    predicted_tokens,
)
from examples.minimonkey_tiny.train_tower import train_tower
from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from processing_minimonkey.plug_in import CIPProcessor


ADAPTIVE_TILES = (1, 4)
STEPS = {"words": 250, "pages": 300, "pyramid": 200, "control": 200}
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
    width, layers, heads = SIZES[size][0]
    config = SiglipVisionConfig(
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        image_size=TILE_SIZE,
        patch_size=14,
        vision_use_head=False,
    )
    weights = source.state_dict()
    for layer in range(layers):
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


def begin(arguments: argparse.Namespace) -> PreTrainedModel:
    """The model that a stage starts from."""
    model = family_model(arguments.family, arguments.size)
    if arguments.source:
        return type(model).from_pretrained(arguments.source, dtype=torch.float32)
    load_reader(model, arguments.family, arguments.reader)
    if arguments.tower:
        load_tower(model, arguments.tower)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=["tower", "copy", *STEPS])
    parser.add_argument("--family", choices=FAMILIES)
    parser.add_argument("--source", help="folder of the tower, or of the family's model, to go on with")
    parser.add_argument("--reader", help="folder of the small checkpoint's model, to begin with")
    parser.add_argument("--tower", help="folder of a SigLIP tower, to begin with")
    add_arguments(parser)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    if arguments.stage == "tower":
        arguments.steps = arguments.steps or 300
        arguments.learning_rate = arguments.learning_rate or 3e-4
        train_tower(siglip_tower(InternVLVisionModel.from_pretrained(arguments.source), arguments.size), arguments)
        return

    model = begin(arguments)
    if arguments.stage == "copy":
        model.save_pretrained(f"{arguments.output}/model")
        return
    stage = STAGES[arguments.stage]
    arguments.steps = arguments.steps or STEPS[arguments.stage]
    arguments.learning_rate = arguments.learning_rate or stage.learning_rate
    processor = family_processor(arguments.family)
    if arguments.stage == "pyramid":
        processor = CIPProcessor.from_processor(processor, adaptive_tiles=ADAPTIVE_TILES)
    model.model.vision_tower.requires_grad_(stage.train_tower)
    trainer_kwargs = {
        "model": model,
        "train_dataset": PageDataset(stage.kinds, f"train {arguments.stage}", stage.batch_size * arguments.steps),
        "eval_dataset": PageDataset(stage.kinds, "held-out", 128),
        "data_collator": Collator(processor),
        "compute_metrics": compute_metrics,
        "preprocess_logits_for_metrics": predicted_tokens,
    }
    train(
        trainer_kwargs,
        arguments,
        per_device_train_batch_size=stage.batch_size,
        per_device_eval_batch_size=stage.batch_size,
    )
    model.save_pretrained(f"{arguments.output}/model")


if __name__ == "__main__":
    main()

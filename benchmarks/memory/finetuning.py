"""What a step of fine-tuning takes, from the real code: weights, gradients, AdamW, and a forward and backward pass."""

import torch
from torch import nn

from benchmarks.memory.checkpoints import Checkpoint, count_parameters, meta_model
from benchmarks.memory.prefill import TEXT_AFTER, make_inputs
from benchmarks.memory.tracking import LiveMemory, sizes_only
from modeling_minimonkey import MiniMonkeyForConditionalGeneration


NAMES = ("MiniMonkey", "InternVL2-1B", "InternVL2-4B", "InternVL2-8B")  # InternVL2-2B has the sizes of MiniMonkey
TRAINED = ("full", "language_model", "projector", "lora")
LEVELS = [0] * 6 + [1] * 4 + [2]  # 11 tiles, 2,816 image tokens
LORA_RANK = 16
CARDS = 8  # that share weights, gradients and optimizer under FSDP2
# Bytes of a trained weight, of its gradient, of its two moments, of its copy in autocast; of a frozen weight
PRECISIONS = {"bf16": (2, 2, 4, 0, 2), "fp32": (4, 4, 8, 2, 4)}


def trained_parameters(model: MiniMonkeyForConditionalGeneration, trained: str) -> int:
    """How many weights learn under `--train` of examples/finetune.py."""
    language_model = model.model.language_model
    if trained == "lora":  # two matrices beside every linear layer of the language model
        layers = [module for module in language_model.modules() if isinstance(module, nn.Linear)]
        return sum(LORA_RANK * (layer.in_features + layer.out_features) for layer in layers)
    parts = {
        "full": [model],
        "language_model": [language_model, model.lm_head],
        "projector": [model.model.multi_modal_projector],
    }[trained]
    return count_parameters(nn.ModuleList(parts))


def step_memory(model: MiniMonkeyForConditionalGeneration, levels: list[int]) -> tuple[int, int]:
    """
    The most bytes that are alive beside the weights in a forward and a backward pass with gradient checkpointing.

    Args:
        model (`MiniMonkeyForConditionalGeneration`): on the meta device; all its weights learn.
        levels (`list[int]`): tile levels of the image; the last tokens of the text are the answer.

    Returns:
        `tuple[int, int]`: until the first gradient of a weight is there, and from then on. Of the gradients of weights
        only the newest counts: each goes as soon as it is there.
    """
    model.train()
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    memory, peaks = LiveMemory(model), []

    def drop(parameter):
        if not peaks:
            peaks.append(memory.restart_peak())
        parameter.grad = None

    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(drop)
    with memory, sizes_only(gradients=True):
        inputs = make_inputs(model, levels)
        labels = torch.full_like(inputs["input_ids"], -100)
        labels[:, -TEXT_AFTER:] = 1
        positions = torch.arange(labels.shape[1])[None]
        model(**inputs, position_ids=positions, labels=labels, use_cache=False).loss.backward()
    return peaks[0], memory.peak


def gathered(model: MiniMonkeyForConditionalGeneration) -> int:
    """Weights that FSDP2 has in one piece at a time: what is outside of the layers, and two layers."""
    layers = [*model.model.language_model.layers, *model.model.vision_tower.encoder.layer]
    sizes = sorted(map(count_parameters, layers))
    return count_parameters(model) - sum(sizes) + 2 * sizes[-1]


def finetuning_of(checkpoint: Checkpoint) -> dict:
    """Parameters that learn by choice, all of them, those in one piece, and the bytes of a step, see `step_memory`."""
    model = meta_model(checkpoint.config)
    before, after = step_memory(model, LEVELS)
    return {
        "parameters": count_parameters(model),
        "trained": {trained: trained_parameters(model, trained) for trained in TRAINED},
        "gathered": gathered(model),
        "before": before,
        "after": after,
    }


def frozen_parameters(result: dict, trained: str) -> int:
    """LoRA's weights come to those of the model, the others are among them."""
    return result["parameters"] - (0 if trained == "lora" else result["trained"][trained])


def one_card(result: dict, trained: str, precision: str) -> int:
    """Bytes on one card at the worst moment of a step."""
    weight, gradient, moments, copy, frozen = PRECISIONS[precision]
    learning = result["trained"][trained]
    kept = (weight + moments) * learning + frozen * frozen_parameters(result, trained)
    return kept + max(result["before"] + copy * learning, result["after"] + gradient * learning)


def per_card(result: dict, trained: str, precision: str) -> int:
    """Bytes on each of the cards that share weights, gradients and optimizer."""
    weight, gradient, moments, _, frozen = PRECISIONS[precision]
    shared = (weight + gradient + moments) * result["trained"][trained] + frozen * frozen_parameters(result, trained)
    return shared // CARDS + 2 * result["gathered"] + max(result["before"], result["after"])

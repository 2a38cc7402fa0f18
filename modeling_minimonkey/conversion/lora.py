"""
Merge the LoRA adapters of an original checkpoint into its weights.

When fine-tuning with `use_llm_lora` or `use_backbone_lora`, the published code saves that part of the model as PEFT
wraps it: under `base_model.model.`, with the weights `lora_A` and `lora_B` beside those they change.
"""

import functools

import torch

from .weight_files import LazyTensor


# Part of the model -> value of config.json that holds the rank of its adapter.
ADAPTED_PARTS = {"language_model.": "use_llm_lora", "vision_model.": "use_backbone_lora"}
WRAPPER = "base_model.model."
# The published code sets `lora_alpha` to twice the rank, so that the product is scaled by two.
SCALE = 2.0


def merge_lora(tensors: dict[str, LazyTensor], original: dict) -> dict[str, LazyTensor]:
    """
    Merge the adapters of a checkpoint into its weights, and remove PEFT's wrapper from the names. A checkpoint without
    adapters is returned as it is.

    Args:
        tensors (`dict[str, LazyTensor]`):
            The checkpoint under its original names.
        original (`dict`):
            The content of its config.json.

    Raises:
        ValueError: an adapter is incomplete, or of another rank than config.json says.
    """
    for part, rank_name in ADAPTED_PARTS.items():
        if any(key.startswith(part + WRAPPER) for key in tensors):
            plain = {_without_wrapper(key, part): tensor for key, tensor in tensors.items()}
            mine = {key: tensor for key, tensor in plain.items() if key.startswith(part)}
            rest = {key: tensor for key, tensor in plain.items() if key not in mine}
            tensors = _merge(mine, original.get(rank_name, 0), rank_name) | rest
    return tensors


def _without_wrapper(key: str, part: str) -> str:
    if not key.startswith(part + WRAPPER):
        return key
    return part + key.removeprefix(part + WRAPPER).replace(".base_layer.", ".")


def _merge(tensors: dict[str, LazyTensor], rank: int, rank_name: str) -> dict[str, LazyTensor]:
    suffixes = {letter: f".lora_{letter}.default.weight" for letter in "AB"}
    modules = {key.removesuffix(suffix) for suffix in suffixes.values() for key in tensors if key.endswith(suffix)}
    problems, merged = [], dict(tensors)
    for module in sorted(modules):
        base, *factors = (tensors.get(module + suffix) for suffix in (".weight", *suffixes.values()))
        if base is None or None in factors:
            problems.append(f"{module} needs a weight and both factors of its adapter")
            continue
        down, up = factors  # (rank, inputs), (outputs, rank)
        if (up.shape[0], down.shape[1]) != base.shape or not down.shape[0] == up.shape[1] == rank:
            problems.append(f"{module} has factors {up.shape} and {down.shape} for {base.shape} and rank {rank}")
            continue
        merged[f"{module}.weight"] = LazyTensor(base.shape, base.dtype, functools.partial(_add, base, up, down))
        for suffix in suffixes.values():
            del merged[module + suffix]
    if problems:
        raise ValueError(f"`source` has adapters that don't fit (`{rank_name}` in config.json): {problems}.")
    return merged


def _add(base: LazyTensor, up: LazyTensor, down: LazyTensor) -> torch.Tensor:
    # In float32: the adapter's share is often smaller than a rounding step of bfloat16 weights.
    change = up.read().float() @ down.read().float()
    return change.mul_(SCALE).add_(base.read()).to(base.dtype)

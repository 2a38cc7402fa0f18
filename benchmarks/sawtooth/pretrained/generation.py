"""Greedy answers to many prompts at once, and the precision in which a device runs the model."""

import contextlib
from collections.abc import Sequence

import torch

from benchmarks.sawtooth.pretrained.chat import Said
from benchmarks.sawtooth.pretrained.conversations import Conversation, Encoder, collate, normalize
from benchmarks.sawtooth.readers.precision import bfloat16_pays
from modeling_minimonkey import MiniMonkeyForConditionalGeneration


def precision(device: torch.device) -> contextlib.AbstractContextManager:
    """bfloat16 autocast on a GPU and on a CPU that is faster in it; else nothing."""
    return torch.autocast(device.type, torch.bfloat16) if bfloat16_pays(device.type) else contextlib.nullcontext()


@torch.no_grad()
def generate(
    model: MiniMonkeyForConditionalGeneration,
    encoder: Encoder,
    prompts: Sequence[Conversation],
    max_new_tokens: int,
    rows: int | None = None,
) -> list[Said]:
    """
    Answers to prompts, each with ids and whether it came to an end.

    Args:
        max_new_tokens: an answer that is longer is cut off.
        rows: prompts at once, those of like length together; by default 512 on a GPU, and 64 on a CPU, where the cache
            of 512 took 18 GB of memory.
    """
    device = model.lm_head.weight.device
    rows = rows or (512 if device.type == "cuda" else 64)
    said: list[Said] = [((), False)] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i].ids))
    for start in range(0, len(order), rows):
        chosen = order[start : start + rows]
        batch = collate([prompts[i] for i in chosen], encoder.end, left=True)
        inputs = {name: torch.from_numpy(batch[name]).to(device) for name in ("input_ids", "attention_mask")}
        if len(batch["tiles"]):
            inputs["pixel_values"] = normalize(batch["tiles"], device)
        with precision(device):
            output = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
        for i, ids in zip(chosen, output[:, inputs["input_ids"].shape[1] :].tolist(), strict=True):
            ended = encoder.end in ids
            said[i] = (tuple(ids[: ids.index(encoder.end)] if ended else ids), ended)
    return said

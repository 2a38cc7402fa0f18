"""What one image adds to the weights while the first token of the answer is made, from the real code."""

from dataclasses import dataclass

import torch

from benchmarks.memory.checkpoints import cache_bytes
from benchmarks.memory.tracking import LiveMemory, sizes_only
from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from modeling_minimonkey.scale_compression import DETAILED_LEVEL, kept_count
from processing_minimonkey import PYRAMID_SETTINGS, PyramidPlan, plan_pyramid


TEXT_BEFORE, TEXT_AFTER = 20, 60  # tokens around the image
KEEP_RATIOS = (1.0, 0.5)


@dataclass(frozen=True)
class Pyramid:
    """An image and the published setting that cuts it into `tiles`, with names for a reader."""

    tiles: int
    width: int
    height: int
    setting: str

    @property
    def plan(self) -> PyramidPlan:
        return plan_pyramid(self.width, self.height, **PYRAMID_SETTINGS[self.setting])


PYRAMIDS = (
    Pyramid(5, 1000, 1000, "train"),
    Pyramid(9, 1240, 1754, "chartqa"),
    Pyramid(13, 2100, 900, "chartqa"),
    Pyramid(17, 1600, 1200, "default"),
    Pyramid(25, 1170, 2532, "default"),
    Pyramid(33, 1240, 1754, "ocrbench"),
)


def make_inputs(model: MiniMonkeyForConditionalGeneration, levels: list[int]) -> dict:
    """Inputs of `generate` for one image with these tile levels; the pixels are on the model's device."""
    config = model.config
    input_ids = torch.full(
        (1, TEXT_BEFORE + len(levels) * config.image_seq_length + TEXT_AFTER), config.image_token_id
    )
    input_ids[:, :TEXT_BEFORE] = input_ids[:, -TEXT_AFTER:] = 1
    vision = config.vision_config
    shape = (len(levels), vision.num_channels, *vision.image_size)
    return {
        "input_ids": input_ids,
        "attention_mask": torch.ones_like(input_ids),
        "tile_levels": torch.tensor(levels),
        "pixel_values": torch.empty(shape, device=model.device, dtype=model.dtype),
    }


def prefill_memory(model: MiniMonkeyForConditionalGeneration, levels: list[int], keep_ratio: float) -> dict:
    """
    The bytes that are alive beside the weights while `generate` makes the first token.

    Args:
        model (`MiniMonkeyForConditionalGeneration`): on the meta device.
        levels (`list[int]`): tile levels of the image.
        keep_ratio (`float`): as in `generate`.

    Returns:
        `dict`: `tokens` in the cache; `cache`, its bytes; `vision` and `language`, the peaks until the image features
        are there and after it. `language` includes the cache.
    """
    peaks = []
    memory = LiveMemory(model)
    projector = model.model.multi_modal_projector
    handle = projector.register_forward_hook(lambda *_: peaks.append(memory.restart_peak()))
    try:
        with memory, sizes_only():
            inputs = make_inputs(model, levels)
            model.generate(**inputs, keep_ratio=keep_ratio, max_new_tokens=1, do_sample=False)
    finally:
        handle.remove()
    detailed = levels.count(DETAILED_LEVEL) * model.config.image_seq_length
    tokens = inputs["input_ids"].shape[1] - detailed + kept_count(detailed, keep_ratio)
    return {
        "tokens": tokens,
        "cache": cache_bytes(model.config, tokens),
        "vision": peaks[0],
        "language": memory.peak,
    }

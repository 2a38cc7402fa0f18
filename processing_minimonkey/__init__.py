"""Mini-Monkey's processors, known to the Auto classes as `minimonkey` once this package is imported."""

from .image_processing_minimonkey import MiniMonkeyImageProcessor  # first: checks Transformers' version


# isort: split
from transformers import AutoImageProcessor, AutoProcessor

from .complementary_image_pyramid import PYRAMID_SETTINGS, PyramidPlan, Tile, plan_pyramid
from .processing_minimonkey import MiniMonkeyProcessor


# By model type, since the configuration class is in the other package; saved files name the classes themselves.
AutoImageProcessor.register("minimonkey", image_processor_classes={"pil": MiniMonkeyImageProcessor}, exist_ok=True)
AutoProcessor.register("minimonkey", MiniMonkeyProcessor, exist_ok=True)

# `save_pretrained` copies the code into the folder.
MiniMonkeyImageProcessor.register_for_auto_class("AutoImageProcessor")
MiniMonkeyProcessor.register_for_auto_class("AutoProcessor")


__all__ = [
    "MiniMonkeyImageProcessor",
    "MiniMonkeyProcessor",
    "PYRAMID_SETTINGS",
    "PyramidPlan",
    "Tile",
    "plan_pyramid",
]

"""Mini-Monkey's configuration and models, known to the Auto classes as `minimonkey` once this package is imported."""

from .configuration_minimonkey import MiniMonkeyConfig, ScaleCompressionConfig  # first: checks Transformers' version


# isort: split
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoModelForMultimodalLM,
)

from .modeling_minimonkey import MiniMonkeyForConditionalGeneration, MiniMonkeyModel, MiniMonkeyPreTrainedModel


AutoConfig.register(MiniMonkeyConfig.model_type, MiniMonkeyConfig, exist_ok=True)
AutoModel.register(MiniMonkeyConfig, MiniMonkeyModel, exist_ok=True)
for auto_class in (AutoModelForCausalLM, AutoModelForImageTextToText, AutoModelForMultimodalLM):
    auto_class.register(MiniMonkeyConfig, MiniMonkeyForConditionalGeneration, exist_ok=True)


__all__ = [
    "MiniMonkeyConfig",
    "MiniMonkeyForConditionalGeneration",
    "MiniMonkeyModel",
    "MiniMonkeyPreTrainedModel",
    "ScaleCompressionConfig",
]

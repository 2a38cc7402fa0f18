"""Three families of tile-based models at tiny size: InternVL, LLaVA-OneVision, MiniCPM-V, as Transformers has them.

They share a byte tokenizer, the tile size and the widths of `recipe.py`; tiles, features and
prompts are each family's own.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from transformers import (
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVisionConfig,
    LlamaConfig,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionProcessor,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    ProcessorMixin,
    SiglipVisionConfig,
)
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import LlavaOnevisionImageProcessorPil
from transformers.models.minicpmv4_6 import (
    MiniCPMV4_6Config,
    MiniCPMV4_6ForConditionalGeneration,
    MiniCPMV4_6Processor,
    MiniCPMV4_6VisionConfig,
)
from transformers.models.minicpmv4_6.image_processing_pil_minicpmv4_6 import MiniCPMV4_6ImageProcessorPil

from benchmarks.sawtooth.readers.reader import make_tokenizer
from benchmarks.sawtooth.readers.recipe import SIZES
from benchmarks.sawtooth.readers.rendering import TILE_SIZE
from processing_minimonkey.chat_templates import chat_template


MOST_TILES = 6
PATCH_SIZE = 14
FAMILIES = {
    "internvl": InternVLForConditionalGeneration,
    "llava_onevision": LlavaOnevisionForConditionalGeneration,
    "minicpmv": MiniCPMV4_6ForConditionalGeneration,
}
TEMPLATE = chat_template(Path(__file__).with_name("chat_template.jinja"))
SPECIAL_TOKENS = {
    "image_token": "<image>",
    "video_token": "<video>",
    "image_start_token": "<im>",
    "image_end_token": "</im>",
    "slice_start_token": "<slice>",
    "slice_end_token": "</slice>",
    "image_id_start_token": "<image_id>",
    "image_id_end_token": "</image_id>",
}


class WithoutVideo:
    """A family's processor without a video processor, which Transformers can't make where torchvision is missing."""

    def check_argument_for_proper_class(self, argument_name, argument):
        if argument_name != "video_processor":
            return super().check_argument_for_proper_class(argument_name, argument)


class ImageInternVLProcessor(WithoutVideo, InternVLProcessor):
    pass


class ImageLlavaOnevisionProcessor(WithoutVideo, LlavaOnevisionProcessor):
    pass


class ImageMiniCPMVProcessor(WithoutVideo, MiniCPMV4_6Processor):
    pass


def family_tokenizer() -> PreTrainedTokenizerFast:
    """Bytes and the special tokens of every family."""
    tokenizer = make_tokenizer()
    tokens = tokenizer.init_kwargs["extra_special_tokens"] | SPECIAL_TOKENS
    kwargs = tokenizer.init_kwargs | {"extra_special_tokens": tokens}
    return PreTrainedTokenizerFast(**kwargs, tokenizer_object=tokenizer.backend_tokenizer)


def family_processor(family: str) -> ProcessorMixin:
    """The family's own processor for tiles of 112 px, at most six of them."""
    tokenizer = family_tokenizer()
    normalization = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    size = {"height": TILE_SIZE, "width": TILE_SIZE}
    if family == "internvl":
        images = GotOcr2ImageProcessorPil(size=size, crop_to_patches=True, max_patches=MOST_TILES, **normalization)
        return ImageInternVLProcessor(images, tokenizer, image_seq_length=16, chat_template=TEMPLATE)
    template = TEMPLATE.replace("<IMG_CONTEXT>", "<image>")
    if family == "llava_onevision":
        sides = range(1, MOST_TILES + 1)
        pinpoints = [[y * TILE_SIZE, x * TILE_SIZE] for y in sides for x in sides if x * y <= MOST_TILES]
        images = LlavaOnevisionImageProcessorPil(size=size, image_grid_pinpoints=pinpoints, **normalization)
        return ImageLlavaOnevisionProcessor(
            images,
            tokenizer,
            num_image_tokens=(TILE_SIZE // PATCH_SIZE) ** 2,
            vision_feature_select_strategy="full",
            chat_template=template,
        )
    slices = {
        "scale_resolution": TILE_SIZE,
        "patch_size": PATCH_SIZE,
        "max_slice_nums": MOST_TILES,
        "downsample_mode": "4x",  # 16 tokens for a tile, as in the other families with a pixel shuffle
    }
    images = MiniCPMV4_6ImageProcessorPil(**slices, **normalization)
    no_video = SimpleNamespace(slice_mode=True, downsample_mode="4x")  # __init__ reads these two
    return ImageMiniCPMVProcessor(images, no_video, tokenizer, chat_template=template)


def family_model(family: str, size: str = "6m") -> PreTrainedModel:
    """A model of the family with random weights, of the widths and depths of `size`."""
    tokenizer = family_tokenizer()
    model = FAMILIES[family](_family_config(family, size, tokenizer))
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def _family_config(family: str, size: str, tokenizer: PreTrainedTokenizerFast) -> PretrainedConfig:
    (vision_width, vision_layers, vision_heads), (width, layers, heads) = SIZES[size]
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=4096,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    vision = {
        "hidden_size": vision_width,
        "num_hidden_layers": vision_layers,
        "num_attention_heads": vision_heads,
        "intermediate_size": 4 * vision_width,
        "image_size": TILE_SIZE,
        "patch_size": PATCH_SIZE,
    }
    shared = {"text_config": text.to_dict(), "tie_word_embeddings": False}
    if family == "internvl":
        vision_config = InternVLVisionConfig(attention_bias=True, layer_scale_init_value=1.0, **vision)
        shared |= {"image_token_id": tokenizer.context_image_token_id, "image_seq_length": 16, "downsample_ratio": 0.5}
        return InternVLConfig(vision_config=vision_config.to_dict(), **shared)
    shared |= {"image_token_id": tokenizer.image_token_id, "video_token_id": tokenizer.video_token_id}
    if family == "llava_onevision":
        vision_config = SiglipVisionConfig(vision_use_head=False, **vision)
        pinpoints = family_processor(family).image_processor.image_grid_pinpoints
        shared |= {"vision_feature_layer": -1, "image_grid_pinpoints": pinpoints}
        return LlavaOnevisionConfig(vision_config=vision_config.to_dict(), **shared)
    shared |= {"insert_layer_id": vision_layers // 2, "image_size": TILE_SIZE, "downsample_mode": "4x"}
    return MiniCPMV4_6Config(vision_config=MiniCPMV4_6VisionConfig(**vision).to_dict(), **shared)

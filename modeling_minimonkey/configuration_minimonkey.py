# trf-ignore: TRF028 (the license is in the file LICENSE)
"""Mini-Monkey's configuration: that of InternVL, with InternVL2-2B's defaults and the Scale Compression Mechanism."""

from .transformers_releases import SubConfigSpec  # first: checks Transformers' version


# isort: split
from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, InternVLConfig, InternVLVisionConfig, PreTrainedConfig
from transformers.utils import auto_docstring

from .configuration_checks import (
    check_activation,
    check_built,
    check_implementation,
    check_keep_ratio,
    check_language_model,
    check_names,
    check_part,
    check_settings,
    check_vision_features,
    is_of_a_later_release,
    known_names,
    raises_own_errors,
    shown,
)


# The auto classes, written into every saved config.json so that a Hub folder loads without this package installed.
AUTO_MAP = {
    "AutoConfig": "configuration_minimonkey.MiniMonkeyConfig",
    "AutoModel": "modeling_minimonkey.MiniMonkeyModel",
    "AutoModelForCausalLM": "modeling_minimonkey.MiniMonkeyForConditionalGeneration",
    "AutoModelForImageTextToText": "modeling_minimonkey.MiniMonkeyForConditionalGeneration",
    "AutoModelForMultimodalLM": "modeling_minimonkey.MiniMonkeyForConditionalGeneration",
}

# The language model of InternVL2-2B in Llama's terms, from the `llm_config` of OpenGVLab/InternVL2-2B.
INTERNLM2_1_8B = {
    "vocab_size": 92553,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 32768,
    "rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1000000.0},
}


QUERIES = ("all", "question", "none")  # of scale compression
# Names that people look for here, and where the settings are.
IN_SCALE_COMPRESSION = "It belongs to `scale_compression_config`."
OF_THE_PROCESSOR = "It is a setting of the image processor, in processor_config.json."
_ELSEWHERE = dict.fromkeys(("keep_ratio", "layer", "positions", "queries"), IN_SCALE_COMPRESSION)
_IMAGES = ("min_patches", "max_patches", "detailed_tiles", "adaptive_tiles", "complementarity", "pyramid")
HINTS = _ELSEWHERE | dict.fromkeys(_IMAGES, OF_THE_PROCESSOR)


@raises_own_errors
@auto_docstring(
    custom_intro="""
    Settings of the Scale Compression Mechanism (section 3.3 of https://huggingface.co/papers/2408.02034), which drops
    the detailed image tokens that the rest of the prompt attends to least.
    """
)
@strict
class ScaleCompressionConfig(PreTrainedConfig):
    r"""
    keep_ratio (`float`, *optional*, defaults to 1.0):
        Share of each image's detailed tokens that is kept, above 0 and at most 1: of `n` tokens `int(n * keep_ratio)`,
        at least one. 1.0 turns the mechanism off. The published value is 0.5.
    layer (`int`, *optional*, defaults to 1):
        Index of the language model layer whose attention scores the tokens. The layers before it run in full.
    positions (`str`, *optional*, defaults to `"repack"`):
        `"repack"` numbers the kept tokens without gaps, as published; `"keep"` leaves every token its original
        position id.
    queries (`str`, *optional*, defaults to `"all"`):
        Whose attention scores the tokens. `"all"`: that of all tokens after an image's detailed ones, as published,
        most of which are image tokens. `"question"`: that of the text after them, up to the end of the prompt, later
        turns included; a row that ends with an image is scored as by `"all"`. `"none"`: the length of its feature
        scores a token, without any layer and whatever is asked: caches of a prompt's beginning stay valid.
    """

    model_type = "minimonkey_scale_compression"
    base_config_key = "scale_compression_config"

    keep_ratio: float | int = 1.0
    layer: int = 1
    positions: str = "repack"
    queries: str = "all"

    def __post_init__(self, **kwargs):
        check_settings(kwargs, f"{self.base_config_key}.")
        check_names(kwargs, known_names(type(self)), f"`{self.base_config_key}`", {}, strict=True)
        super().__post_init__(**kwargs)

    def validate_scale_compression(self):
        check_keep_ratio(self.keep_ratio)
        if self.layer < 0:
            raise ValueError(f"`layer` must be the index of a language model layer, 0 or above, got {self.layer}.")
        if self.positions not in ("repack", "keep"):
            raise ValueError(f'`positions` must be "repack" or "keep", got {shown(self.positions)}.')
        if self.queries not in QUERIES:
            raise ValueError(f"`queries` must be one of {', '.join(QUERIES)}, got {shown(self.queries)}.")


@raises_own_errors
@auto_docstring(
    custom_intro="""
    Configuration of [`MiniMonkeyModel`] and [`MiniMonkeyForConditionalGeneration`]. The defaults are those of
    InternVL2-2B, which the published Mini-Monkey was fine-tuned from: the vision tower is InternViT-300M at 448
    pixels, the language model is InternLM2-1.8B, expressed as a Llama. An unknown name, an invalid value or a number
    outside of `configuration_checks.LIMITS` is a `ValueError` or `TypeError` that names the setting, what was given
    and what is allowed.
    """
)
@strict
class MiniMonkeyConfig(InternVLConfig):
    r"""
    image_token_id (`int`, *optional*, defaults to 92546):
        Id of `<IMG_CONTEXT>`, the placeholder of one image token.
    image_seq_length (`int`, *optional*, defaults to 256):
        Image tokens per tile. Must match the vision tower and `downsample_ratio`.
    downsample_ratio (`float`, *optional*, defaults to 0.5):
        Factor by which pixel shuffle shrinks both sides of the patch grid.
    tie_word_embeddings (`bool`, *optional*, defaults to `False`):
        Whether the output layer shares its weights with the input embeddings.
    scale_compression_config (`dict` or `ScaleCompressionConfig`, *optional*):
        Settings of the Scale Compression Mechanism, off by default.
    original_format (`dict`, *optional*):
        Names from the original `internvl_chat` format that a converted checkpoint needs for conversion back.

    Example:

    ```python
    >>> from modeling_minimonkey import MiniMonkeyConfig, MiniMonkeyForConditionalGeneration

    >>> config = MiniMonkeyConfig(scale_compression_config={"keep_ratio": 0.5})
    >>> model = MiniMonkeyForConditionalGeneration(config)
    ```"""

    model_type = "minimonkey"
    sub_configs = {
        "text_config": AutoConfig,
        "vision_config": InternVLVisionConfig,
        "scale_compression_config": ScaleCompressionConfig,
    }
    sub_configs_defaults = {
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="llama"),
        "vision_config": SubConfigSpec(config_class=InternVLVisionConfig),
        "scale_compression_config": SubConfigSpec(config_class=ScaleCompressionConfig),
    }

    scale_compression_config: dict | PreTrainedConfig | None = None
    original_format: dict | None = None
    image_token_id: int = 92546
    tie_word_embeddings: bool = False

    @property
    def keep_ratio(self) -> float:
        """That of `scale_compression_config`; so `from_pretrained(..., keep_ratio=0.5)` sets it."""
        return self.scale_compression_config.keep_ratio

    @keep_ratio.setter
    def keep_ratio(self, keep_ratio: float) -> None:
        self.scale_compression_config.keep_ratio = check_keep_ratio(keep_ratio)

    def __post_init__(self, **kwargs):
        own = {name: value for name, value in vars(self).items() if name not in self.sub_configs}
        check_settings(own | kwargs)
        is_newer = is_of_a_later_release(self.transformers_version)
        if not is_newer:  # other names become attributes, as in the library: trainers write their own
            check_names(kwargs, known_names(type(self)), "The configuration", HINTS, strict=False)
        if self.text_config is None:
            self.text_config = INTERNLM2_1_8B
        if isinstance(self.text_config, dict):
            self.text_config = {"model_type": "llama"} | self.text_config
            check_language_model(self.text_config)
        if self.vision_config is None or isinstance(self.vision_config, dict):
            self.vision_config = {"attention_bias": True} | (self.vision_config or {})
            check_part(self.vision_config, InternVLVisionConfig, "vision_config")
        if self.scale_compression_config is None or isinstance(self.scale_compression_config, dict):
            self.scale_compression_config = ScaleCompressionConfig(**(self.scale_compression_config or {}))
        super().__post_init__(**kwargs)

    @classmethod
    def from_dict(cls, config_dict: dict, **kwargs):
        """
        [`~PreTrainedConfig.from_dict`]. Settings among `kwargs` win, also `keep_ratio`; another name is a `ValueError`
        here, unless it comes through an auto class, which gives a configuration the arguments of others, too.
        """
        for name in ("attn_implementation", "_attn_implementation", "experts_implementation"):
            check_implementation(name, config_dict.get(name))
        if not kwargs.get("return_unused_kwargs"):
            through_an_auto_class = "name_or_path" in kwargs
            names = known_names(cls) | {"keep_ratio", "name_or_path", "return_unused_kwargs", "gguf_file"}
            hints = {} if through_an_auto_class else HINTS
            check_names(kwargs, names, "The configuration", hints, strict=not through_an_auto_class)
        for name in cls.sub_configs:
            if isinstance(kwargs.get(name), dict):  # the library makes it, and checks it afterwards
                check_settings(kwargs[name], f"{name}.")
        loaded = super().from_dict(config_dict, **kwargs)
        (loaded[0] if isinstance(loaded, tuple) else loaded).validate()  # with the settings among `kwargs`
        return loaded

    def validate_parts(self):
        check_built(self.text_config, "text_config")
        check_built(self.vision_config, "vision_config")
        check_activation("projector_hidden_act", self.projector_hidden_act)
        norm_type = self.vision_config.norm_type
        if norm_type not in ("layer_norm", "rms_norm"):
            raise ValueError(f'`vision_config.norm_type` must be "layer_norm" or "rms_norm", got {shown(norm_type)}.')
        for name in ("image_size", "patch_size"):
            if len(size := getattr(self.vision_config, name)) != 2:
                raise ValueError(f"`vision_config.{name}` must be one number or two, got {shown(size)}.")

    def validate_vision_feature_layer(self):
        check_vision_features(self, self.vision_feature_layer, self.vision_feature_select_strategy)

    def validate_original_format(self):
        names = ("architectures", "llm_config.model_type", "template")
        if self.original_format is not None and not set(names) <= self.original_format.keys():
            raise ValueError(f"`original_format` must have the keys {names}, got {shown(self.original_format)}.")

    def validate_image_seq_length(self):
        self.validate_parts()  # first: the sizes are numbers, and none is 0
        vision_config = self.vision_config
        rows, columns = (
            size // patch for size, patch in zip(vision_config.image_size, vision_config.patch_size, strict=True)
        )
        shrink = round(1 / self.downsample_ratio) if 1e-6 < self.downsample_ratio else 0
        if shrink < 1 or 1 / shrink != self.downsample_ratio:
            raise ValueError(f"`downsample_ratio` must be 1 divided by a whole number, got {self.downsample_ratio}.")
        if rows != columns or rows == 0 or rows % shrink:
            raise ValueError(
                f"`vision_config.image_size` {tuple(vision_config.image_size)} and `patch_size` "
                f"{tuple(vision_config.patch_size)} give {rows} x {columns} patches per tile; they must form a square "
                f"whose side is a multiple of {shrink} (1 / `downsample_ratio`)."
            )
        expected = (rows // shrink) ** 2
        if self.image_seq_length != expected:
            raise ValueError(
                f"`image_seq_length` is {self.image_seq_length}, but {rows} x {columns} patches at `downsample_ratio` "
                f"{self.downsample_ratio} give {expected} tokens per tile."
            )

    def validate_image_token_id(self):
        vocab_size = self.get_text_config().vocab_size
        if not 0 <= self.image_token_id < vocab_size:
            raise ValueError(
                f"`image_token_id` is {self.image_token_id}, but `text_config.vocab_size` is {vocab_size}: the id of "
                f"the placeholder must be from 0 to {vocab_size - 1}."
            )

    def validate_scale_compression_layer(self):
        layer, layers = self.scale_compression_config.layer, self.text_config.num_hidden_layers
        if layer >= layers:
            raise ValueError(
                f"`scale_compression_config.layer` is {layer}, but the language model has {layers} layers: it must be "
                f"from 0 to {layers - 1}."
            )

    def save_pretrained(self, save_directory, push_to_hub: bool = False, **kwargs):
        """Save the configuration, with all auto classes in its `auto_map`."""
        self.auto_map = AUTO_MAP | (getattr(self, "auto_map", None) or {})
        super().save_pretrained(save_directory, push_to_hub=push_to_hub, **kwargs)


__all__ = ["MiniMonkeyConfig", "ScaleCompressionConfig"]

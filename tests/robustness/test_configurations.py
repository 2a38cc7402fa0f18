"""Configurations: a config.json, and arguments, that a stranger wrote."""

import copy
import json
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoConfig

from modeling_minimonkey import MiniMonkeyConfig, MiniMonkeyForConditionalGeneration, ScaleCompressionConfig
from modeling_minimonkey.configuration_checks import LIMITS
from tests.robustness.cases import cases, refused, works


HUGE = 10**9
LONGEST = 2.0  # seconds, for any configuration


class Folder:
    """A folder whose config.json may be changed, and what is made of it."""

    def __init__(self, path, content: dict):
        self.path, self.content = path, content

    def load(self, part: str = "", loader=MiniMonkeyConfig, **settings):
        """Load the checkpoint's own config.json with other `settings`, in it or in a `part` of it."""
        content = copy.deepcopy(self.content)
        (content[part] if part else content).update(settings)
        return self.load_text(json.dumps(content), loader)

    def load_text(self, text: str, loader=MiniMonkeyConfig):
        (self.path / "config.json").write_text(text, encoding="utf-8")
        start = time.perf_counter()
        try:
            return loader.from_pretrained(self.path)
        finally:
            assert time.perf_counter() - start < LONGEST


@pytest.fixture(scope="module")
def content(checkpoint) -> dict:
    written = json.loads((checkpoint / "config.json").read_text("utf-8"))
    return written | {"transformers_version": None}  # a file of a later release may have new names


@pytest.fixture
def folder(tmp_path, content) -> Folder:
    return Folder(tmp_path, content)


def nested(levels: int) -> dict:
    settings = {}
    for _ in range(levels):
        settings = {"a": settings}
    return settings


SIZES = [
    ("text_config", "num_hidden_layers"),
    ("text_config", "hidden_size"),
    ("text_config", "intermediate_size"),
    ("text_config", "num_attention_heads"),
    ("text_config", "num_key_value_heads"),
    ("text_config", "head_dim"),
    ("text_config", "vocab_size"),
    ("text_config", "max_position_embeddings"),
    ("vision_config", "num_hidden_layers"),
    ("vision_config", "hidden_size"),
    ("vision_config", "intermediate_size"),
    ("vision_config", "num_attention_heads"),
    ("vision_config", "image_size"),
    ("vision_config", "patch_size"),
    ("vision_config", "num_channels"),
    ("", "image_seq_length"),
]
NO_SIZES = [
    (0, ValueError),
    (-1, ValueError),
    (10**12, ValueError),
    ("64", TypeError),
    (True, TypeError),
    (1.5, TypeError),
    (float("nan"), ValueError),
]


def in_part(part: str, name: str, value, words: str, error: type[Exception] = ValueError):
    return refused(
        f"{part or 'config.json'}: {name:.30} {value!r:.40}", lambda f: f.load(part, **{name: value}), words, error
    )


@cases(
    [
        in_part(part, name, value, f"`{part}.{name}`".replace("`.", "`"), error)
        for part, name in SIZES
        for value, error in NO_SIZES
        if part or value == value  # NaN at the top is a float instead of a whole number, a TypeError
    ]
)
def test_sizes(case, folder):
    case.check(folder)


@cases(
    [
        in_part("text_config", "num_hidden_layers", HUGE, "`text_config.num_hidden_layers` must be from 1 to 2,000"),
        in_part("", "vision_feature_layer", HUGE, "`vision_feature_layer` must be a whole number from -7 to 6"),
        in_part("", "vision_feature_layer", "last", "'last'", TypeError),
        in_part("", "vision_feature_layer", [1, 2], "`vision_feature_layer` must be a whole number"),
        in_part("", "vision_feature_select_strategy", "full", "`vision_feature_select_strategy` must be"),
        in_part("", "downsample_ratio", 0.0, "`downsample_ratio` must be 1 divided by a whole number"),
        in_part("", "downsample_ratio", 1e-300, "`downsample_ratio` must be 1 divided by a whole number"),
        in_part("", "downsample_ratio", float("inf"), "`downsample_ratio` must be 1 divided by a whole number"),
        in_part("", "downsample_ratio", True, "downsample_ratio", TypeError),
        in_part("", "image_token_id", HUGE, "`image_token_id` is 1000000000"),
        in_part("text_config", "rms_norm_eps", float("nan"), "`text_config.rms_norm_eps` must be a number, got nan"),
        in_part("text_config", "rms_norm_eps", float("inf"), "`text_config.rms_norm_eps` must be from 0 to 1"),
        in_part("text_config", "hidden_act", "exec", "`text_config.hidden_act` must be the name of an activation"),
        in_part("", "projector_hidden_act", "exec", "`projector_hidden_act` must be the name of an activation"),
        in_part("vision_config", "norm_type", "none", "`vision_config.norm_type` must be"),
        in_part("vision_config", "image_size", [112], "`vision_config.image_size` must be one number or two"),
        in_part("vision_config", "image_size", [[112]], "`vision_config.image_size[0]` must be a number", TypeError),
        in_part("text_config", "num_key_value_heads", 3, "not a multiple of `num_key_value_heads` 3"),
        in_part("vision_config", "num_attention_heads", 5, "not a multiple of `num_attention_heads` 5"),
        in_part("text_config", "dtype", "load", "`text_config.dtype` must be the name of a dtype"),
        in_part("", "dtype", "os.system", "`dtype` must be the name of a dtype"),
        in_part("text_config", "model_type", "evil", "`text_config.model_type` must be a language model"),
        in_part("text_config", "model_type", ["llama"], "`text_config.model_type` must be a language model"),
        in_part("text_config", "model_type", "minimonkey", "must be a language model alone"),
        in_part("text_config", "rope_parameters", {"rope_type": "evil"}, "`text_config.rope_parameters.rope_type`"),
        in_part("text_config", "rope_parameters", {"rope_theta": 0}, "`text_config.rope_parameters.rope_theta`"),
        in_part("text_config", "rope_parameters", 7, "`text_config.rope_parameters` must be", TypeError),
        in_part("", "text_config", [1], "text_config", TypeError),
        in_part("", "vision_config", "x", "vision_config", TypeError),
        in_part("", "scale_compression_config", 0.5, "scale_compression_config", TypeError),
        in_part("", "id2label", {"a": "b"}, "`id2label` must number the labels"),
        in_part("", "original_format", {"template": "x"}, "`original_format` must have the keys"),
        in_part("", "original_format", nested(300), "is nested deeper than 8 levels"),
        in_part("text_config", "notes", nested(30), "`text_config.notes.a.a.a.a.a.a.a.a` is nested deeper"),
        in_part("", "id2label", dict.fromkeys(range(200_000), "x"), "more than 100,000 values"),
    ]
)
def test_values(case, folder):
    case.check(folder)


@cases(
    [
        in_part("scale_compression_config", "ratio", 0.5, "`scale_compression_config` has no setting 'ratio'"),
        in_part("scale_compression_config", "keep_ration", 0.5, "Did you mean `keep_ratio`?"),
        in_part("scale_compression_config", "x" * 10**6, 0, "(1000000 characters)"),
        in_part("scale_compression_config", "keep_ratio", 0, "`keep_ratio` must be a number above 0"),
        in_part("scale_compression_config", "keep_ratio", float("nan"), "`keep_ratio` must be a number above 0"),
        in_part("scale_compression_config", "keep_ratio", "0.5", "keep_ratio", TypeError),
        in_part("scale_compression_config", "keep_ratio", True, "keep_ratio", TypeError),
        in_part("scale_compression_config", "layer", HUGE, "`scale_compression_config.layer` is 1000000000"),
        in_part("scale_compression_config", "layer", True, "layer", TypeError),
        in_part("scale_compression_config", "positions", "x" * 10**6, "`positions` must be"),
        in_part("text_config", "pad_token_id", 10**19, "`text_config.pad_token_id` must be from -261 to 260"),
        in_part("text_config", "pad_token_id", -262, "`text_config.pad_token_id` must be from -261 to 260"),
        in_part("", "keep_ratio", 0.5, "It belongs to `scale_compression_config`"),
        in_part("", "max_patches", 6, "It is a setting of the image processor"),
        in_part("", "image_tokn_id", 7, "Did you mean `image_token_id`?"),
        in_part("", "image_sequ_length", 16, "Did you mean `image_seq_length`?"),
        in_part("text_config", "num_hidden_layer", 2, "Did you mean `num_hidden_layers`?"),
        in_part("vision_config", "image_sizes", 224, "Did you mean `image_size`?"),
        refused(
            "an argument of from_pretrained that is no setting",
            lambda f: MiniMonkeyConfig.from_pretrained(f.load().name_or_path or f.path, max_patches=6),
            "has no setting 'max_patches'",
        ),
        refused(
            "the same through an auto class, misspelled",
            lambda f: AutoConfig.from_pretrained((f.load(), f.path)[1], keep_ration=0.5),
            "Did you mean `keep_ratio`?",
        ),
        refused(
            "an argument of from_pretrained that does not fit the file",
            lambda f: MiniMonkeyConfig.from_pretrained((f.load(), f.path)[1], image_seq_length=17),
            "`image_seq_length` is 17",
        ),
        refused(
            "a part as an argument of from_pretrained, with 10**9 layers",
            lambda f: MiniMonkeyConfig.from_pretrained((f.load(), f.path)[1], text_config={"num_hidden_layers": HUGE}),
            "`text_config.num_hidden_layers` must be from 1 to 2,000",
        ),
        works(
            "an attribute of a trainer's, set before saving",
            lambda f: (saved_with(f.load(), f.path, note="mine"), MiniMonkeyConfig.from_pretrained(f.path))[1],
            "loaded again, as in the library",
            lambda config, f: config.note == "mine",
        ),
        refused(
            "10**9 layers, set before saving",
            lambda f: saved_with(f.load(), f.path, image_seq_length=64),
            "`image_seq_length` is 64",
        ),
    ]
)
def test_names(case, folder):
    case.check(folder)


def saved_with(config: MiniMonkeyConfig, path, **settings) -> None:
    for name, value in settings.items():
        setattr(config, name, value)
    config.save_pretrained(path)


@cases(
    [
        in_part("text_config", "trust_remote_code", True, "`text_config.trust_remote_code` is an argument"),
        in_part("", "trust_remote_code", True, "`trust_remote_code` is an argument of `from_pretrained`"),
        in_part("text_config", "auto_map", {"AutoConfig": "evil--x.Y"}, "`text_config.auto_map` is a setting of"),
        in_part("vision_config", "auto_map", {"AutoConfig": "evil--x.Y"}, "`vision_config.auto_map` is a setting of"),
        in_part("scale_compression_config", "auto_map", {}, "`scale_compression_config.auto_map` is a setting of"),
        in_part("text_config", "_attn_implementation_internal", "a/b", "`text_config._attn_implementation_internal`"),
        in_part("", "_attn_implementation_internal", "a/b", "`_attn_implementation_internal` is an argument"),
        in_part("text_config", "attn_implementation", "evil/kernel", "names no code of the Hub"),
        in_part("", "attn_implementation", "evil/kernel:f", "names no code of the Hub"),
        in_part("", "_attn_implementation", {"text_config": "evil/kernel"}, "names no code of the Hub"),
        in_part("", "experts_implementation", "evil/kernel", "names no code of the Hub"),
        in_part("", "quantization_config", {"quant_method": "evil"}, "`quantization_config.quant_method` must be"),
        in_part("", "quantization_config", {"quant_method": ["awq"]}, "`quantization_config.quant_method` must be"),
        in_part("", "quantization_config", 7, "`quantization_config.quant_method` must be"),
        in_part("text_config", "quantization_config", {"quant_method": "awq"}, "`text_config.quantization_config`"),
        works(
            "quantization_config of an unknown method, where a model is loaded",
            lambda f: refused_by(lambda: f.load("", MiniMonkeyForConditionalGeneration, quantization_config={"a": 1})),
            "ValueError, before weights are read",
            lambda error, f: isinstance(error, ValueError) and "quant_method" in str(error),
        ),
    ]
)
def test_code(case, folder):
    case.check(folder)


def refused_by(call) -> Exception:
    with pytest.raises(Exception) as raised:
        call()
    return raised.value


@cases(
    [
        works(
            "keep_ratio where a model is loaded",
            lambda f: MiniMonkeyForConditionalGeneration.from_pretrained(f, keep_ratio=0.5).config,
            "the setting of scale compression",
            lambda config, f: config.scale_compression_config.keep_ratio == config.keep_ratio == 0.5,
        ),
        works(
            "keep_ratio as a number of NumPy, configured",
            lambda f: ScaleCompressionConfig(keep_ratio=np.float32(0.5)),
            "a float",
            lambda config, f: type(config.keep_ratio) is float,
        ),
        works(
            "keep_ratio as a number of NumPy, set later",
            lambda f: with_keep_ratio(MiniMonkeyConfig(), np.float32(0.5)),
            "a float that can be saved",
            lambda config, f: type(config.keep_ratio) is float and '"keep_ratio": 0.5' in config.to_json_string(),
        ),
        works(
            "a name that a later release of Transformers wrote",
            lambda f: MiniMonkeyConfig(transformers_version="99.0", invented=1),
            "kept, as the library does",
            lambda config, f: config.invented == 1,
        ),
        works(
            "what trainers write into a configuration",
            lambda f: MiniMonkeyConfig(use_cache=False, pad_token_id=2, torch_dtype="bfloat16", loss_type="x"),
            "a configuration",
            lambda config, f: config.pad_token_id == 2,
        ),
        works(
            "arguments that belong to a tokenizer, through an auto class",
            lambda f: AutoConfig.from_pretrained(f, padding_side="right", use_fast=True),
            "a configuration",
            lambda config, f: isinstance(config, MiniMonkeyConfig),
        ),
    ]
)
def test_what_goes_on_working(case, checkpoint):
    case.check(checkpoint)


def with_keep_ratio(config: MiniMonkeyConfig, keep_ratio) -> MiniMonkeyConfig:
    config.keep_ratio = keep_ratio
    return config


NUMBERS = st.one_of(
    st.integers(),
    st.integers(-3, 300),
    st.sampled_from([0, -1, 2**31, 2**63, HUGE, 10**400]),
    st.floats(),
    st.booleans(),
    st.none(),
)
VALUES = st.recursive(
    NUMBERS | st.text(max_size=20) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
PARTS = ["", "text_config", "vision_config", "scale_compression_config"]
OTHERS = ["auto_map", "dtype", "torch_dtype", "id2label", "label2id", "num_labels", "rope_parameters", "rope_scaling"]
OTHERS += [
    "model_type",
    "architectures",
    "per_layer_config",
    "layer_types",
    "attn_implementation",
    "output_attentions",
]
OTHERS += [
    "keep_ratio",
    "layer",
    "positions",
    "image_token_id",
    "downsample_ratio",
    "vision_feature_layer",
    *PARTS[1:],
]
OTHERS += [
    "quantization_config",
    "trust_remote_code",
    "is_encoder_decoder",
    "hidden_act",
    "problem_type",
    "name_or_path",
]
KEYS = st.sampled_from(sorted([*LIMITS, *OTHERS])) | st.text(max_size=12)
LANGUAGE_MODELS = st.sampled_from(["llama", "qwen2", "phi3", "gpt2", "gemma3_text", "mamba", "bert", "t5", "clip"])
CHANGES = st.lists(st.tuples(st.sampled_from(PARTS), KEYS, VALUES), min_size=1, max_size=4)


def check_random(content: dict, changes: list, model_type: str) -> None:
    settings = copy.deepcopy(content)
    settings["text_config"]["model_type"] = model_type
    for part, key, value in changes:
        target = settings.get(part, {}) if part else settings
        if isinstance(target, dict):
            target[key] = value
    start = time.perf_counter()
    try:
        MiniMonkeyConfig(**settings)
    except (ValueError, TypeError) as error:
        assert type(error) in (ValueError, TypeError), type(error)
        assert len(str(error)) <= 600
    assert time.perf_counter() - start < LONGEST


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(changes=CHANGES, model_type=LANGUAGE_MODELS)
def test_random_settings(content, changes, model_type):
    """300 configurations with random names and values: a configuration, or ValueError or TypeError, in two seconds"""
    check_random(content, changes, model_type)


@pytest.mark.slow
@settings(max_examples=2_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(changes=CHANGES, model_type=LANGUAGE_MODELS)
def test_more_random_settings(content, changes, model_type):
    """2,000 more of them, others in each run: a configuration, or ValueError or TypeError, in two seconds"""
    check_random(content, changes, model_type)

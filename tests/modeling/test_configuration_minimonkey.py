"""The configuration: defaults of InternVL2-2B, checks, saving."""

import json

import pytest
from transformers import AutoConfig, LlamaConfig, Phi3Config, Qwen2Config

from modeling_minimonkey import MiniMonkeyConfig, MiniMonkeyForConditionalGeneration, ScaleCompressionConfig


def test_defaults_are_those_of_internvl2_2b():
    config = MiniMonkeyConfig()
    text, vision = config.text_config, config.vision_config
    assert isinstance(text, LlamaConfig)
    assert (text.vocab_size, text.hidden_size, text.intermediate_size) == (92553, 2048, 8192)
    assert (text.num_hidden_layers, text.num_attention_heads, text.num_key_value_heads) == (24, 16, 8)
    assert (text.rms_norm_eps, text.attention_bias, text.mlp_bias) == (1e-5, False, False)
    assert text.rope_parameters == {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e6}
    assert text.max_position_embeddings == 32768
    assert (vision.hidden_size, vision.num_hidden_layers, vision.attention_bias) == (1024, 24, True)
    assert (tuple(vision.image_size), tuple(vision.patch_size)) == ((448, 448), (14, 14))
    assert (config.image_token_id, config.image_seq_length, config.downsample_ratio) == (92546, 256, 0.5)
    assert config.tie_word_embeddings is False
    assert config.scale_compression_config.to_diff_dict() == ScaleCompressionConfig().to_diff_dict()
    assert (config.scale_compression_config.keep_ratio, config.scale_compression_config.layer) == (1.0, 1)
    assert config.scale_compression_config.positions == "repack"


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"vision_config": {"attention_bias": False, "num_hidden_layers": 3}},
        {"vision_config": {"hidden_size": 64}},
        {"text_config": {"model_type": "qwen2", "vocab_size": 200000}, "image_token_id": 151667},
        {"text_config": {"model_type": "phi3"}, "image_token_id": 32000},
        {"scale_compression_config": {"keep_ratio": 0.5, "layer": 3, "positions": "keep"}},
        {"scale_compression_config": ScaleCompressionConfig(keep_ratio=0.25)},
        {"tie_word_embeddings": True},
        {"vision_config": {"image_size": 112, "patch_size": 14}, "image_seq_length": 16},
        {"downsample_ratio": 1.0, "image_seq_length": 1024},
        {"downsample_ratio": 0.25, "image_seq_length": 64},
    ],
    ids=str,
)
def test_saved_and_loaded(tmp_path, kwargs):
    config = MiniMonkeyConfig(**kwargs)
    config.save_pretrained(tmp_path)
    loaded = AutoConfig.from_pretrained(tmp_path)
    assert type(loaded) is MiniMonkeyConfig
    loaded.name_or_path = config.name_or_path
    assert json.loads(loaded.to_json_string(use_diff=False)) == json.loads(config.to_json_string(use_diff=False))
    assert isinstance(loaded.scale_compression_config, ScaleCompressionConfig)


def test_partial_vision_config_keeps_the_attention_biases():
    assert MiniMonkeyConfig(vision_config={"num_hidden_layers": 3}).vision_config.attention_bias is True
    assert MiniMonkeyConfig(vision_config={"attention_bias": False}).vision_config.attention_bias is False


def test_language_models():
    assert isinstance(MiniMonkeyConfig(text_config={"vocab_size": 92553}).text_config, LlamaConfig)
    text_config = {"model_type": "qwen2", "vocab_size": 200000}
    assert isinstance(MiniMonkeyConfig(text_config=text_config).text_config, Qwen2Config)
    assert isinstance(MiniMonkeyConfig(text_config=Phi3Config(vocab_size=92553)).text_config, Phi3Config)


def test_an_older_file_without_scale_compression_loads(tmp_path):
    MiniMonkeyConfig().save_pretrained(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text("utf-8"))
    del written["scale_compression_config"]
    (tmp_path / "config.json").write_text(json.dumps(written), "utf-8")
    assert AutoConfig.from_pretrained(tmp_path).scale_compression_config.keep_ratio == 1.0


def test_saved_auto_map_is_complete(tmp_path):
    config = MiniMonkeyConfig()
    config.auto_map = {"AutoProcessor": "processing_minimonkey.MiniMonkeyProcessor"}
    config.save_pretrained(tmp_path)
    auto_map = json.loads((tmp_path / "config.json").read_text("utf-8"))["auto_map"]
    assert auto_map == {
        "AutoConfig": "configuration_minimonkey.MiniMonkeyConfig",
        "AutoModel": "modeling_minimonkey.MiniMonkeyModel",
        "AutoModelForCausalLM": "modeling_minimonkey.MiniMonkeyForConditionalGeneration",
        "AutoModelForImageTextToText": "modeling_minimonkey.MiniMonkeyForConditionalGeneration",
        "AutoModelForMultimodalLM": "modeling_minimonkey.MiniMonkeyForConditionalGeneration",
        "AutoProcessor": "processing_minimonkey.MiniMonkeyProcessor",
    }
    assert (tmp_path / "configuration_minimonkey.py").is_file()


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"image_seq_length": 255}, "`image_seq_length` is 255, but 32 x 32 patches .* give 256 tokens per tile"),
        ({"vision_config": {"image_size": 224}}, "`image_seq_length` is 256, but 16 x 16 patches .* give 64"),
        ({"downsample_ratio": 0.25}, "`image_seq_length` is 256, .* give 64 tokens per tile"),
        ({"downsample_ratio": 0.3}, "`downsample_ratio` must be 1 divided by a whole number, got 0.3"),
        ({"downsample_ratio": 0.0}, "`downsample_ratio` must be 1 divided by a whole number, got 0.0"),
        ({"downsample_ratio": 2.0}, "`downsample_ratio` must be 1 divided by a whole number, got 2.0"),
        ({"vision_config": {"image_size": (448, 224)}}, "32 x 16 patches per tile; they must form a square"),
        ({"vision_config": {"image_size": 42}}, "3 x 3 patches per tile; .* side is a multiple of 2"),
        ({"image_token_id": 92553}, "`image_token_id` is 92553, .* from 0 to 92552"),
        ({"image_token_id": -1}, "`image_token_id` is -1, .* from 0 to 92552"),
        ({"image_token_id": "<IMG_CONTEXT>"}, "image_token_id"),
        ({"scale_compression_config": {"keep_ratio": 0.0}}, "`keep_ratio` must be a number above 0 .* got 0.0"),
        ({"scale_compression_config": {"keep_ratio": 1.5}}, "`keep_ratio` must be a number above 0 .* got 1.5"),
        ({"scale_compression_config": {"keep_ratio": float("nan")}}, "`keep_ratio` must be .* got nan"),
        ({"scale_compression_config": {"keep_ratio": "half"}}, "keep_ratio"),
        ({"scale_compression_config": {"layer": -1}}, "`layer` must be .* 0 or above, got -1"),
        ({"scale_compression_config": {"layer": 24}}, "`scale_compression_config.layer` is 24, .* from 0 to 23"),
        ({"scale_compression_config": {"positions": "pack"}}, '`positions` must be "repack" or "keep", got \'pack\''),
    ],
    ids=str,
)
def test_bad_values(kwargs, message):
    with pytest.raises((TypeError, ValueError), match=message):
        MiniMonkeyConfig(**kwargs)


def test_values_are_checked_again_on_saving(tmp_path):
    config = MiniMonkeyConfig()
    config.image_seq_length = 64
    with pytest.raises(ValueError, match="`image_seq_length` is 64"):
        config.save_pretrained(tmp_path)


def test_keep_ratio_is_set_where_the_model_is_loaded(repository):
    folder = repository / "checkpoints" / "minimonkey-tiny"
    assert MiniMonkeyConfig.from_pretrained(folder).keep_ratio == 1.0
    config = MiniMonkeyConfig.from_pretrained(folder, keep_ratio=0.5)
    assert config.keep_ratio == config.scale_compression_config.keep_ratio == 0.5
    assert "keep_ratio" not in config.to_dict() and MiniMonkeyConfig(**config.to_dict()).keep_ratio == 0.5
    model = MiniMonkeyForConditionalGeneration.from_pretrained(folder, keep_ratio=0.25)
    assert model.config.scale_compression_config.keep_ratio == 0.25
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        MiniMonkeyConfig.from_pretrained(folder, keep_ratio=2)

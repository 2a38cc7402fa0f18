"""config.json of the original format, read and written."""

import json
import re

import pytest

from modeling_minimonkey import MiniMonkeyConfig
from modeling_minimonkey.conversion.config import check_same_model, convert_config, read_config, revert_config
from tests.modeling.conversion.checkpoint_edits import edit_config


LONGROPE = {"type": "su", "short_factor": [1.0] * 8, "long_factor": [1.5] * 8}
FAMILIES = {
    "internlm2": ("internlm2-chat", {}),
    "internlm2_with_bias": ("internlm2-chat", {"model_type": "internlm2", "bias": True, "rope_scaling": None}),
    "qwen2": ("Hermes-2", {"model_type": "qwen2", "rope_scaling": None, "sliding_window": 32768}),
    "llama": ("Hermes-2", {"model_type": "llama", "rope_scaling": {"type": "linear", "factor": 4.0}}),
    "llama_with_bias": ("internlm2-chat", {"model_type": "llama", "rope_scaling": None, "attention_bias": True}),
    "phi3": (
        "phi3-chat",
        {"model_type": "phi3", "rope_scaling": LONGROPE, "original_max_position_embeddings": 512, "pad_token_id": 1},
    ),
    "phi3_short": ("phi3-chat", {"model_type": "phi3", "rope_scaling": None, "sliding_window": 2047}),
}


@pytest.fixture(params=FAMILIES)
def original(request, source):
    template, values = FAMILIES[request.param]
    edit_config(source, template=template)
    names = {"qwen2": "Qwen2", "llama": "Llama", "phi3": "Phi3"}
    if values:
        values = {"architectures": [names.get(values["model_type"], "InternLM2") + "ForCausalLM"]} | values
    edit_config(source, "llm_config", **values)
    return read_config(source)


def test_written_back_it_says_the_same(original, tmp_path):
    convert_config(original, 515).save_pretrained(tmp_path)
    written = revert_config(MiniMonkeyConfig.from_pretrained(tmp_path))
    sections = {"": (original, written)} | {
        name: (original[name], written[name]) for name in ("llm_config", "vision_config")
    }
    for section, (before, after) in sections.items():
        for name in after.keys() & before.keys() - {"llm_config", "vision_config", "torch_dtype", "sliding_window"}:
            assert after[name] == before[name], (section, name)
    assert convert_config(written, 515).to_dict() == convert_config(original, 515).to_dict()
    assert json.loads(json.dumps(written)) == written


def test_longrope_is_named_and_scaled(source):
    template, values = FAMILIES["phi3"]
    edit_config(source, template=template)
    edit_config(source, "llm_config", **values)
    text_config = convert_config(read_config(source), 515).text_config
    assert text_config.rope_parameters["rope_type"] == "longrope"
    assert text_config.rope_parameters["long_factor"] == [1.5] * 8
    assert text_config.original_max_position_embeddings == 512


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config.text_config.rope_parameters.update(rope_type="yarn"),
        lambda config: setattr(config.text_config, "mlp_bias", True),
        lambda config: setattr(config.text_config, "head_dim", 32),
        lambda config: setattr(config.vision_config, "use_mean_pooling", False),
        lambda config: setattr(config, "projector_hidden_act", "relu"),
    ],
    ids=["rope", "mlp_bias", "head_dim", "final_norm", "projector"],
)
def test_settings_without_a_place_in_the_original_format_are_refused(source, change):
    config = convert_config(read_config(source), 515)
    change(config)
    with pytest.raises(ValueError, match="original format can't hold"):
        revert_config(config)


def test_what_training_changes_in_a_config_is_no_obstacle(source):
    original = read_config(source)
    config = convert_config(original, 515)
    config.text_config.use_cache = False
    config.scale_compression_config.keep_ratio = 0.5
    check_same_model(original, config)
    config.text_config.vocab_size += 8
    assert revert_config(config)["llm_config"]["vocab_size"] == 529
    with pytest.raises(ValueError, match=re.escape("{'text_config.vocab_size': (521, 529)}")):
        check_same_model(original, config)


def test_models_that_were_never_converted_have_no_original_format(source):
    config = convert_config(read_config(source), 515)
    config.original_format = None
    with pytest.raises(ValueError, match="not converted from an original checkpoint"):
        revert_config(config)


@pytest.mark.parametrize(
    "section, values, message",
    [
        (None, {"model_type": "llava"}, "'llava' as `model_type` in config.json, it must be one of ['internvl_chat']"),
        (None, {"ps_version": "v1"}, "'v1' as `ps_version` in config.json, it must be 'v2'"),
        (None, {"ps_version": None}, "None as `ps_version` in config.json, it must be 'v2'"),
        (None, {"template": "vicuna"}, "must be one of ['Hermes-2', 'internlm2-chat', 'phi3-chat']"),
        (None, {"force_image_size": 112}, "`force_image_size` 112"),
        (None, {"select_layer": 0}, "`select_layer` 0, it must be from 1 to 2"),
        (None, {"select_layer": -3}, "`select_layer` -3, it must be"),
        ("vision_config", {"qk_normalization": True, "layer_norm_eps": 1e-5}, "`layer_norm_eps` 1e-05"),
        (None, {"llm_config": None}, "None as `llm_config` in config.json"),
        ("llm_config", {"model_type": "gemma"}, "'gemma' as `model_type` in llm_config, it must be one of ['internlm"),
        ("llm_config", {"rope_scaling": {"type": "yarn", "factor": 2.0}}, "'yarn' as `type`"),
        ("llm_config", {"rope_scaling": {"type": "dynamic"}}, "no ['factor'] in llm_config.rope_scaling"),
    ],
)
def test_checkpoints_of_another_kind_are_refused(source, section, values, message):
    edit_config(source, section, **values)
    with pytest.raises(ValueError, match=re.escape(message)):
        convert_config(read_config(source), 515)


def test_incomplete_and_mistyped_configs_are_refused(source):
    config = json.loads((source / "config.json").read_text())
    del config["llm_config"]["rms_norm_eps"], config["llm_config"]["rope_theta"]
    (source / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=re.escape("no ['rms_norm_eps', 'rope_theta'] in llm_config")):
        read_config(source)
    edit_config(source, "llm_config", rms_norm_eps=1e-5, rope_theta=1e6, num_hidden_layers="4")
    with pytest.raises(ValueError, match="num_hidden_layers"):
        convert_config(read_config(source), 515)
    for content in (b"{", b"[]", b"\xff\xfe"):
        (source / "config.json").write_bytes(content)
        with pytest.raises(ValueError, match="config.json"):
            read_config(source)
    (source / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match="config.json"):
        read_config(source)

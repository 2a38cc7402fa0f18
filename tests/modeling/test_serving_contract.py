"""
What the Transformers backends of vLLM and SGLang ask of a custom multimodal model, on the small checkpoint.

Stated by vLLM's docs/models/supported_models.md ("Custom models", "Writing custom models") and by what
vllm/model_executor/models/transformers/base.py and multimodal.py call (0.33); by SGLang's
docs/supported_models/transformers_fallback.md and python/sglang/srt/models/transformers/base.py and multimodal.py
(0.5.23). Both build `AutoModel` without weights and put their own attention in; vLLM puts the features of each image
in their places by itself.
"""

from fnmatch import fnmatchcase
from operator import attrgetter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors import safe_open
from torch import nn
from transformers import AttentionInterface, AutoConfig, AutoModel, AutoProcessor
from transformers.conversion_mapping import WeightRenaming, get_model_conversion_mapping
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from modeling_minimonkey import MiniMonkeyModel


PROMPT = "<|im_start|>user\n<IMG_CONTEXT>\nRead <IMG_CONTEXT> both.<|im_end|><|im_start|>assistant\n"
# Each is what a server takes as `--mm-processor-kwargs`
SETTINGS = [
    {},
    {"pyramid": "docvqa"},
    {"pyramid": "multi_image"},
    {"adaptive_tiles": None},
    {"detailed_tiles": [2, 9], "complementarity": "joint"},
]


@pytest.fixture
def model(checkpoint):
    return MiniMonkeyModel.from_pretrained(checkpoint, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def images(page):
    return [page, page.crop((0, 0, page.width // 3, page.height))]


@pytest.fixture
def calls():
    """Who called the attention function named "recorder", and with which arguments."""
    calls = []

    def recorder(module, query, key, value, attention_mask, **kwargs):
        calls.append((module, kwargs))
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)

    AttentionInterface.register("recorder", recorder)
    yield calls
    AttentionInterface._global_mapping.pop("recorder")


class TestModel:
    def test_auto_model_is_the_base_model(self, checkpoint):
        config = AutoConfig.from_pretrained(checkpoint, trust_remote_code=True)
        with torch.device("meta"):
            built = AutoModel.from_config(config, trust_remote_code=True)
        loaded = AutoModel.from_pretrained(checkpoint, trust_remote_code=True)
        assert type(built).__name__ == type(loaded).__name__ == "MiniMonkeyModel"
        assert built._supports_attention_backend

    def test_weights_need_no_conversion(self, checkpoint, model):
        """Both rename weights at most: "model." and a name of the base model, or the head."""
        with safe_open(checkpoint / "model.safetensors", "pt") as file:
            names = set(file.keys())
        assert names == {f"model.{name}" for name in model.state_dict()} | {"lm_head.weight"}
        assert {type(mapping) for mapping in get_model_conversion_mapping(model)} <= {WeightRenaming}

    def test_language_model_and_tower_are_found(self, model):
        assert model.get_decoder() is model.language_model
        assert model.get_encoder(modality="image") is model.vision_tower
        assert type(model.get_encoder(modality="video")) is type(model.vision_tower)
        assert model.get_encoder(modality="audio") is model

    @pytest.mark.parametrize("family", ["llama", "qwen2", "phi3"])
    def test_plans_name_what_exists(self, tiny_config_factory, family):
        with torch.device("meta"):
            model = MiniMonkeyModel(tiny_config_factory(family))
        layers = [name for name, module in model.named_modules() if isinstance(module, (nn.Linear, nn.Embedding))]
        for pattern in model.tp_plan:
            found = [name for name in layers if fnmatchcase(name, pattern)]
            assert len(found) == (model.config.text_config.num_hidden_layers if "*" in pattern else 1), pattern
        planned = {name for name in layers if any(fnmatchcase(name, pattern) for pattern in model.tp_plan)}
        decoder = {name for name in layers if name.startswith("language_model.")}
        assert decoder - planned <= {"language_model.embed_tokens"}  # planned, too, in later releases
        assert planned <= decoder

        assert model.supports_pp_plan
        parts = [attrgetter(name)(model) for name in model._pp_plan]
        assert [type(part) for part in parts if isinstance(part, nn.ModuleList)] == [nn.ModuleList]
        held = {id(parameter) for part in parts for parameter in part.parameters()}
        assert held == {id(parameter) for parameter in model.language_model.parameters()}

    @torch.no_grad()
    def test_a_registered_attention_is_called_with_what_forward_got(self, model, calls):
        ids, marker = torch.arange(10, 22)[None], object()
        expected = model(input_ids=ids).last_hidden_state
        model.config.text_config._attn_implementation = "recorder"
        found = model(input_ids=ids, use_cache=False, return_dict=False, attention_instances=marker)[0]
        assert [module for module, _ in calls] == [layer.self_attn for layer in model.language_model.layers]
        assert [module.layer_idx for module, _ in calls] == list(range(len(calls)))
        assert all(kwargs["attention_instances"] is marker and module.is_causal for module, kwargs in calls)
        torch.testing.assert_close(found, expected)

    @torch.no_grad()
    def test_the_tower_attends_both_ways(self, model, trained_processor, images, calls):
        inputs = trained_processor(images=images, text=PROMPT, return_tensors="pt")
        expected = model.get_image_features(inputs["pixel_values"]).pooler_output
        model.config.vision_config._attn_implementation = "recorder"
        found = model.get_image_features(inputs["pixel_values"], tile_levels=inputs["tile_levels"]).pooler_output
        assert len(calls) == len(model.vision_tower.encoder.layer)
        assert all(module.is_causal is False and kwargs["is_causal"] is False for module, kwargs in calls)
        torch.testing.assert_close(found, expected)


class TestProcessor:
    @settings(deadline=None, max_examples=60)
    @given(
        sizes=st.lists(st.tuples(st.integers(1, 400), st.integers(1, 400)), min_size=1, max_size=3),
        options=st.sampled_from(SETTINGS),
    )
    def test_counts_are_those_of_what_is_made(self, trained_processor, sizes, options):
        counts = trained_processor._get_num_multimodal_tokens(image_sizes=sizes, **options)
        batch = [Image.new("RGB", (width, height)) for height, width in sizes]
        made = trained_processor(
            images=batch,
            text="a" + "<IMG_CONTEXT>" * len(batch),
            return_mm_token_type_ids=True,
            return_tensors="pt",
            **options,
        )
        assert sum(counts["num_image_tokens"]) == int((made["mm_token_type_ids"] == 1).sum())
        assert sum(counts["num_image_patches"]) == made["pixel_values"].shape[0]
        rows = [
            trained_processor(images=image, text="<IMG_CONTEXT>", return_mm_token_type_ids=True, **options)
            for image in batch
        ]
        assert [sum(row["mm_token_type_ids"][0]) for row in rows] == counts["num_image_tokens"]
        assert [len(row["pixel_values"]) for row in rows] == counts["num_image_patches"]

    def test_every_image_tensor_has_a_row_per_tile(self, trained_processor, images):
        options = {"return_mm_token_type_ids": True, "return_text_replacement_offsets": True, "return_tensors": "pt"}
        inputs = trained_processor(images=images, text=PROMPT, truncation=False, add_special_tokens=False, **options)
        text = {"input_ids", "attention_mask", "mm_token_type_ids", "text_replacement_offsets"}
        assert (
            inputs.keys() - text
            == {"pixel_values", "tile_levels"}
            == set(trained_processor.image_processor.model_input_names)
        )
        counts = trained_processor._get_num_multimodal_tokens(
            image_sizes=[(image.height, image.width) for image in images]
        )
        assert {len(inputs[name]) for name in inputs.keys() - text} == {sum(counts["num_image_patches"])}

    def test_offsets_rebuild_the_prompt_without_images(self, trained_processor, images):
        """vLLM writes the replacement of each image into the ids of the short prompt, and caches it by image."""
        options = {"return_mm_token_type_ids": True, "return_text_replacement_offsets": True}
        inputs = trained_processor(images=images, text=PROMPT, **options)
        (offsets,) = inputs["text_replacement_offsets"]
        encode = trained_processor.tokenizer.encode
        (target,) = encode(trained_processor.image_token, add_special_tokens=False)
        counts = trained_processor._get_num_multimodal_tokens(
            image_sizes=[(image.height, image.width) for image in images]
        )
        replacements = [encode(entry["replacement"], add_special_tokens=False) for entry in offsets]
        assert [entry["type"] for entry in offsets] == ["image", "image"]
        assert [len(ids) for ids in replacements] == counts["num_image_tokens"]
        for ids in replacements:  # the token that is repeated is the one that holds the features
            assert torch.tensor(ids).mode().values == target == trained_processor.image_token_id
        left, rebuilt = iter(replacements), []
        for token in encode(PROMPT, add_special_tokens=False):
            rebuilt += next(left) if token == target else [token]
        assert rebuilt == inputs["input_ids"][0]

    @pytest.mark.parametrize("options", SETTINGS, ids=str)
    def test_settings_are_taken_when_loading_and_again_when_calling(self, checkpoint, images, options):
        """vLLM gives `mm_processor_kwargs` to both."""
        processor = AutoProcessor.from_pretrained(checkpoint, trust_remote_code=True, **options)
        plain = AutoProcessor.from_pretrained(checkpoint, trust_remote_code=True)
        made = processor(images=images, text=PROMPT, **options)
        assert made["input_ids"] == plain(images=images, text=PROMPT, **options)["input_ids"]
        sizes = [(image.height, image.width) for image in images]
        assert processor._get_num_multimodal_tokens(image_sizes=sizes) == plain._get_num_multimodal_tokens(
            image_sizes=sizes, **options
        )

    @pytest.mark.parametrize("kind", ["tiny", "published"])
    def test_the_image_on_which_memory_is_measured_is_taken(self, checkpoint, kind):
        """vLLM's is 10,000 x 10,000 wherever `size` is not the whole story."""
        options = {} if kind == "tiny" else {"pyramid": "default", "size": {"height": 448, "width": 448}}
        processor = AutoProcessor.from_pretrained(checkpoint, trust_remote_code=True, **options)
        sizes = [tuple(processor.image_processor.size[side] for side in ("height", "width")), (10_000, 10_000)]
        counts = processor._get_num_multimodal_tokens(image_sizes=sizes)["num_image_patches"]
        assert counts[1] >= counts[0]
        image = Image.new("RGB", (10_000, 10_000))
        assert len(processor(images=image, text="<IMG_CONTEXT>")["pixel_values"]) == counts[1]


@torch.no_grad()
def test_images_encoded_one_by_one_give_the_logits_of_one_call(trained_model, trained_processor, images):
    """What vLLM does with images: split the rows, encode, split the features, put them in, run on embeddings."""
    inputs = trained_processor(images=images, text=PROMPT, return_tensors="pt")
    expected = trained_model(**inputs).logits
    sizes = [(image.height, image.width) for image in images]
    tiles = trained_processor._get_num_multimodal_tokens(image_sizes=sizes)["num_image_patches"]
    tokens = [number * trained_processor.image_seq_length for number in tiles]

    together = trained_model.model.get_image_features(inputs["pixel_values"]).pooler_output.flatten(0, 1)
    features = []
    for pixel_values, levels in zip(
        inputs["pixel_values"].split(tiles), inputs["tile_levels"].split(tiles), strict=True
    ):
        features.append(
            trained_model.model.get_image_features(pixel_values, tile_levels=levels).pooler_output.flatten(0, 1)
        )
    assert [len(feature) for feature in features] == tokens
    for alone, beside_others in zip(features, together.split(tokens), strict=True):
        torch.testing.assert_close(alone, beside_others)

    input_ids = inputs["input_ids"]
    embeds = trained_model.model.get_input_embeddings()(input_ids)
    embeds[input_ids == trained_processor.image_token_id] = torch.cat(features)
    positions = torch.arange(input_ids.shape[1])[None]
    hidden = trained_model.model(inputs_embeds=embeds, position_ids=positions, use_cache=False, return_dict=False)[0]
    torch.testing.assert_close(trained_model.lm_head(hidden), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_an_engine_that_would_keep_all_tokens_in_silence_is_refused(checkpoint, engine):
    """Both put their attention into the configuration before they build the model."""
    config = AutoConfig.from_pretrained(checkpoint)
    AttentionInterface.register(engine, sdpa_attention_forward)
    try:
        config.text_config._attn_implementation = engine
        with torch.device("meta"):
            AutoModel.from_config(config)
            config.scale_compression_config.keep_ratio = 0.5
            with pytest.raises(ValueError, match="`keep_ratio` is 0.5, but this engine keeps all tokens"):
                AutoModel.from_config(config)
            config.text_config._attn_implementation = "sdpa"
            AutoModel.from_config(config)
    finally:
        AttentionInterface._global_mapping.pop(engine)

"""The model without compression: the published outputs, and what a Transformers model promises."""

import json

import pytest
import torch
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoModelForMultimodalLM,
    InternVLForConditionalGeneration,
    InternVLModel,
)

from modeling_minimonkey import MiniMonkeyForConditionalGeneration, MiniMonkeyModel
from tests.modeling.compilers import compiled
from tests.recorded import CASES


@pytest.fixture(scope="module")
def model(tiny_model):
    return tiny_model()


@pytest.fixture(scope="module")
def inputs(make_inputs):
    inputs = make_inputs([3, "00012", 4, "002", 6], [5], [2, "12", 7])
    del inputs["tile_levels"]
    return inputs


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_model):
    folder = tmp_path_factory.mktemp("model")
    tiny_model(scale_compression_config={"keep_ratio": 0.25, "positions": "keep"}).save_pretrained(folder)
    return folder


def greedy(model, steps=16, **inputs):
    sequences = model.generate(**inputs, max_new_tokens=steps, do_sample=False)
    return sequences[:, inputs["input_ids"].shape[1] :].tolist()


class TestPublishedOutputs:
    @pytest.mark.parametrize("name", CASES)
    @torch.no_grad()
    def test_language_model(self, recorded, name):
        arrays = recorded.arrays(name)
        logits = recorded.model(inputs_embeds=arrays["input_embeds"][None]).logits[0, arrays["logits_positions"]]
        torch.testing.assert_close(logits, arrays["logits"], rtol=0, atol=1e-4)

    @pytest.mark.parametrize("name", CASES)
    @torch.no_grad()
    def test_vision_tower_and_projector(self, recorded, name):
        arrays = recorded.arrays(name)
        features = recorded.model.get_image_features(arrays["pixel_values"])
        if "vit_last_hidden" in arrays:
            torch.testing.assert_close(features.last_hidden_state, arrays["vit_last_hidden"], rtol=0, atol=5e-5)
        torch.testing.assert_close(features.pooler_output, arrays["vit_embeds"], rtol=0, atol=5e-5)

    @pytest.mark.parametrize("name", CASES)
    @torch.no_grad()
    def test_end_to_end(self, recorded, name):
        arrays = recorded.arrays(name)
        inputs = {"input_ids": arrays["input_ids"][None], "pixel_values": arrays["pixel_values"]}
        logits = recorded.model(**inputs).logits[0, arrays["logits_positions"]]
        torch.testing.assert_close(logits, arrays["logits"], rtol=0, atol=2e-3)
        assert greedy(recorded.model, **inputs) == [arrays["greedy_ids"].tolist()]

    @torch.no_grad()
    def test_text_only(self, recorded):
        arrays = recorded.extra_arrays
        input_ids = arrays["text_only.input_ids"][None]
        logits = recorded.model(input_ids).logits[0, arrays["text_only.logits_positions"]]
        torch.testing.assert_close(logits, arrays["text_only.logits"], rtol=0, atol=1e-4)
        assert greedy(recorded.model, input_ids=input_ids) == [arrays["text_only.greedy_ids"].tolist()]

    @pytest.mark.parametrize("name", ["multi_turn", "two_images"])
    def test_several_turns_or_images(self, recorded, name):
        input_ids = recorded.extra_arrays[f"{name}.input_ids"][None]
        expected = [recorded.extra_arrays[f"{name}.greedy_ids"].tolist()]
        assert greedy(recorded.model, input_ids=input_ids, pixel_values=recorded.extra_pixels(name)) == expected

    def test_batch(self, recorded):
        arrays = recorded.extra_arrays
        inputs = {"input_ids": arrays["batch.input_ids"], "attention_mask": arrays["batch.attention_mask"]}
        inputs["pixel_values"] = recorded.extra_pixels("batch")
        recorded.model.generation_config.pad_token_id = recorded.extra["batch"]["pad_token_id"]
        assert greedy(recorded.model, **inputs) == arrays["batch.greedy_ids"].tolist()

    @torch.no_grad()
    def test_dynamic_rope(self, recorded):
        if "ntk" not in recorded.extra:
            assert recorded.model.config.text_config.rope_parameters["rope_type"] == "default"
            return
        model = recorded.model
        config = type(model.config).from_dict(model.config.to_dict())
        config.text_config.max_position_embeddings = 64
        config._attn_implementation = "eager"
        long = MiniMonkeyForConditionalGeneration(config).eval()
        long.load_state_dict(model.state_dict())
        long.generation_config = model.generation_config
        inputs = recorded.arrays(recorded.extra["ntk"]["case"])
        inputs = {"input_ids": inputs["input_ids"][None], "pixel_values": inputs["pixel_values"]}
        arrays = recorded.extra_arrays
        logits = long(**inputs).logits[0, arrays["ntk.logits_positions"]]
        torch.testing.assert_close(logits, arrays["ntk.logits"], rtol=0, atol=2e-3)
        assert greedy(long, **inputs) == [arrays["ntk.greedy_ids"].tolist()]


class TestInputs:
    @pytest.mark.parametrize("padding_side", ["left", "right"])
    @pytest.mark.parametrize("attention", ["eager", "sdpa", pytest.param("flex_attention", marks=compiled)])
    @torch.no_grad()
    def test_rows_of_a_batch_are_independent(self, tiny_model, make_inputs, single_rows, attention, padding_side):
        inputs = make_inputs([3, "00012", 4, "002", 6], [5], [2, "12", 7], padding_side=padding_side)
        model = tiny_model(attention=attention)
        logits = model(**inputs).logits
        truth = tiny_model(attention="eager")
        for row, row_logits, mask in zip(single_rows(inputs), logits, inputs["attention_mask"], strict=True):
            torch.testing.assert_close(row_logits[mask.bool()], truth(**row).logits[0], rtol=0, atol=1e-4)

    @torch.no_grad()
    def test_features_instead_of_pixels(self, model, inputs):
        expected = model(**inputs)
        text = {name: inputs[name] for name in ("input_ids", "attention_mask")}
        features = model.get_image_features(inputs["pixel_values"])
        assert features.pooler_output.shape == (10, 4, 32)
        assert torch.equal(expected.image_hidden_states, features.pooler_output)
        assert torch.equal(model(**text, mm_encoder_outputs={"image": features}).logits, expected.logits)
        features.pooler_output = list(features.pooler_output.flatten(0, 1).split([9, 11, 20]))
        assert torch.equal(model(**text, mm_encoder_outputs={"image": features}).logits, expected.logits)

    @torch.no_grad()
    def test_embeddings_instead_of_ids(self, model, inputs):
        embeds = {"inputs_embeds": model.get_input_embeddings()(inputs["input_ids"])}
        embeds |= {name: inputs[name] for name in ("pixel_values", "attention_mask")}
        assert torch.equal(model(**embeds).logits, model(**inputs).logits)

    @torch.no_grad()
    def test_tuple(self, model, inputs):
        assert torch.equal(model(**inputs, return_dict=False)[0], model(**inputs).logits)

    @torch.no_grad()
    def test_logits_to_keep(self, model, inputs):
        logits = model(**inputs).logits  # products of other sizes may round otherwise in the last place
        torch.testing.assert_close(model(**inputs, logits_to_keep=3).logits, logits[:, -3:])
        places = torch.tensor([1, 5])
        torch.testing.assert_close(model(**inputs, logits_to_keep=places).logits, logits[:, places])

    def test_loss(self, model, inputs):
        labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
        outputs = model(**inputs, labels=labels)
        expected = torch.nn.functional.cross_entropy(
            outputs.logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100
        )
        torch.testing.assert_close(outputs.loss, expected)

    @pytest.mark.parametrize("kwargs", [{"num_beams": 3}, {"use_cache": False}], ids=str)
    def test_generate(self, model, inputs, single_rows, kwargs):
        kwargs = {"max_new_tokens": 6, "do_sample": False} | kwargs
        lengths = inputs["attention_mask"].sum(dim=1)
        sequences = model.generate(**inputs, **kwargs)
        tiles = inputs["pixel_values"].split([8, 2])
        for row, images in zip(range(3), (tiles[0], None, tiles[1]), strict=True):
            single = {"input_ids": inputs["input_ids"][row : row + 1, -lengths[row] :]}
            if images is not None:
                single["pixel_values"] = images
            assert model.generate(**single, **kwargs)[0, -6:].tolist() == sequences[row, -6:].tolist()

    @torch.no_grad()
    def test_bfloat16(self, tiny_model, make_inputs):
        inputs = make_inputs([3, "00012", 4])
        expected = tiny_model()(**inputs).logits
        model = tiny_model().bfloat16()
        logits = model(**inputs).logits
        assert logits.dtype == torch.bfloat16
        assert (logits.float() - expected).norm() < 0.1 * expected.norm()
        assert model.generate(**inputs, max_new_tokens=4, keep_ratio=0.5).shape[1] == inputs["input_ids"].shape[1] + 4


class TestBadInput:
    def test_fewer_tiles_than_tokens(self, model, inputs):
        inputs = inputs | {"pixel_values": inputs["pixel_values"][1:]}
        for call in (model, model.model, model.generate):
            with pytest.raises(ValueError, match=r"40 image tokens, .* 36 features \(9 tiles of 4 tokens\)"):
                call(**inputs)

    def test_more_tiles_than_tokens(self, model, inputs):
        inputs = inputs | {"pixel_values": inputs["pixel_values"].repeat(2, 1, 1, 1)}
        for call in (model, model.model, model.generate):
            with pytest.raises(ValueError, match=r"40 image tokens, .* 80 features \(20 tiles of 4 tokens\)"):
                call(**inputs)

    def test_tokens_without_tiles(self, model, inputs):
        for call in (model, model.model, model.generate):
            with pytest.raises(ValueError, match="image tokens, but .*`pixel_values`"):
                call(input_ids=inputs["input_ids"])

    def test_tiles_without_tokens(self, model, inputs):
        for call in (model, model.model, model.generate):
            with pytest.raises(ValueError, match="0 image tokens, .* 40 features"):
                call(input_ids=torch.tensor([[9, 10]]), pixel_values=inputs["pixel_values"])

    @pytest.mark.parametrize(
        "shape", [(10, 3, 28, 21), (10, 3, 56, 56), (10, 1, 28, 28), (1, 10, 3, 28, 28), (3, 28, 28)]
    )
    def test_shape_of_the_pixels(self, model, inputs, shape):
        inputs = inputs | {"pixel_values": torch.zeros(shape)}
        for call in (model, model.model, model.generate):
            with pytest.raises(
                ValueError,
                match=r"`pixel_values` must have the shape \(tiles, (3, 28, 28|channels, height, width)\), got \(",
            ) as error:
                call(**inputs)
            assert str(shape) in str(error.value)

    def test_pixels_that_are_not_normalized(self, model, inputs):
        inputs = inputs | {"pixel_values": inputs["pixel_values"].to(torch.uint8)}
        with pytest.raises(ValueError, match="floating point numbers, got torch.uint8"):
            model(**inputs)

    def test_ids_and_embeddings(self, model):
        with pytest.raises(ValueError, match="exactly one of `?input_ids`? (and|or) `?inputs_embeds`?"):
            model(input_ids=torch.ones(1, 2).long(), inputs_embeds=torch.ones(1, 2, 32))
        with pytest.raises(ValueError, match="exactly one of `?input_ids`? (and|or) `?inputs_embeds`?"):
            model()

    def test_pixels_and_features(self, model, inputs):
        features = model.get_image_features(inputs["pixel_values"])
        with pytest.raises(ValueError, match="not both"):
            model(**inputs, mm_encoder_outputs={"image": features})

    def test_generate_on_the_base_model(self, model, inputs):
        with pytest.raises(
            TypeError, match="MiniMonkeyForConditionalGeneration or through AutoModelForImageTextToText"
        ):
            model.model.generate(**inputs)

    def test_misspelled_argument(self, model, inputs):
        with pytest.raises(ValueError, match="keep_ration"):
            model.generate(**inputs, keep_ration=0.5)

    @pytest.mark.parametrize("size", [0, 5, 7])
    def test_vocabulary_without_the_image_token(self, tiny_model, size):
        model = tiny_model()
        for resize in (model.resize_token_embeddings, model.model.resize_token_embeddings):
            with pytest.raises(ValueError, match=f"`new_num_tokens` (is {size}, .* at least 8 tokens|.*, got 0)"):
                resize(size)


class TestModules:
    def test_classes(self, model):
        assert type(model.model) is MiniMonkeyModel
        assert "GenerationMixin" in str(MiniMonkeyForConditionalGeneration.__bases__)
        assert model.can_generate()
        assert not model.model.can_generate()
        assert issubclass(MiniMonkeyForConditionalGeneration, InternVLForConditionalGeneration)
        assert issubclass(MiniMonkeyModel, InternVLModel)
        assert model.input_modalities == model.model.input_modalities == ("image", "text")

    def test_modules_are_built_once(self, model, monkeypatch):
        built = []
        initialize = InternVLModel.__init__

        def count(self, config):
            built.append(type(self))
            initialize(self, config)

        monkeypatch.setattr(InternVLModel, "__init__", count)
        MiniMonkeyForConditionalGeneration(model.config)
        assert built == [MiniMonkeyModel]

    def test_the_weights_of_internvl(self, model, inputs):
        internvl = InternVLForConditionalGeneration(model.config).eval()
        assert not any(internvl.load_state_dict(model.state_dict()))
        assert torch.equal(internvl(**inputs).logits, model(**inputs).logits)

    def test_gradients_reach_everything(self, tiny_model, inputs):
        model = tiny_model(attention="sdpa").train()
        model.gradient_checkpointing_enable()
        model(**inputs, labels=inputs["input_ids"]).loss.backward()
        assert {name for name, parameter in model.named_parameters() if parameter.grad is None} == set()

    def test_frozen_vision_tower(self, tiny_model, inputs):
        model = tiny_model(attention="sdpa").train()
        model.model.vision_tower.requires_grad_(False)
        model.gradient_checkpointing_enable()
        model(**inputs, labels=inputs["input_ids"]).loss.backward()
        assert model.model.multi_modal_projector.linear_1.weight.grad.abs().sum() > 0
        assert all(parameter.grad is None for parameter in model.model.vision_tower.parameters())

    def test_larger_vocabulary(self, tiny_model, inputs):
        model = tiny_model()
        before = model(**inputs).logits
        model.resize_token_embeddings(110, mean_resizing=False)
        assert model.config.text_config.vocab_size == model.lm_head.out_features == 110
        assert torch.equal(model(**inputs).logits[..., :100], before)
        model.resize_token_embeddings(100)
        assert torch.equal(model(**inputs).logits, before)

    def test_tied_weights(self, tiny_model, inputs, tmp_path):
        model = tiny_model(tie_word_embeddings=True)
        assert model.lm_head.weight is model.get_input_embeddings().weight
        model.save_pretrained(tmp_path)
        loaded = MiniMonkeyForConditionalGeneration.from_pretrained(tmp_path, attn_implementation="eager")
        assert loaded.lm_head.weight is loaded.get_input_embeddings().weight
        assert torch.equal(loaded(**inputs).logits, model(**inputs).logits)

    def test_untied_weights(self, model):
        assert not torch.equal(model.lm_head.weight, model.get_input_embeddings().weight)


class TestLoading:
    @pytest.mark.parametrize(
        "auto_class", [AutoModelForImageTextToText, AutoModelForMultimodalLM, AutoModelForCausalLM]
    )
    @torch.no_grad()
    def test_auto_classes(self, folder, model, inputs, auto_class):
        loaded, report = auto_class.from_pretrained(folder, attn_implementation="eager", output_loading_info=True)
        assert type(loaded) is MiniMonkeyForConditionalGeneration
        assert not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"]
        assert torch.equal(loaded(**inputs, keep_ratio=1.0).logits, model(**inputs).logits)
        assert loaded.config.scale_compression_config.keep_ratio == 0.25

    @torch.no_grad()
    def test_base_model(self, folder, model, inputs, tmp_path):
        base, report = AutoModel.from_pretrained(folder, attn_implementation="eager", output_loading_info=True)
        assert type(base) is MiniMonkeyModel
        assert set(report["unexpected_keys"]) == {"lm_head.weight"} and not report["missing_keys"]
        expected = model.model(**inputs).last_hidden_state
        assert torch.equal(base(**inputs, keep_ratio=1.0).last_hidden_state, expected)

        base.save_pretrained(tmp_path)
        assert (tmp_path / "modeling_minimonkey.py").is_file()
        again = AutoModel.from_pretrained(tmp_path, attn_implementation="eager")
        assert torch.equal(again(**inputs, keep_ratio=1.0).last_hidden_state, expected)
        head, report = MiniMonkeyForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
        assert set(report["missing_keys"]) == {"lm_head.weight"} and not report["unexpected_keys"]

    def test_saved_folder_carries_code_and_auto_map(self, folder):
        files = {path.name for path in folder.iterdir()}
        assert {
            "configuration_minimonkey.py",
            "modeling_minimonkey.py",
            "generation_minimonkey.py",
            "compressed_prompt.py",
            "scale_compression.py",
            "transformers_releases.py",
        } <= files
        config = json.loads((folder / "config.json").read_text("utf-8"))
        assert len(config["auto_map"]) == 5
        for name in config["auto_map"].values():
            assert f"{name.split('.')[0]}.py" in files

    @pytest.mark.parametrize("device_map", ["auto", "offload"])
    def test_device_map(self, folder, inputs, make_inputs, device_map, tmp_path):
        if device_map == "offload":  # the layer that scores the tokens lies on disk between its uses
            modules = ("embed_tokens", "rotary_emb", "layers.0", "layers.1", "layers.2", "norm")
            device_map = {f"model.language_model.{name}": "disk" if name == "layers.1" else "cpu" for name in modules}
            device_map |= dict.fromkeys(("model.vision_tower", "model.multi_modal_projector", "lm_head"), "cpu")
        inputs = make_inputs([3, "00012", 4], [2, "12", 7])
        expected = MiniMonkeyForConditionalGeneration.from_pretrained(folder).generate(**inputs, max_new_tokens=6)
        loaded = AutoModelForImageTextToText.from_pretrained(folder, device_map=device_map, offload_folder=tmp_path)
        assert torch.equal(loaded.generate(**inputs, max_new_tokens=6), expected)

    def test_dtype(self, folder):
        loaded = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.bfloat16)
        assert {parameter.dtype for parameter in loaded.parameters()} == {torch.bfloat16}
        assert loaded.config.dtype == torch.bfloat16

    def test_from_config(self, model):
        for auto_class in (AutoModel, AutoModelForImageTextToText):
            loaded = auto_class.from_config(model.config)
            assert type(loaded) is (MiniMonkeyModel if auto_class is AutoModel else MiniMonkeyForConditionalGeneration)

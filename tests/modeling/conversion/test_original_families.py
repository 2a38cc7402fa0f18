"""Every published family and variant: the converted model against a naive one that reads the original files itself."""

import copy
import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, LlamaConfig, Phi3Config, Qwen2Config

from modeling_minimonkey.conversion.convert import load_original
from tests.modeling.conversion.original_checkpoints import LANGUAGE_MODEL_LORA, shapes, write_original
from tests.modeling.conversion.original_model import (
    image_features,
    language_model,
    merge_naively,
    original_answer,
    original_logits,
    read_original,
)
from tests.recorded import read_arrays, read_case, read_cases, read_json


# In logits, whose spread is about 3. A float32 model differs from a float64 one by some 1e-5.
TOLERANCE = 2e-4
TILES, DETAILED_TILES = 5, 3

VARIANTS = {
    f"internlm2-{heads}x{queries}{'-bias' if bias else ''}": (
        "internlm2",
        {"key_value_heads": heads, "queries_per_head": queries, "bias": bias},
    )
    for heads in (1, 2, 8)
    for queries in (1, 2, 4)
    for bias in (False, True)
}
VARIANTS |= {
    "internlm2-dynamic-beyond": ("internlm2", {"llm_config": {"max_position_embeddings": 20}}),
    "internlm2-linear": ("internlm2", {"llm_config": {"rope_scaling": {"type": "linear", "factor": 3.0}}}),
    "internlm2-no-scaling": ("internlm2", {"llm_config": {"rope_scaling": None}}),
    "internlm2-6b": ("internlm2", {"vision": "6b"}),
    "internlm2-6b-bias": ("internlm2", {"vision": "6b", "vision_config": {"qkv_bias": True}}),
    "internlm2-tied": ("internlm2", {"tie_word_embeddings": True}),
    "qwen2": ("qwen2", {}),
    "qwen2-tied": ("qwen2", {"tie_word_embeddings": True}),
    "qwen2-6b": ("qwen2", {"vision": "6b"}),
    "phi3": ("phi3", {}),
    "phi3-beyond": ("phi3", {"llm_config": {"original_max_position_embeddings": 20}}),
    # 36 tokens, of which 30 stay under compression.
    "phi3-beyond-until-compressed": ("phi3", {"llm_config": {"original_max_position_embeddings": 33}}),
    "phi3-no-scaling": ("phi3", {"llm_config": {"rope_scaling": None}}),
    "phi3-window": ("phi3", {"llm_config": {"sliding_window": 17}}),
    "phi3-one-query": ("phi3", {"key_value_heads": 4, "queries_per_head": 1}),
    "llama": ("llama", {}),
    "llama-bias": ("llama", {"bias": True}),
    "llama-linear": ("llama", {"llm_config": {"rope_scaling": {"type": "linear", "factor": 3.0}}}),
    "llama3-6b": ("llama3", {"vision": "6b"}),
    "select-1": ("qwen2", {"select_layer": 1}),
    "select-2-from-the-end": ("internlm2", {"select_layer": -2}),
    "select-the-last": ("llama", {"select_layer": 3}),  # of three layers
    "quarter": ("phi3", {"downsample_ratio": 0.25}),
    "internlm2-lora": ("internlm2", {"llm_lora": 3, "bias": True}),
    "internlm2-old-lora": ("internlm2", {"llm_lora": 3, "bias": True, "base_layer": False}),
    "qwen2-lora": ("qwen2", {"llm_lora": 2}),
    "phi3-lora": ("phi3", {"llm_lora": 3}),
    "llama-lora": ("llama", {"llm_lora": 3}),
    "backbone-lora": ("qwen2", {"backbone_lora": 4}),
    "old-backbone-lora": ("llama", {"backbone_lora": 4, "base_layer": False, "vision": "6b"}),
    "both-loras-tied": ("qwen2", {"llm_lora": 3, "backbone_lora": 2, "tie_word_embeddings": True}),
    "shards": ("qwen2", {"shards": 3}),
    "pickle": ("internlm2", {"pickle": True}),
    "pickle-shards": ("phi3", {"pickle": True, "shards": 3}),
    "pickle-tied": ("internlm2", {"pickle": True, "tie_word_embeddings": True}),
    "pickle-lora": ("phi3", {"pickle": True, "shards": 2, "llm_lora": 3, "backbone_lora": 2, "vision": "6b"}),
    "bfloat16": ("llama3", {"dtype": torch.bfloat16}),
}


class Variant:
    """One original checkpoint, its prompt (text, an image, text) and what the naive model needs of it."""

    def __init__(self, folder, family: str, options: dict):
        self.folder = write_original(folder, family, **options)
        self.tensors, self.config = read_original(folder)
        tokenizer = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        ids = {token["content"]: int(index) for index, token in tokenizer["added_tokens_decoder"].items()}
        self.image_token_id = ids["<IMG_CONTEXT>"]
        generator = torch.Generator().manual_seed(5)
        text = torch.randint(3, 250, (16,), generator=generator)
        per_tile = int(16 * self.config["downsample_ratio"] ** 2)
        image = torch.full((TILES * per_tile,), self.image_token_id)
        self.input_ids = torch.cat((text[:7], image, text[7:]))
        self.pixel_values = torch.randn(TILES, 3, 28, 28, generator=generator)
        self.prompt = (self.input_ids, self.pixel_values, self.image_token_id)

    def logits(self, tensors=None, config=None) -> torch.Tensor:
        return original_logits(tensors or self.tensors, config or self.config, *self.prompt)

    def load(self):
        return load_original(self.folder, dtype=torch.float32, allow_pickle=True)


@pytest.fixture(scope="module", autouse=True)
def single_thread():
    """Thousands of tiny operations: a second thread would only wait for the first."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def make_variant(tmp_path_factory):
    return lambda family, **options: Variant(tmp_path_factory.mktemp(family), family, options)


@pytest.fixture(scope="module", params=VARIANTS)
def variant(request, make_variant):
    family, options = VARIANTS[request.param]
    return make_variant(family, **options)


@pytest.fixture(scope="module")
def model(variant):
    return variant.load()


@torch.no_grad()
def test_logits_are_those_of_the_original(variant, model):
    truth = variant.logits()
    assert 1 < truth.std() < 6
    ours = model(input_ids=variant.input_ids[None], pixel_values=variant.pixel_values).logits[0]
    assert (ours - truth).abs().max() < TOLERANCE


def test_compressed_answer_is_that_of_the_original(variant, model):
    assert_same_answer(variant, model, keep_ratio=0.5)


@pytest.mark.parametrize("family", ["internlm2", "qwen2", "phi3", "llama3"])
def test_uncompressed_answer_is_that_of_the_original(make_variant, family):
    variant = make_variant(family)
    assert_same_answer(variant, variant.load(), keep_ratio=1.0)


def assert_same_answer(variant, model, keep_ratio):
    # Dynamic scaling rotates each new query anew, but not the keys in the cache, which the naive model does not have.
    steps = 1 if len(variant.input_ids) > variant.config["llm_config"]["max_position_embeddings"] else 3
    model.generation_config.eos_token_id = None
    answer = model.generate(
        input_ids=variant.input_ids[None],
        attention_mask=torch.ones_like(variant.input_ids)[None],
        pixel_values=variant.pixel_values,
        tile_levels=torch.tensor([0] * DETAILED_TILES + [1] * (TILES - DETAILED_TILES - 1) + [2]),
        keep_ratio=keep_ratio,
        max_new_tokens=steps,
        suppress_tokens=[variant.image_token_id],
    )
    assert torch.equal(answer[0, :-steps], variant.input_ids)
    truth = original_answer(
        variant.tensors, variant.config, *variant.prompt, steps, detailed_tiles=DETAILED_TILES, keep_ratio=keep_ratio
    )
    assert answer[0, -steps:].tolist() == truth


@pytest.fixture(params=["internlm2", "qwen2"])
def recorded_folder(request, golden):
    return golden / "model" / request.param


class TestNaiveModel:
    """The truth against the published code: its recorded outputs, its names, its LoRA."""

    @torch.no_grad()
    def test_recorded_outputs(self, recorded_folder):
        tensors, config = read_original(recorded_folder / "checkpoint")
        image_token_id = {"internlm2": 514, "qwen2": 405}[recorded_folder.name]
        for name, case in read_cases(recorded_folder).items():
            arrays = read_case(recorded_folder, name)
            truth = {key: torch.from_numpy(array) for key, array in arrays.items()}
            features = image_features(tensors, config, truth["pixel_values"])
            assert (features.view_as(truth["vit_embeds"]) - truth["vit_embeds"]).abs().max() < 5e-5
            logits, _ = language_model(tensors, config, truth["input_embeds"].double())
            # The published float32 outputs are themselves off by up to 1.4e-4.
            assert (logits[truth["logits_positions"]] - truth["logits"]).abs().max() < 2e-4
            prompt = (truth["input_ids"], truth["pixel_values"], image_token_id)
            detailed = case["scm_high_token"] // case["num_image_token"]
            answer = original_answer(tensors, config, *prompt, steps=2, detailed_tiles=detailed, keep_ratio=0.5)
            assert answer == truth["scm_greedy_ids_fixed"][:2].tolist()

    @torch.no_grad()
    def test_recorded_dynamic_rope(self, golden):
        folder = golden / "model" / "internlm2"
        tensors, config = read_original(folder / "checkpoint")
        config["llm_config"]["max_position_embeddings"] = 64
        case = read_json(folder / "cases.json")["extra"]["ntk"]["case"]
        truth, extra = read_case(folder, case), read_arrays(folder / "extra.npz")
        logits, _ = language_model(tensors, config, torch.from_numpy(truth["input_embeds"]).double())
        assert (logits[extra["ntk.logits_positions"]] - torch.from_numpy(extra["ntk.logits"])).abs().max() < 2e-4

    def test_names_and_shapes_of_recorded_checkpoints(self, recorded_folder):
        config = json.loads((recorded_folder / "checkpoint" / "config.json").read_text(encoding="utf-8"))
        tensors = load_file(recorded_folder / "checkpoint" / "model.safetensors")
        assert shapes(config) == {name: tuple(tensor.shape) for name, tensor in tensors.items()}

    @pytest.mark.parametrize("family", ["llama", "phi3", "qwen2"])
    def test_names_and_shapes_of_the_library(self, make_variant, family):
        """The published code has Llama and Qwen2 from Transformers, and its Phi3 has the same names."""
        config = make_variant(family).config
        ours = {name: shape for name, shape in shapes(config).items() if name.startswith("language_model.")}
        with torch.device("meta"):
            library = library_model(config).state_dict()
        assert ours == {f"language_model.{name}": tuple(tensor.shape) for name, tensor in library.items()}

    @pytest.mark.parametrize("family", ["phi3", "llama"])
    def test_names_and_sum_of_peft(self, make_variant, family):
        peft = pytest.importorskip("peft")
        variant = make_variant(family, llm_lora=3)
        lora_config = peft.LoraConfig(r=3, lora_alpha=6, target_modules=list(LANGUAGE_MODEL_LORA[family]))
        library = peft.get_peft_model(library_model(variant.config), lora_config)
        wrapped = load_file(variant.folder / "model.safetensors")
        prefix = "language_model."
        wrapped = {name.removeprefix(prefix): each for name, each in wrapped.items() if name.startswith(prefix)}
        library.load_state_dict(wrapped)  # strict: the names are those of PEFT
        for name, tensor in library.merge_and_unload().state_dict().items():
            torch.testing.assert_close(variant.tensors[prefix + name].float(), tensor)


def library_model(config):
    """The language model in Transformers, from the sizes alone."""
    llm_config = config["llm_config"]
    config_class = {"llama": LlamaConfig, "phi3": Phi3Config, "qwen2": Qwen2Config}[llm_config["model_type"]]
    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    sizes = {name: llm_config[name] for name in (*names, "num_key_value_heads")}
    return AutoModelForCausalLM.from_config(config_class(**sizes, pad_token_id=0))


def swap(first: str, second: str):
    """Take one tensor for the other, in every layer."""

    def change(tensors, config):
        for name in [name for name in tensors if first in name]:
            other = name.replace(first, second)
            tensors[name], tensors[other] = tensors[other], tensors[name]

    return change


def drop(part: str):
    def change(tensors, config):
        for name in [name for name in tensors if part in name]:
            del tensors[name]

    return change


def rows(part: str, reorder):
    """Take the rows of a tensor in another order."""

    def change(tensors, config):
        for name in [name for name in tensors if part in name]:
            tensors[name] = reorder(tensors[name], config)

    return change


def not_grouped(packed, config):
    """All queries, all keys, all values, where the published order has these three in every group."""
    llm = config["llm_config"]
    heads, groups = llm["num_attention_heads"], llm["num_key_value_heads"]
    heads_of = packed.unflatten(0, (heads + 2 * groups, -1)).split((heads, groups, groups))
    parts = [part.unflatten(0, (groups, -1)) for part in heads_of]
    return torch.cat(parts, dim=1).flatten(0, 2)


def values_before_keys(packed, config):
    llm = config["llm_config"]
    heads, groups = llm["num_attention_heads"], llm["num_key_value_heads"]
    queries, keys, values = packed.unflatten(0, (heads + 2 * groups, -1)).split((heads, groups, groups))
    return torch.cat((queries, values, keys)).flatten(0, 1)


def up_before_gate(packed, config):
    return packed.roll(len(packed) // 2, dims=0)


def keys_first(packed, config):
    query, key, value = packed.chunk(3)
    return torch.cat((key, query, value))


def transposed_patches(weight, config):
    return weight.transpose(2, 3)


def setting(section: str | None, **values):
    def change(tensors, config):
        (config if section is None else config[section]).update(values)

    return change


def rope(**values):
    def change(tensors, config):
        config["llm_config"]["rope_scaling"].update(values)

    return change


def swap_factors(tensors, config):
    scaling = config["llm_config"]["rope_scaling"]
    scaling["short_factor"], scaling["long_factor"] = scaling["long_factor"], scaling["short_factor"]


MISTAKES = {
    "w1 is not the gate": ("internlm2-2x4", swap("feed_forward.w1", "feed_forward.w3")),
    "wqkv is not in groups": ("internlm2-2x4", rows("attention.wqkv", not_grouped)),
    "bias of wqkv is not in groups": ("internlm2-2x4-bias", rows("attention.wqkv.bias", not_grouped)),
    "the attention has no bias": ("internlm2-2x4-bias", drop("attention.wo.bias")),
    "norms swapped": ("internlm2-2x4", swap("attention_norm", "ffn_norm")),
    "dynamic is linear": ("internlm2-dynamic-beyond", rope(type="linear")),
    "dynamic is not there": ("internlm2-dynamic-beyond", setting("llm_config", rope_scaling=None)),
    "linear is not there": ("llama-linear", setting("llm_config", rope_scaling=None)),
    "default theta": ("llama", setting("llm_config", rope_theta=10000.0)),
    "default eps": ("llama", setting("llm_config", rms_norm_eps=1e-6)),
    "k is v": ("qwen2", swap("k_proj", "v_proj")),
    "other head": ("qwen2", setting("llm_config", tie_word_embeddings=True)),
    "values before keys": ("phi3", rows("qkv_proj", values_before_keys)),
    "up before gate": ("phi3", rows("gate_up_proj", up_before_gate)),
    "short factors taken for long": ("phi3", swap_factors),
    "long factors taken for short": ("phi3-beyond", swap_factors),
    "no attention factor": ("phi3", setting("llm_config", max_position_embeddings=64)),
    "attention factor of yarn": ("phi3", rope(type="yarn")),
    "no scaling": ("phi3", setting("llm_config", rope_scaling=None)),
    "no window": ("phi3-window", setting("llm_config", sliding_window=None)),
    "window one wider": ("phi3-window", setting("llm_config", sliding_window=18)),
    "vision: keys first": ("llama", rows("attn.qkv", keys_first)),
    "vision: ls1 is ls2": ("llama", swap(".ls1", ".ls2")),
    "vision: norms swapped": ("llama", swap(".norm1.", ".norm2.")),
    "vision: default eps": ("llama", setting("vision_config", layer_norm_eps=1e-6)),
    "vision: patches transposed": ("llama", rows("patch_embedding.weight", transposed_patches)),
    "vision: v1": ("llama", setting(None, ps_version="v1")),
    "vision: layer off by one": ("select-1", setting(None, select_layer=2)),
    "vision: layer off by one from the end": ("select-2-from-the-end", setting(None, select_layer=-3)),
    "vision: last layer": ("select-2-from-the-end", setting(None, select_layer=-1)),
    "6b: no qk norm": ("qwen2-6b", setting("vision_config", qk_normalization=False)),
}


class TestTolerance:
    """A truth that forgives mistakes proves nothing: each moves the logits a hundred times as far as is allowed."""

    @pytest.mark.parametrize("mistake", MISTAKES)
    def test_mistakes_are_seen(self, make_variant, mistake):
        name, change = MISTAKES[mistake]
        family, options = VARIANTS[name]
        variant = make_variant(family, **options)
        tensors, config = dict(variant.tensors), copy.deepcopy(variant.config)
        change(tensors, config)
        assert (variant.logits(tensors, config) - variant.logits()).abs().max() > 100 * TOLERANCE

    @pytest.mark.parametrize("name", ["internlm2-2x4-bias", "qwen2-6b", "phi3", "llama-bias"])
    def test_every_tensor_matters(self, make_variant, name):
        family, options = VARIANTS[name]
        variant = make_variant(family, **options)
        truth = variant.logits()
        for name, tensor in variant.tensors.items():
            if ".layers." in name and ".layers.1." not in name:
                continue
            rolled = variant.tensors | {name: tensor.flatten().roll(1).view_as(tensor)}
            assert (variant.logits(rolled) - truth).abs().max() > 100 * TOLERANCE, name

    @pytest.mark.parametrize("name", ["internlm2-old-lora", "phi3-lora", "backbone-lora"])
    def test_every_adapter_matters(self, make_variant, name):
        family, options = VARIANTS[name]
        variant = make_variant(family, **options)
        wrapped, truth = load_file(variant.folder / "model.safetensors"), variant.logits()
        adapters = [name for name in wrapped if ".lora_B." in name and ".layers.1." in name]
        assert len(adapters) in (4, 5)
        for name in adapters:  # a scale of alpha / rank = 1
            merged = merge_naively(wrapped | {name: wrapped[name] / 2}, variant.config)
            merged = {name: tensor.double() for name, tensor in merged.items()}
            assert (variant.logits(merged) - truth).abs().max() > 100 * TOLERANCE, name

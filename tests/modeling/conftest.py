"""Tiny models with random weights that no symmetry can hide behind, and prompts for them."""

import shutil

import numpy as np
import pytest
import torch

from modeling_minimonkey import MiniMonkeyConfig, MiniMonkeyForConditionalGeneration
from modeling_minimonkey.inspection.naive_scores import naive_scores
from tests.recorded import read_arrays, read_case, read_cases, read_json


IMAGE_TOKEN_ID = 7
PAD_TOKEN_ID = 0
TOKENS_PER_TILE = 4

LANGUAGE_MODELS = {
    "llama": {},
    "qwen2": {"use_sliding_window": False},
    "phi3": {"partial_rotary_factor": 0.5},
}


def tiny_config(language_model: str = "llama", text: dict | None = None, **kwargs) -> MiniMonkeyConfig:
    vision_config = {
        "image_size": 28,
        "patch_size": 7,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    text_config = {
        "model_type": language_model,
        "vocab_size": 100,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "pad_token_id": PAD_TOKEN_ID,
        "bos_token_id": 1,
        "eos_token_id": None,
    }
    text_config |= LANGUAGE_MODELS[language_model] | (text or {})
    defaults = {"image_token_id": IMAGE_TOKEN_ID, "image_seq_length": TOKENS_PER_TILE}
    return MiniMonkeyConfig(vision_config=vision_config, text_config=text_config, **(defaults | kwargs))


def randomize(model: torch.nn.Module, seed: int = 0) -> None:
    """Fill every parameter with noise: zeros, ones and equal layer scales would hide swapped or unused weights."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        is_scale = "norm" in name and name.endswith("weight")
        parameter.data = 1 + 0.2 * noise if is_scale else (1.0 if "embed_tokens" in name else 0.25) * noise


@pytest.fixture(scope="session")
def tiny_config_factory():
    return tiny_config


@pytest.fixture(scope="session")
def tiny_model():
    """`tiny_model(language_model, attention, seed, **config)`: a fresh tiny model that never writes an image token."""

    def build(language_model="llama", attention="eager", seed=0, **kwargs) -> MiniMonkeyForConditionalGeneration:
        config = tiny_config(language_model, **kwargs)
        config._attn_implementation = attention
        model = MiniMonkeyForConditionalGeneration(config).eval()
        randomize(model, seed)
        model.tie_weights()
        model.generation_config.suppress_tokens = [IMAGE_TOKEN_ID]
        model.generation_config.pad_token_id = PAD_TOKEN_ID
        model.generation_config.eos_token_id = None
        return model

    return build


@pytest.fixture(scope="session")
def make_inputs():
    """
    `make_inputs(rows, padding_side)`: a row is a list of text lengths (int) and images (strings of the tile levels).
    `[3, "0012", 5]` is three tokens of text, an image of two detailed tiles, an adaptive and a global one, and text.
    """

    def build(*rows: list, padding_side: str = "left", seed: int = 0) -> dict[str, torch.Tensor]:
        ids, levels = [], []
        for number, row in enumerate(rows):
            generator = torch.Generator().manual_seed(1000 * seed + number)
            row_ids = []
            for segment in row:
                if isinstance(segment, str):
                    levels += [int(level) for level in segment]
                    row_ids += [5] + [IMAGE_TOKEN_ID] * TOKENS_PER_TILE * len(segment) + [6]
                else:
                    row_ids += torch.randint(8, 100, (segment,), generator=generator).tolist()
            ids.append(torch.tensor(row_ids))
        pad = {"batch_first": True, "padding_side": padding_side}
        inputs = {
            "input_ids": torch.nn.utils.rnn.pad_sequence(ids, padding_value=PAD_TOKEN_ID, **pad),
            "attention_mask": torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in ids], **pad),
        }
        if levels:
            generator = torch.Generator().manual_seed(seed + 7)
            inputs["pixel_values"] = torch.randn(len(levels), 3, 28, 28, generator=generator)
            inputs["tile_levels"] = torch.tensor(levels)
        return inputs

    return build


@pytest.fixture(scope="session")
def single_rows():
    """Split a batch from `make_inputs` into one batch per row, without padding."""

    def split(inputs: dict[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        rows, tile = [], 0
        for ids, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True):
            ids = ids[mask.bool()]
            tiles = int((ids == IMAGE_TOKEN_ID).sum()) // TOKENS_PER_TILE
            row = {"input_ids": ids[None], "attention_mask": torch.ones_like(ids)[None]}
            if tiles:
                row |= {name: inputs[name][tile : tile + tiles] for name in ("pixel_values", "tile_levels")}
            rows.append(row)
            tile += tiles
        return rows

    return split


def tensors(arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


class Recorded:
    """What the published implementation gave for one language model, and that model converted."""

    def __init__(self, folder, name):
        from modeling_minimonkey.conversion.convert import load_original

        self.folder = folder / "model" / name
        self.cases = read_cases(self.folder)
        self.extra = read_json(self.folder / "cases.json")["extra"]
        self.extra_arrays = tensors(read_arrays(self.folder / "extra.npz"))
        self.model = load_original(self.folder / "checkpoint", attn_implementation="eager").eval()

    def arrays(self, name: str) -> dict[str, torch.Tensor]:
        return tensors(read_case(self.folder, name))

    def extra_pixels(self, name: str) -> torch.Tensor:
        """The tiles of all images of one of `extra`."""
        cases = self.extra[name]["pixel_values_of"]
        return torch.cat([self.arrays(case)["pixel_values"] for case in np.atleast_1d(cases).tolist()])

    def tile_levels(self, name: str) -> torch.Tensor:
        """
        The levels under which the published implementation in fact compressed: it takes the first
        `scm_high_token` image tokens for detailed, whatever they are.
        """
        case = self.cases[name]
        levels = torch.ones(case["n_tiles"], dtype=torch.long)
        levels[: case["scm_high_token"] // case["num_image_token"]] = 0
        levels[-1] = 2
        return levels


@pytest.fixture(scope="session", params=["internlm2", "qwen2"])
def recorded(request, golden) -> Recorded:
    return Recorded(golden, request.param)


def naive_kept(
    model: MiniMonkeyForConditionalGeneration,
    row: dict[str, torch.Tensor],
    keep_ratio: float,
    prompt: torch.Tensor | None = None,
) -> list[int]:
    """
    Tokens of one row (without padding) that stay, straight from the definition. Needs eager attention; `prompt` is
    False at tokens to learn.
    """
    ids, levels = row["input_ids"][0].tolist(), row.get("tile_levels", torch.tensor([])).tolist()
    images, number, image_tokens = [], 0, 0
    for position, token in enumerate(ids):
        if token != IMAGE_TOKEN_ID:
            images.append(0)
            continue
        number += ids[position - 1] != IMAGE_TOKEN_ID
        images.append(number if levels[image_tokens // TOKENS_PER_TILE] == 0 else 0)
        image_tokens += 1
    if not any(images):
        return list(range(len(ids)))
    settings, embeds = model.config.scale_compression_config, naive_embeds(model, row)
    if settings.queries == "none":
        scores = embeds[0].norm(dim=-1)
    else:
        text = torch.tensor([token != IMAGE_TOKEN_ID for token in ids])
        asking = torch.ones_like(text) if prompt is None else prompt
        if settings.queries == "question" and text[asking][-1]:
            asking = asking & text
        positions = torch.arange(len(ids))[None]
        images_of_row = torch.tensor(images)
        scores = naive_scores(model.model.language_model, embeds, positions, images_of_row, settings.layer, asking)
    kept = [position for position, image in enumerate(images) if image == 0]
    for number in set(images) - {0}:
        tokens = [position for position, image in enumerate(images) if image == number]
        best = sorted(tokens, key=lambda token: (-scores[token].item(), token))
        kept += best[: max(int(len(tokens) * keep_ratio), 1)]
    return sorted(kept)


def naive_embeds(model: MiniMonkeyForConditionalGeneration, row: dict[str, torch.Tensor]) -> torch.Tensor:
    embeds = model.get_input_embeddings()(row["input_ids"]).detach().clone()
    if "pixel_values" in row:
        features = model.get_image_features(row["pixel_values"]).pooler_output
        embeds[row["input_ids"] == IMAGE_TOKEN_ID] = features.detach().flatten(0, 1)
    return embeds


@pytest.fixture(scope="session")
def naive():
    """`naive.kept(model, row, keep_ratio)` and `naive.generate(model, row, keep_ratio, positions, steps)`."""

    class Naive:
        kept = staticmethod(torch.no_grad()(naive_kept))
        embeds = staticmethod(torch.no_grad()(naive_embeds))

        @staticmethod
        @torch.no_grad()
        def generate(model, row, keep_ratio, positions="repack", steps=8) -> list[int]:
            """Greedy decoding of one row without padding, without cache, without `generate`."""
            kept = naive_kept(model, row, keep_ratio)
            embeds = naive_embeds(model, row)[:, kept]
            ids = kept if positions == "keep" else list(range(len(kept)))
            tokens = []
            for _ in range(steps):
                hidden = model.model.language_model(
                    inputs_embeds=embeds,
                    position_ids=torch.tensor([ids]),
                    attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                    use_cache=False,
                ).last_hidden_state
                logits = model.lm_head(hidden[0, -1])
                logits[IMAGE_TOKEN_ID] = -torch.inf
                tokens.append(int(logits.argmax()))
                embeds = torch.cat((embeds, model.get_input_embeddings()(torch.tensor([[tokens[-1]]]))), dim=1)
                ids.append(ids[-1] + 1)
            return tokens

    return Naive


@pytest.fixture
def source(golden, tmp_path):
    """A copy of InternLM2's original checkpoint that a test may change."""
    return shutil.copytree(golden / "model" / "internlm2" / "checkpoint", tmp_path / "source")

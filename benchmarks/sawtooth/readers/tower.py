"""The first stage of a reader: a vision tower that knows which character stands where.

A dense auxiliary label does what a caption can't (from pixels to text directly, a tiny model stays on the plateau of
letter frequencies): per half patch, which character has its center here, and which place it has in its word.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from transformers import InternVLVisionConfig, InternVLVisionModel, PreTrainedModel

from benchmarks.sawtooth.readers.recipe import SIZES
from benchmarks.sawtooth.readers.rendering import (
    ALPHABET,
    FONT_SIZES,
    MAX_WORD,
    TILE_SIZE,
    cut_tiles,
    dense_labels,
    generator,
    random_font,
    render_page,
)


def sizes_of_tower(size: str) -> dict[str, int]:
    """What the towers of a size in `SIZES` have in common, InternVL's and SigLIP's."""
    width, layers, heads = SIZES[size][0]
    sizes = {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads}
    return sizes | {"intermediate_size": 4 * width, "image_size": TILE_SIZE, "patch_size": 14}


def vision_config(size: str) -> InternVLVisionConfig:
    """The tower of a size in `SIZES`."""
    return InternVLVisionConfig(
        **sizes_of_tower(size),
        attention_bias=True,
        layer_scale_init_value=1.0,  # 0.1 is for 24 layers; five or six learn faster at full scale
    )


class DenseReader(nn.Module):
    """
    The tower with a linear head per patch: two half patches, each a character of `ALPHABET` and its ordinal, which is
    below `MAX_WORD`.
    """

    def __init__(self, tower: PreTrainedModel):
        super().__init__()
        self.tower = tower
        hidden_size = tower.config.hidden_size
        self.norm = nn.LayerNorm(hidden_size)
        self.letters = nn.Linear(hidden_size, 2 * (len(ALPHABET) + 1))
        self.ordinals = nn.Linear(hidden_size, 2 * MAX_WORD)
        # Most half patches are blank: they count a tenth
        self.register_buffer("weight", torch.tensor([0.1] + [1.0] * len(ALPHABET)), persistent=False)

    def forward(self, pixel_values: torch.Tensor, letters: torch.Tensor, ordinals: torch.Tensor) -> dict:
        hidden_states = self.tower(pixel_values=pixel_values).last_hidden_state  # (tiles, patches, hidden)
        hidden_states = self.norm(hidden_states[:, -letters.shape[1] :])  # without a class token
        letter_logits = self.letters(hidden_states).unflatten(-1, (2, -1)).float()  # (tiles, patches, 2, alphabet + 1)
        ordinal_logits = self.ordinals(hidden_states).unflatten(-1, (2, -1)).float()
        letter_loss = nn.functional.cross_entropy(letter_logits.flatten(0, 2), letters.flatten(), self.weight)
        ordinal_loss = nn.functional.cross_entropy(ordinal_logits.flatten(0, 2), ordinals.flatten())
        return {
            "loss": letter_loss + 0.3 * ordinal_loss,
            "letters": letter_logits.argmax(-1),
            "ordinals": ordinal_logits.argmax(-1),
        }


def normalized(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 pixels as the processor gives them to the model, -1 to 1."""
    return pixels.float() / 127.5 - 1


class TileDataset(torch.utils.data.Dataset):
    """Up to `tiles_per_page` tiles of page `index`, cut by a random grid that never quite fits the page, as in CIP."""

    def __init__(self, split: str, pages: int, tiles_per_page: int = 4):
        self.split, self.pages, self.tiles_per_page = split, pages, tiles_per_page

    def __len__(self) -> int:
        return self.pages

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        rng = generator(self.split, index)
        grid = (int(rng.integers(1, 4)), int(rng.integers(2, 4)))
        if rng.random() < 0.3:
            grid = (grid[1], 1)
        x_scale, y_scale = np.exp(rng.uniform(-0.35, 0.35, size=2))  # page px per tile px
        size = (round(grid[0] * TILE_SIZE * x_scale), round(grid[1] * TILE_SIZE * y_scale))
        held_out = self.split != "train"
        page = render_page(rng, size, random_font(rng, y_scale, FONT_SIZES), held_out)
        letters, ordinals = dense_labels(page, grid)
        tiles = cut_tiles(page.image, grid)
        chosen = rng.permutation(len(tiles))[: self.tiles_per_page]
        pixel_values = normalized(torch.from_numpy(tiles[chosen]).permute(0, 3, 1, 2))
        return {
            "pixel_values": pixel_values,
            "letters": torch.from_numpy(letters[chosen]),
            "ordinals": torch.from_numpy(ordinals[chosen]),
        }


def make_tower(size: str) -> InternVLVisionModel:
    """A tower with random weights."""
    tower = InternVLVisionModel(vision_config(size))
    nn.init.normal_(tower.embeddings.position_embeddings, std=0.02)
    return tower


def collate(samples: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The tiles of several pages as one batch."""
    return {key: torch.cat([sample[key] for sample in samples]) for key in samples[0]}


def compute_metrics(prediction) -> dict[str, float]:
    """Shares of the characters, and of their places in the word, that are right."""
    (letters, ordinals), (letter_labels, ordinal_labels) = prediction.predictions, prediction.label_ids
    is_letter = letter_labels > 0
    return {
        "letter_accuracy": float((letters == letter_labels)[is_letter].mean()),
        "ordinal_accuracy": float((ordinals == ordinal_labels)[is_letter].mean()),
        "letters": int(is_letter.sum()),
    }

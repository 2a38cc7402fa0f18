"""A Mini-Monkey with random weights whose language model is large enough to measure, and prompts for it."""

import torch
from transformers.modeling_outputs import BaseModelOutputWithPooling

from modeling_minimonkey import MiniMonkeyConfig, MiniMonkeyForConditionalGeneration


TOKENS_PER_TILE = 256
TEXT_BEFORE, TEXT_AFTER = 20, 60  # tokens around the image
IMAGE_TOKEN_ID = 3
HIDDEN_SIZE, INTERMEDIATE_SIZE, HEADS, KEY_VALUE_HEADS = 512, 2048, 8, 4


def make_model(layers: int) -> MiniMonkeyForConditionalGeneration:
    """Language model 512 wide; the vision tower is a dummy, since the prompts bring their image features along."""
    torch.manual_seed(0)
    config = MiniMonkeyConfig(
        text_config={
            "model_type": "llama",
            "vocab_size": 1000,
            "hidden_size": HIDDEN_SIZE,
            "intermediate_size": INTERMEDIATE_SIZE,
            "num_hidden_layers": layers,
            "num_attention_heads": HEADS,
            "num_key_value_heads": KEY_VALUE_HEADS,
            "max_position_embeddings": 16384,
        },
        vision_config={"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 1},
        image_token_id=IMAGE_TOKEN_ID,
    )
    return MiniMonkeyForConditionalGeneration._from_config(config, attn_implementation="sdpa").eval()


def make_prompt(detailed: int, adaptive: int, seed: int = 0) -> dict:
    """
    Inputs of `generate` for one image with its features computed already.

    Args:
        detailed (`int`): number of detailed tiles.
        adaptive (`int`): number of adaptive tiles; a global one is added.
        seed (`int`, *optional*, defaults to 0): of text and features.
    """
    generator = torch.Generator().manual_seed(seed)
    tiles = detailed + adaptive + 1
    text = torch.randint(10, 1000, (1, TEXT_BEFORE + TEXT_AFTER), generator=generator)
    image = torch.full((1, tiles * TOKENS_PER_TILE), IMAGE_TOKEN_ID)
    input_ids = torch.cat((text[:, :TEXT_BEFORE], image, text[:, TEXT_BEFORE:]), dim=1)
    features = torch.randn(tiles, TOKENS_PER_TILE, HIDDEN_SIZE, generator=generator) * 0.02
    return {
        "input_ids": input_ids,
        "attention_mask": torch.ones_like(input_ids),
        "tile_levels": torch.tensor([0] * detailed + [1] * adaptive + [2]),
        "mm_encoder_outputs": {"image": BaseModelOutputWithPooling(pooler_output=features)},
    }

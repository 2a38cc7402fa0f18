"""A configuration whose model is small enough to run, for counts that are compared with the real thing."""

from modeling_minimonkey import MiniMonkeyConfig


def small_config(language_model: str = "llama", vision_size: int = 32, **text) -> MiniMonkeyConfig:
    """Small enough to run. Up to a `vision_size` of 32 the language model sets the peak, at 64 the vision tower."""
    settings = {
        "model_type": language_model,
        "vocab_size": 300,
        "hidden_size": 96,
        "intermediate_size": 260,
        "num_hidden_layers": 3,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "pad_token_id": 0,
        "eos_token_id": None,
    }
    vision_config = {
        "image_size": 112,
        "hidden_size": vision_size,
        "intermediate_size": 3 * vision_size,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    return MiniMonkeyConfig(
        text_config=settings | text, vision_config=vision_config, image_token_id=290, image_seq_length=16
    )

# trf-ignore: TRF028 (the license is in the file LICENSE)
"""Tries a model of 12,000 weights before the first use, on releases of Transformers that were never tested."""

import torch
import transformers

from .configuration_minimonkey import MiniMonkeyConfig
from .transformers_releases import FLOOR, NEWEST


TOKENS_PER_TILE, IMAGE_TOKEN = 4, 3
LEVELS = [0, 0, 1, 2]
NEW_TOKENS = 3
TOLERANCE = 1e-3  # of logits whose size is about 1


_problems: dict[type, str] = {}  # what was found, once per process; "" means no problem


def check_release(model_class: type) -> None:
    """
    Check with a tiny model that results agree which must agree on every release; later calls repeat the first one's
    finding.

    Args:
        model_class (`type`): [`MiniMonkeyForConditionalGeneration`].

    Raises:
        ImportError: names what differs, the release that was found and those that are tested.
    """
    if model_class not in _problems:
        _problems[model_class] = ""  # the tiny model calls this, too, while it is tried
        _problems[model_class] = _find_problems(model_class)
    if _problems[model_class]:
        raise ImportError(
            f"Mini-Monkey does not work with Transformers {transformers.__version__}: {_problems[model_class]}. It is "
            f"tested with {FLOOR} to {NEWEST}; please install one of those."
        )


def _find_problems(model_class) -> str:
    with torch.random.fork_rng(devices=[]), torch.device("cpu"), torch.no_grad():
        torch.manual_seed(0)
        try:
            differences = _differences(_tiny_model(model_class))
        except Exception as error:  # the library may have changed anything
            return f"a tiny model fails with {type(error).__name__}: {error}"
    return "; ".join(name for name, difference in differences.items() if not difference < TOLERANCE)


def _tiny_model(model_class):
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = MiniMonkeyConfig(
        vision_config=sizes | {"image_size": 28, "patch_size": 7},
        text_config=sizes | {"vocab_size": 32, "bos_token_id": None, "eos_token_id": None, "pad_token_id": 0},
        image_token_id=IMAGE_TOKEN,
        image_seq_length=TOKENS_PER_TILE,
    )
    model = model_class(config).to(torch.float32).eval()
    for parameter in model.parameters():
        parameter.copy_(torch.randn(parameter.shape) * 0.4 + (parameter.ndim == 1))
    return model


def _differences(model) -> dict[str, float]:
    """Largest difference of logits between results that must agree, by the words for it in an error."""
    image = [IMAGE_TOKEN] * TOKENS_PER_TILE * len(LEVELS)
    ids = torch.tensor([[5, 6, *image, 7, 8, 9]])
    prompt = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    pixels = {"pixel_values": torch.randn(len(LEVELS), 3, 28, 28)}
    options = {
        "max_new_tokens": NEW_TOKENS,
        "do_sample": False,
        "output_logits": True,
        "return_dict_in_generate": True,
    }

    def steps(**arguments) -> torch.Tensor:
        return torch.stack(model.generate(**prompt | arguments, **options).logits)

    features = model.get_image_features(**pixels, return_dict=True).pooler_output.flatten(0, 1)
    bound = model.get_input_embeddings()(ids).masked_scatter((ids == IMAGE_TOKEN)[..., None], features)
    by_hand = model.lm_head(model.model.language_model(inputs_embeds=bound).last_hidden_state)
    levels = pixels | {"tile_levels": torch.tensor(LEVELS), "keep_ratio": 0.5}
    kept = model.model.select_tokens(**prompt, **levels).kept
    plain, dropped = steps(**pixels), steps(**levels)
    pairs = {
        "image features do not stand where the image tokens are": (model(**prompt, **pixels).logits, by_hand),
        "generate differs with and without a cache": (plain, steps(**pixels, use_cache=False)),
        "dropped and masked tokens give different answers": (dropped, steps(**pixels, attention_mask=kept.long())),
        "forward and generate compress differently": (model(**prompt, **levels).logits[:, -1], dropped[0]),
    }
    return {name: float((one - other).abs().max()) for name, (one, other) in pairs.items()}

"""A Mini-Monkey folder around SmolLM2, from what a run learned: its adapter merged, its processor beside it.

python -m benchmarks.sawtooth.pretrained.checkpoint runs/smollm build/smollm/minimonkey
"""

import argparse
from pathlib import Path

import torch
from peft.tuners.lora import LoraLayer
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from benchmarks.sawtooth.pretrained.model import add_image_tokens, build, load_learned, load_tower
from benchmarks.sawtooth.pretrained.train import add_sources
from benchmarks.sawtooth.readers.reader import make_processor as make_small_processor
from benchmarks.speed.pretrained_model import load
from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from modeling_minimonkey.conversion.tokenizer import IMAGE_TOKENS
from processing_minimonkey import MiniMonkeyProcessor
from processing_minimonkey.chat_templates import chat_template


@torch.no_grad()
def merged(causal_lm, tokenizer, tower, folder: Path) -> MiniMonkeyForConditionalGeneration:
    """
    The model without an adapter that answers as the one with what was learned. If that was under compression, its
    question scores tokens in the same layer, and those that stay are numbered as there; its `keep_ratio` is 1 all the
    same.

    Args:
        causal_lm, tokenizer, tower: as `model.build` takes them.
        folder: of what was learned.
    """
    adapted = build(causal_lm, tower, tokenizer)
    settings = load_learned(adapted, folder)
    for module in adapted.modules():
        if isinstance(module, LoraLayer):
            module.merge()
    weights = {name: weight for name, weight in adapted.state_dict().items() if "lora_" not in name}
    plain = build(causal_lm, tower, tokenizer)
    plain.load_state_dict({name.replace(".base_layer", ""): weight for name, weight in weights.items()})
    if settings.get("keep_ratio", 1.0) < 1:
        config = plain.config.scale_compression_config
        config.queries, config.layer = "question", settings["layer"]
        config.positions = settings.get("positions", "repack")
    return plain


def make_processor(tokenizer: PreTrainedTokenizerBase, image_seq_length: int) -> MiniMonkeyProcessor:
    """Writes prompts as in training; images are cut as for the small checkpoint, whose tower it is."""
    return MiniMonkeyProcessor(
        image_processor=make_small_processor().image_processor,
        tokenizer=PreTrainedTokenizerFast(
            tokenizer_object=tokenizer.backend_tokenizer,
            pad_token="<|im_end|>",
            eos_token="<|im_end|>",
            padding_side="left",
            extra_special_tokens=IMAGE_TOKENS,
            clean_up_tokenization_spaces=False,
        ),
        image_seq_length=image_seq_length,
        chat_template=chat_template(Path(__file__).with_name("chat_template.jinja")),
    )


def save(causal_lm, tokenizer, tower, learned: Path, folder: Path) -> None:
    """Writes weights in bfloat16, processor and code to a folder."""
    add_image_tokens(tokenizer)
    model = merged(causal_lm, tokenizer, tower, learned)
    model.config.vision_config._name_or_path = ""
    model.to(torch.bfloat16).save_pretrained(folder)
    make_processor(tokenizer, model.config.image_seq_length).save_pretrained(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("learned", type=Path, help="folder of a run of `train.py`")
    parser.add_argument("output", type=Path, help="folder of the checkpoint")
    add_sources(parser)
    arguments = parser.parse_args()
    causal_lm, tokenizer = load(arguments.base)
    save(causal_lm, tokenizer, load_tower(arguments.tower), arguments.learned, arguments.output)


if __name__ == "__main__":
    main()

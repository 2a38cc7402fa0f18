"""Stages 2 to 5 of the tiny checkpoint: projector and language model learn to write down what the tower sees.

Behind the frozen tower `words` trains them on one or two tiles, `pages` and `again` (the same once more, the rate back
at its peak) on pages that are tiled once. `pyramid` trains all weights on the Complementary Image Pyramid. `control`
is as long as `pyramid`, but still tiled once: what it gains is no merit of the pyramid. `joint` and `joint_control`
are the same three times as long, `joint` with both grids chosen together.

    python -m examples.minimonkey_tiny.train_reader words --tower runs/tower/tower --output runs/words
    python -m examples.minimonkey_tiny.train_reader pages --model runs/words/model --output runs/pages
    python -m examples.minimonkey_tiny.train_reader again --model runs/pages/model --output runs/again
    python -m examples.minimonkey_tiny.train_reader pyramid --model runs/again/model --output runs/pyramid
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import InternVLVisionModel, PreTrainedTokenizerFast

from examples.minimonkey_tiny.recipe import SIZES, add_arguments, train
from examples.minimonkey_tiny.rendering import (
    FONT_SIZES,
    TILE_SIZE,
    Page,
    generator,
    random_font,
    render_page,
    render_pair,
    render_word,
)
from modeling_minimonkey import MiniMonkeyConfig, MiniMonkeyForConditionalGeneration
from processing_minimonkey import MiniMonkeyImageProcessor, MiniMonkeyProcessor


PAGE_GRIDS = [(1, 1), (2, 1), (1, 2), (2, 2), (3, 1), (3, 2), (2, 3)]


def messages(question: str = "Read the text.") -> list[dict]:
    """The conversation, up to the answer."""
    return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}]


def make_tokenizer() -> PreTrainedTokenizerFast:
    """One token per byte: spelling is what this model is for."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={byte: index for index, byte in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<|im_end|>",
        padding_side="left",
        additional_special_tokens=["<|im_start|>"],
        extra_special_tokens={
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "context_image_token": "<IMG_CONTEXT>",
        },
        clean_up_tokenization_spaces=False,
    )


def make_processor() -> MiniMonkeyProcessor:
    image_processor = MiniMonkeyImageProcessor(
        size={"height": TILE_SIZE, "width": TILE_SIZE},
        detailed_tiles=(1, 6),
        adaptive_tiles=(1, 4),
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    return MiniMonkeyProcessor(
        image_processor=image_processor,
        tokenizer=make_tokenizer(),
        image_seq_length=16,
        chat_template=Path(__file__).with_name("chat_template.jinja").read_text(),
    )


def make_model(tower_folder: str, tokenizer: PreTrainedTokenizerFast, size: str) -> MiniMonkeyForConditionalGeneration:
    tower = InternVLVisionModel.from_pretrained(tower_folder)
    width, layers, heads = SIZES[size][1]
    config = MiniMonkeyConfig(
        vision_config=tower.config.to_dict(),
        text_config={
            "model_type": "llama",
            "vocab_size": len(tokenizer),
            "hidden_size": width,
            "intermediate_size": 3 * width,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": heads,
            "max_position_embeddings": 2048,
            "pad_token_id": tokenizer.pad_token_id,
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
        },
        image_token_id=tokenizer.context_image_token_id,
        image_seq_length=16,
    )
    model = MiniMonkeyForConditionalGeneration(config)
    model.model.vision_tower.load_state_dict(tower.state_dict())
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def render(kind: str, split: str, index: int) -> Page:
    """Sample `index`: a single word, a few lines in one tile, two words of which one is asked for, or a page."""
    rng = generator(f"{kind}-{split}", index)
    held_out = not split.startswith("train")
    if kind == "mixed":
        kind = rng.choice(["word", "pair", "page"], p=[0.3, 0.15, 0.55])
    if kind == "word":
        return render_word(rng, held_out)
    if kind == "pair":
        return render_pair(rng, held_out)
    grid = (1, 1) if kind == "lines" else PAGE_GRIDS[rng.integers(len(PAGE_GRIDS))]
    while True:
        size = tuple(round(side * TILE_SIZE * rng.uniform(0.8, 1.15)) for side in grid)
        font = random_font(rng, sizes=FONT_SIZES)
        page = render_page(rng, size, font, held_out, int(rng.integers(1, 7)), int(rng.integers(1, 4)), (1.15, 2.5))
        if page.lines:
            return page


@dataclass(frozen=True)
class Stage:
    """What a stage learns from and how: see `STAGES`."""

    kinds: list[str]
    images_kwargs: dict
    batch_size: int
    learning_rate: float
    steps: int
    train_tower: bool = True


class PageDataset(torch.utils.data.Dataset):
    def __init__(self, kinds: list[str], split: str, samples: int):
        self.kinds, self.split, self.samples = kinds, split, samples

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index: int) -> Page:
        return render(self.kinds[index % len(self.kinds)], self.split, index)


class Collator:
    """Pages to model inputs; the loss is on the answer and the token that ends it alone."""

    def __init__(self, processor: MiniMonkeyProcessor, **images_kwargs):
        self.processor, self.images_kwargs = processor, images_kwargs

    def __call__(self, pages: list[Page]) -> dict[str, torch.Tensor]:
        prompts = self.processor.apply_chat_template(
            [messages(page.question) for page in pages], add_generation_prompt=True, tokenize=False
        )
        answers = [page.text + self.processor.tokenizer.eos_token for page in pages]
        inputs = self.processor(
            text=[prompt + answer for prompt, answer in zip(prompts, answers, strict=True)],
            images=[[page.image] for page in pages],
            padding=True,
            return_tensors="pt",
            **self.images_kwargs,
        )
        labels = torch.full_like(inputs["input_ids"], -100)
        for row, answer in enumerate(answers):
            length = len(self.processor.tokenizer(answer)["input_ids"])
            labels[row, -length:] = inputs["input_ids"][row, -length:]  # padding is on the left
        return dict(inputs) | {"labels": labels}


def compute_metrics(prediction) -> dict[str, float]:
    labels, predicted = prediction.label_ids[:, 1:], prediction.predictions[:, :-1]
    return {"token_accuracy": float((labels == predicted)[labels != -100].mean())}


def predicted_tokens(logits: torch.Tensor | tuple, labels: torch.Tensor) -> torch.Tensor:
    return (logits[0] if isinstance(logits, tuple) else logits).argmax(-1)


# Samples, tiles, batch size, learning rate, updates and whether the tower learns, too
PLAIN = {"adaptive_tiles": None}
STAGES = {
    "words": Stage(["word", "lines"], {"detailed_tiles": (1, 2)} | PLAIN, 32, 1e-3, 1200, train_tower=False),
    "pages": Stage(["mixed"], PLAIN, 32, 1e-3, 900, train_tower=False),
    "again": Stage(["mixed"], PLAIN, 32, 1e-3, 900, train_tower=False),
    "pyramid": Stage(["mixed"], {}, 16, 4e-4, 400),
    "control": Stage(["mixed"], PLAIN, 16, 4e-4, 400),
    "joint": Stage(["mixed"], {"complementarity": "joint"}, 16, 4e-4, 1200),
    "joint_control": Stage(["mixed"], PLAIN, 16, 4e-4, 1200),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--tower", help="folder of the first stage's tower, for the stage `words`")
    parser.add_argument("--model", help="folder of an earlier stage's model, for the other stages")
    add_arguments(parser)
    arguments = parser.parse_args()
    stage = STAGES[arguments.stage]
    arguments.steps = arguments.steps or stage.steps
    arguments.learning_rate = arguments.learning_rate or stage.learning_rate
    torch.manual_seed(arguments.seed)

    processor = make_processor()
    if arguments.model:
        model = MiniMonkeyForConditionalGeneration.from_pretrained(arguments.model, dtype=torch.float32)
    else:
        model = make_model(arguments.tower, processor.tokenizer, arguments.size)
    model.model.vision_tower.requires_grad_(stage.train_tower)
    trainer_kwargs = {
        "model": model,
        "train_dataset": PageDataset(stage.kinds, f"train {arguments.stage}", stage.batch_size * arguments.steps),
        "eval_dataset": PageDataset(stage.kinds, "held-out", 256),
        "data_collator": Collator(processor, **stage.images_kwargs),
        "compute_metrics": compute_metrics,
        "preprocess_logits_for_metrics": predicted_tokens,
    }
    train(
        trainer_kwargs,
        arguments,
        per_device_train_batch_size=stage.batch_size,
        per_device_eval_batch_size=stage.batch_size,
    )
    model.save_pretrained(f"{arguments.output}/model")
    processor.save_pretrained(f"{arguments.output}/model")


if __name__ == "__main__":
    main()

"""Stages 2 and 3 of the tiny checkpoint: projector and language model learn to write down what the tower sees.

Stage 2 (`words`) trains them on single tiles behind a frozen tower, stage 3 (`pages`) all weights on whole pyramids:

    python examples/minimonkey_tiny/train_reader.py words --tower runs/tower/tower --output runs/words
    python examples/minimonkey_tiny/train_reader.py pages --model runs/words/model --output runs/pages
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from rendering import TILE_SIZE, Page, generator, random_font, render_page, render_word
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import InternVLVisionModel, PreTrainedTokenizerFast, Trainer, TrainingArguments

from modeling_minimonkey import MiniMonkeyConfig, MiniMonkeyForConditionalGeneration
from processing_minimonkey import MiniMonkeyImageProcessor, MiniMonkeyProcessor


QUESTION = "Read the text."
MESSAGES = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": QUESTION}]}]
PAGE_GRIDS = [(1, 1), (2, 1), (1, 2), (2, 2), (3, 1), (3, 2), (2, 3)]


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


def make_model(tower_folder: str, tokenizer: PreTrainedTokenizerFast) -> MiniMonkeyForConditionalGeneration:
    tower = InternVLVisionModel.from_pretrained(tower_folder)
    config = MiniMonkeyConfig(
        vision_config=tower.config.to_dict(),
        text_config={
            "model_type": "llama",
            "vocab_size": len(tokenizer),
            "hidden_size": 256,
            "intermediate_size": 768,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
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
    """Sample `index`: a single word, a few lines in one tile, or a page of up to six tiles."""
    rng = generator(f"{kind}-{split}", index)
    held_out = split != "train"
    if kind == "mixed":
        kind = "word" if rng.random() < 0.4 else "page"
    if kind == "word":
        return render_word(rng, held_out)
    grid = (1, 1) if kind == "lines" else PAGE_GRIDS[rng.integers(len(PAGE_GRIDS))]
    while True:
        size = tuple(round(side * TILE_SIZE * rng.uniform(0.8, 1.15)) for side in grid)
        font = random_font(rng, sizes=(18, 34))
        page = render_page(rng, size, font, held_out, int(rng.integers(1, 7)), int(rng.integers(1, 4)), (1.15, 2.5))
        if page.lines:
            return page


class PageDataset(torch.utils.data.Dataset):
    def __init__(self, kinds: list[str], split: str, samples: int, first: int = 0):
        self.kinds, self.split, self.samples, self.first = kinds, split, samples, first

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index: int) -> Page:
        return render(self.kinds[index % len(self.kinds)], self.split, self.first + index)


class Collator:
    """Pages to model inputs; the loss is on the answer and the token that ends it alone."""

    def __init__(self, processor: MiniMonkeyProcessor, **images_kwargs):
        self.processor, self.images_kwargs = processor, images_kwargs
        self.prompt = processor.apply_chat_template(MESSAGES, add_generation_prompt=True, tokenize=False)

    def __call__(self, pages: list[Page]) -> dict[str, torch.Tensor]:
        answers = [page.text + self.processor.tokenizer.eos_token for page in pages]
        inputs = self.processor(
            text=[self.prompt + answer for answer in answers],
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


STAGES = {
    # kinds of samples, image settings, batch size, learning rate, does the tower learn?
    "words": (["word", "lines"], {"detailed_tiles": (1, 2), "adaptive_tiles": None}, 32, 1e-3, False),
    "pages": (["mixed"], {}, 16, 4e-4, True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--tower", help="folder of stage 1's tower, to begin with")
    parser.add_argument("--model", help="folder of an earlier stage's model, to go on with")
    parser.add_argument("--output", required=True)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="first sample, to go on where an earlier run ended")
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint in --output")
    arguments = parser.parse_args()
    kinds, images_kwargs, batch_size, learning_rate, train_tower = STAGES[arguments.stage]
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)

    processor = make_processor()
    if arguments.model:
        model = MiniMonkeyForConditionalGeneration.from_pretrained(arguments.model, dtype=torch.float32)
    else:
        model = make_model(arguments.tower, processor.tokenizer)
    if arguments.model and arguments.tower:
        tower = InternVLVisionModel.from_pretrained(arguments.tower)
        model.model.vision_tower.load_state_dict(tower.state_dict())
    model.model.vision_tower.requires_grad_(train_tower)
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=arguments.output,
            per_device_train_batch_size=batch_size,
            per_device_eval_batch_size=batch_size,
            num_train_epochs=1,
            learning_rate=arguments.learning_rate or learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=100,
            weight_decay=0.05,
            adam_beta2=0.98,
            bf16=True,
            use_cpu=not torch.cuda.is_available(),
            dataloader_num_workers=1,
            remove_unused_columns=False,
            eval_strategy="steps",
            eval_steps=250,
            save_steps=250,
            save_total_limit=2,
            logging_steps=50,
            report_to=[],
        ),
        train_dataset=PageDataset(kinds, "train", arguments.samples, arguments.first),
        eval_dataset=PageDataset(kinds, "held-out", 256),
        data_collator=Collator(processor, **images_kwargs),
        compute_metrics=compute_metrics,
        preprocess_logits_for_metrics=lambda logits, labels: (
            logits[0].argmax(-1) if isinstance(logits, tuple) else logits.argmax(-1)
        ),
    )
    trainer.train(resume_from_checkpoint=arguments.resume)
    model.save_pretrained(f"{arguments.output}/model")
    processor.save_pretrained(f"{arguments.output}/model")
    trainer.save_state()


if __name__ == "__main__":
    main()

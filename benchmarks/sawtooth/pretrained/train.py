"""SmolLM2-135M-Instruct learns to read, and is to stay able to chat; minutes on a GPU.

    python -m benchmarks.sawtooth.pretrained.train --output OUT --base build/smollm --minutes 2.5

The language model's own answers come first: everyday chat and what words mean. Then the projector alone learns to make
each image token like the mean embedding of the letters in its patch; then projector and adapter learn to answer. What
was learned, the log (JSON lines) and the language model's answers are in the folder `OUT`. `--start FOLDER` goes on
from what an earlier run learned, for instance with larger pictures in a pyramid:

    python -m benchmarks.sawtooth.pretrained.train --output OUT2 --start OUT --size large --method "pyramid any" \
        --batch 5 --accumulate 3 --first 1000000
"""

import argparse
import dataclasses
import json
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.sawtooth.pretrained.chat import MEANING, Said, chat_prompts, remember
from benchmarks.sawtooth.pretrained.conversations import Encoder, LetterBatches, Replay, TrainingBatches
from benchmarks.sawtooth.pretrained.evaluate import Evaluation
from benchmarks.sawtooth.pretrained.generation import generate, precision
from benchmarks.sawtooth.pretrained.losses import LOOKING, answer_loss, image_features
from benchmarks.sawtooth.pretrained.model import (
    add_adapter,
    add_image_tokens,
    build,
    learned,
    load_learned,
    load_tower,
    save_learned,
)
from benchmarks.sawtooth.pretrained.questions import explainable_words
from benchmarks.sawtooth.readers.precision import bfloat16_pays
from benchmarks.sawtooth.readers.rendering import ALPHABET, generator
from benchmarks.speed.pretrained_model import FOLDER, load
from modeling_minimonkey import MiniMonkeyForConditionalGeneration


TOWER = Path(__file__).parents[3] / "checkpoints" / "minimonkey-tiny"
WINDOW = 4  # batches whose rows are sorted by length
LOGGED = 20  # steps between two entries of the log


@dataclasses.dataclass(frozen=True)
class Settings:
    """
    How to train.

    Args:
        minutes: from the first answer of the language model to the end of the last evaluation.
        evaluation: share of them for the last evaluation.
        warm_start: share of them for the projector alone.
        check: share of them between two short evaluations in training.
        batch: rows at once.
        accumulate: batches of a step.
        size: of the pictures, a key of `questions.LAYOUTS`.
        method: how pictures are cut, a name of `cutting.METHODS`, or several with `;` between them, of which each
            picture gets one and evaluations the first; by default in their own grid alone.
        first: training sample to begin with.
        rank: of the adapter.
        adapter_rate, projector_rate, tower_rate: learning rates at their highest; a tower at 0 stays as it is.
        replay: share of the rows that are chat.
        keep_ratio: least share of an image's detailed tokens that stays, drawn anew for each batch, see
            `drawn_keep_ratio`; with 1, nothing is compressed. Below it each row needs one question, a `size` of
            `"single questions"` or `"questions and words"`.
        layer: the language model's, in which the question's attention scores the tokens.
        other_words: how much the question is to look at words that it doesn't ask for, beside 1 at those it does.
        positions: of the tokens that stay, numbered anew or as before, as `MiniMonkeyConfig` has them.
        prompts: everyday prompts that the language model answers, at most; by default all there are.
        explained: words whose meaning the language model tells, at most, and as many held-out ones at most.
        answer_tokens: the longest answer of the language model.
        words, questions: number of held-out words and of questions of each kind in the evaluations.
        workers: processes that draw pictures; 0 draws them in this one.
        seed: of the weights; the pictures are the same.
    """

    minutes: float = 2.5
    evaluation: float = 0.22
    warm_start: float = 0.08
    check: float = 0.16
    batch: int = 64
    accumulate: int = 1
    size: str = "small"
    method: str = ""
    first: int = 0
    rank: int = 16
    adapter_rate: float = 5e-4
    projector_rate: float = 1e-3
    tower_rate: float = 0.0
    replay: float = 0.3
    keep_ratio: float = 1.0
    layer: int = 8
    other_words: float = 0.0
    positions: str = "repack"
    prompts: int | None = None
    explained: int | None = None
    answer_tokens: int = 48
    words: int = 300
    questions: int = 100
    workers: int = 5
    seed: int = 0


class Log:
    """Entries as JSON lines in a file, each written at once, with the seconds since the log began."""

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        self.path, self.began = path, time.monotonic()

    def __call__(self, **entry) -> None:
        line = json.dumps({"second": round(time.monotonic() - self.began, 1)} | entry)
        with self.path.open("a") as file:
            file.write(line + "\n")


def as_it_is(batch: dict) -> dict:
    """Arrays stay arrays on their way from a worker: tensors would need shared memory."""
    return batch


def loader(batches: torch.utils.data.Dataset, workers: int) -> Iterator[dict]:
    """Batches in order; workers begin at once and stay up to 32 batches each ahead."""
    ahead = {"prefetch_factor": 32} if workers else {}
    return iter(
        torch.utils.data.DataLoader(batches, batch_size=None, num_workers=workers, collate_fn=as_it_is, **ahead)
    )


def own_answers(model, encoder: Encoder, settings: Settings, path: Path) -> tuple[Replay, dict[str, Said]]:
    """What the language model says before it learns: for training, and of the meaning of held-out words, by word."""
    chat = chat_prompts(settings.prompts)
    words = [explainable_words(held_out)[: settings.explained] for held_out in (False, True)]

    def answer(prompts: list[str]) -> list[Said]:
        return generate(model, encoder, [encoder.prompt(prompt) for prompt in prompts], settings.answer_tokens)

    said = remember(path, [*chat, *(MEANING.format(word) for part in words for word in part)], answer)
    train, held_out = ({word: said[MEANING.format(word)] for word in part} for part in words)
    replayed = [*chat, *(MEANING.format(word) for word in train)]  # many, or it learns those few by heart
    return Replay({prompt: said[prompt] for prompt in replayed}, train, settings.replay), held_out


def letter_embeddings(model, encoder: Encoder, texts: list[str]) -> torch.Tensor:
    """The mean embedding of the letters in each text, a blank's for an empty one: float32 (texts, hidden_size)."""
    embeddings = model.get_input_embeddings().weight.float()
    spelled = [encoder.spell(text or " ") for text in texts]
    starts = np.cumsum([0, *map(len, spelled)])[:-1]
    ids = torch.tensor([token for each in spelled for token in each], device=embeddings.device)
    return F.embedding_bag(ids, embeddings, torch.from_numpy(starts).to(ids.device), mode="mean")


def progress_over(seconds: float) -> Iterator[float]:
    """The share of so many seconds that has gone by, again and again until it is one; nothing if there are none."""
    began = time.monotonic()
    while (share := (time.monotonic() - began) / max(seconds, 1e-9)) < 1:
        yield share


def warm_start(model, encoder: Encoder, batches: Iterator[dict], seconds: float, rate: float, say) -> None:
    """The projector alone: each image token like the mean embedding of the letters in its patch."""
    parameters = list(learned(model, "projector").values())
    optimizer = torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.98))
    device = model.lm_head.weight.device
    scale = model.get_input_embeddings().weight.float().pow(2).mean().sqrt()
    alphabet = F.normalize(letter_embeddings(model, encoder, list(ALPHABET)), dim=-1)
    step = 0
    for progress in progress_over(seconds):
        batch = next(batches)
        letters = torch.from_numpy(batch["letters"]).to(device)
        wanted = letter_embeddings(model, encoder, batch["texts"])[letters]
        with precision(device):
            found = image_features(model, batch["tiles"]).flatten(0, 1).float()
        weight = torch.where(letters > 0, 1.0, 0.15)  # most patches are blank
        error = ((found - wanted) / scale).pow(2).mean(-1) + 1 - F.cosine_similarity(found, wanted, dim=-1)
        loss = (error * weight).sum() / weight.sum()
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 20, 2 * (1 - progress))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if step % LOGGED == 0:
            places = torch.tensor([ALPHABET.find(text) if len(text) == 1 else -1 for text in batch["texts"]])
            places = places.to(device)[letters]
            nearest = (F.normalize(found[places >= 0], dim=-1) @ alphabet.T).argmax(-1)
            right = (nearest == places[places >= 0]).float().mean().item()
            say(warm_start=step, loss=round(loss.item(), 4), letters=round(right, 4))
        step += 1
    say(warm_start=step, ended=True)


def drawn_keep_ratio(least: float, batch: int) -> float:
    """Share of the tokens that stays in a batch: all in a third of them, else from `least` on, small ones as often."""
    rng = generator("keep-ratio", batch)
    return 1.0 if least == 1 or rng.random() < 1 / 3 else float(least ** rng.random())


def learning_rate(progress: float, step: int) -> float:
    """Share of the highest rate: it rises over 20 steps, and falls over the last six tenths of the time."""
    return min(1.0, (step + 1) / 20) * min(1.0, max(0.02, (1 - progress) / 0.6))


def train(model, batches: Iterator[dict], settings: Settings, seconds: float, check, say) -> int:
    """
    Projector, adapter and, if its rate isn't zero, tower learn to answer for so many seconds; returns the steps.

    Args:
        check (`Callable`): is called with the step every now and then.
    """
    rates = {"projector": settings.projector_rate, "adapter": settings.adapter_rate, "tower": settings.tower_rate}
    parts = {part: list(learned(model, part).values()) for part, rate in rates.items() if rate}
    parameters = [parameter.requires_grad_(True) for part in parts.values() for parameter in part]
    device = model.lm_head.weight.device
    optimizer = torch.optim.AdamW(
        [{"params": part, "rate": rates[name]} for name, part in parts.items()],
        betas=(0.9, 0.98),
        weight_decay=0.01,
        fused=device.type == "cuda",
    )
    began = checked = time.monotonic()
    losses, looks, step, waited = [], [], 0, 0.0
    for progress in progress_over(seconds):
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * learning_rate(progress, step)
        for part in range(settings.accumulate):
            keep_ratio = drawn_keep_ratio(settings.keep_ratio, step * settings.accumulate + part)
            asked = time.monotonic()
            batch = next(batches)
            waited += time.monotonic() - asked
            with precision(device):
                loss, looking = answer_loss(model, batch, keep_ratio)
            ((loss + LOOKING * looking) / settings.accumulate).backward()
            losses.append(loss.detach())
            if keep_ratio < 1:
                looks.append(looking.detach())
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        if step % LOGGED == 0:
            found = {"loss": losses, "looking": looks} if looks else {"loss": losses}
            means = {name: round(torch.stack(each).mean().item(), 4) for name, each in found.items()}
            spent = time.monotonic() - began
            say(step=step, **means, seconds=round(spent, 1), waited=round(waited, 1))
            losses.clear()
            looks.clear()
        if time.monotonic() - checked > settings.check * settings.minutes * 60:
            check(step)
            checked = time.monotonic()
    say(step=step, ended=True, rows=step * settings.accumulate * settings.batch)
    return step


@dataclasses.dataclass
class Session:
    """
    A run: what is trained and measured, where it is written, and until when.

    Args:
        meanings: what the language model says of held-out words, by word.
        end: of the last evaluation, as `time.monotonic()` gives it.
    """

    model: MiniMonkeyForConditionalGeneration
    encoder: Encoder
    settings: Settings
    folder: Path
    say: Log
    meanings: dict[str, Said]
    end: float

    def save(self, **more) -> None:
        """Saves what was learned so far."""
        save_learned(self.model, self.folder, dataclasses.asdict(self.settings) | more, self.settings.tower_rate > 0)

    def evaluate(self, when: str, *parts: str) -> None:
        """All measurements, or some by name; in the middle with a third of the words."""
        evaluation = Evaluation(self.model, self.encoder, self.say, self.meanings, self.end)
        words = self.settings.words // (1 if when in ("before", "after") else 3)
        evaluation.run(when, words, self.settings.questions, parts)

    def warm_start(self, letters: Iterator[dict]) -> None:
        """The projector alone, for its share of the time."""
        for parameter in learned(self.model, "projector").values():
            parameter.requires_grad_(True)
        seconds = self.settings.warm_start * self.settings.minutes * 60
        warm_start(self.model, self.encoder, letters, seconds, 2e-3, self.say)

    def train(self, batches: Iterator[dict]) -> None:
        """Projector and adapter, until what is left is the time of the last evaluation."""
        if not learned(self.model, "adapter"):
            add_adapter(self.model, self.settings.rank)

        def check(step: int) -> None:
            self.save(step=step)
            self.evaluate(f"step {step}", "words", "chat")

        left = self.end - time.monotonic()
        seconds = left - self.settings.evaluation * self.settings.minutes * 60
        train(self.model, batches, self.settings, seconds, check, self.say)


def prepare(
    causal_lm, tokenizer, tower, device: torch.device, settings: Settings
) -> tuple[MiniMonkeyForConditionalGeneration, Encoder]:
    """
    The model on its device, its language model in bfloat16 where that is faster, and what writes its prompts. The
    question scores tokens, if they are compressed.
    """
    add_image_tokens(tokenizer)
    model = build(causal_lm, tower, tokenizer).to(device)
    compression = model.config.scale_compression_config
    compression.queries, compression.layer, compression.positions = "question", settings.layer, settings.positions
    if bfloat16_pays(device.type):
        for parameter in model.model.language_model.parameters():  # buffers stay: positions need float32
            parameter.data = parameter.data.to(torch.bfloat16)
    return model, Encoder(tokenizer, model.config.image_seq_length, settings.method, settings.other_words)


def run(
    causal_lm, tokenizer, tower, settings: Settings, folder: Path, device: torch.device, start: Path | None = None
) -> None:
    """
    All stages; what was learned is saved before it is evaluated, also after an error.

    Args:
        causal_lm, tokenizer: the language model, and its tokenizer without the tokens of an image.
        tower: see `model.build`.
        folder: of the files that are written.
        start: folder of what an earlier run learned; then the projector doesn't learn alone first.
    """
    torch.backends.cuda.enable_cudnn_sdp(False)  # NaN gradients of some padded batches: see examples/finetune.py
    torch.manual_seed(settings.seed)
    say = Log(folder / "log.jsonl")
    model, encoder = prepare(causal_lm, tokenizer, tower, device, settings)
    end = time.monotonic() + settings.minutes * 60
    say(settings=dataclasses.asdict(settings), device=str(device), torch=torch.__version__)
    side = round(encoder.tokens_per_tile**0.5)
    letters = loader(LetterBatches(side, settings.batch), settings.workers)  # drawn while the language model answers
    replay, meanings = own_answers(model, encoder, settings, folder / "replay.jsonl")
    say(own_answers=len(replay.chat) + len(meanings))
    if start is not None:
        load_learned(model, start)
    window = WINDOW if settings.workers < 2 else 1
    rows = TrainingBatches(encoder, replay, settings.batch, window, settings.size, settings.first)
    batches = loader(rows, settings.workers)
    session = Session(model, encoder, settings, folder, say, meanings, end)
    session.evaluate("before")
    try:
        stages = [(session.warm_start, letters)] if start is None else []
        for stage, data in (*stages, (session.train, batches)):
            try:
                stage(data)
            except Exception:  # what was learned before is worth saving and measuring
                say(error=traceback.format_exc())
    finally:
        session.save()
    del data, letters, batches  # ends their workers
    load_learned(model, folder)  # rounded, as whoever loads it
    session.evaluate("after")
    memory = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else 0
    say(ended=True, seconds_left=round(end - time.monotonic(), 1), gpu_gib=round(memory, 1))


def add_sources(parser: argparse.ArgumentParser) -> None:
    """The options that say where language model and tower come from."""
    parser.add_argument("--base", type=Path, default=FOLDER, help="folder of the language model, from `make smollm`")
    parser.add_argument("--tower", type=Path, default=TOWER, help="folder of a Mini-Monkey whose tower reads")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder of what is written")
    add_sources(parser)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--start", type=Path, help="folder of an earlier run, to go on from what it learned")
    for field in dataclasses.fields(Settings):
        kind = int if field.default is None else type(field.default)
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=field.default)
    arguments = vars(parser.parse_args())
    settings = Settings(**{field.name: arguments[field.name] for field in dataclasses.fields(Settings)})
    causal_lm, tokenizer = load(arguments["base"])
    tower = load_tower(arguments["tower"])
    run(
        causal_lm,
        tokenizer,
        tower,
        settings,
        arguments["output"],
        torch.device(arguments["device"]),
        arguments["start"],
    )


if __name__ == "__main__":
    main()

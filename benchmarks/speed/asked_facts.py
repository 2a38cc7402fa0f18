"""Which queries, which layer and which positions keep what is asked for, on a pretrained Llama (`make smollm`).

    python -m benchmarks.speed.asked_facts [--prompts 100] [--output FILE]

SmolLM2 can't see images. The tokens of 24 lines of text, such as `Oscar hides bags.`, stand in for an image's detailed
tokens, with their embeddings as features; a line with the names alone stands in for its adaptive and global tokens.
Then come three examples and the question about one line. An answer is right if, of all things in the facts, the asked
one is the likeliest next token. Every finished prompt is in the file for good.
"""

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from benchmarks.sawtooth.runner import append_rows, finished
from benchmarks.speed.facts import FactPrompt, make_facts
from benchmarks.speed.pretrained_model import load
from modeling_minimonkey.scale_compression import compressed_position_ids, select_tokens, token_scores


FILE = Path(__file__).parent / "asked_facts.csv"
LAYERS = (1, 2, 3, 5, 8, 12, 16, 20)
REPACKED_LAYERS = (1, 2, 8)  # where both positions are measured
RATIOS = (0.5, 0.25)


@dataclass(frozen=True)
class FactReading:
    """
    One prompt under one choice of tokens. Without queries there is no layer, 0 stands for it; all tokens are `"all"`,
    layer 0 and `keep_ratio` 1. `keep`, `repack`: whether the answer is right with such positions, -1 if not measured.
    `asked`: how many tokens of the asked fact stay; `fact` and `facts`: how many tokens it and all of them have.
    """

    prompt: int
    queries: str
    layer: int
    keep_ratio: float
    keep: int
    repack: int
    asked: int
    fact: int
    facts: int


@dataclass(frozen=True)
class Tokens:
    """
    A prompt in tokens. `ids` (1, length); `lines` (length,): the number of the fact that a token belongs to, from 1,
    or 0; `image_mask` (length,): True at what stands in for image tokens; `things`: ids of what may be answered.
    """

    ids: torch.Tensor
    lines: torch.Tensor
    image_mask: torch.Tensor
    things: list[int]

    @classmethod
    def of(cls, prompt: FactPrompt, tokenizer) -> "Tokens":
        parts = [(prompt.before, 0, False)]
        parts += [(fact.line, number, True) for number, fact in enumerate(prompt.facts, 1)]
        parts += [(prompt.overview, 0, True), (prompt.question, 0, False)]
        encoded = [tokenizer(text, add_special_tokens=False)["input_ids"] for text, _, _ in parts]
        lengths = torch.tensor([len(ids) for ids in encoded])
        return cls(
            ids=torch.tensor([sum(encoded, [])]),
            lines=torch.tensor([number for _, number, _ in parts]).repeat_interleave(lengths),
            image_mask=torch.tensor([is_image for _, _, is_image in parts]).repeat_interleave(lengths),
            things=[tokenizer(f" {fact.thing}", add_special_tokens=False)["input_ids"][0] for fact in prompt.facts],
        )


def all_scores(language_model, embeds: torch.Tensor, tokens: Tokens) -> Iterator[tuple[str, int, torch.Tensor]]:
    """Queries, layer and the scores (length,) that they give, for every choice of them."""
    prompt = language_model, embeds, torch.arange(embeds.shape[1])[None], (tokens.lines > 0).long()
    for queries, layer in [*itertools.product(("all", "question"), LAYERS), ("none", 0)]:
        yield queries, layer, token_scores(*prompt, layer, queries, tokens.image_mask)


@torch.no_grad()
def chosen(causal_lm, embeds: torch.Tensor, choices: list[tuple[torch.Tensor, str]], things: list[int]) -> list[int]:
    """
    The likeliest of the `things` after the tokens of each choice, as its index.

    Args:
        embeds (`torch.Tensor` of shape `(1, length, hidden_size)`): the whole prompt.
        choices (`list[tuple[torch.Tensor, str]]`): the kept tokens, bool `(length,)`, equally many in each; positions.
        things (`list[int]`): ids.
    """
    positions = torch.arange(embeds.shape[1])[None]
    short = torch.stack([embeds[0, kept] for kept, _ in choices])
    places = [compressed_position_ids(positions, ~kept[None], how)[0, kept] for kept, how in choices]
    # With a mask of ones the library does not take gaps between positions for the ends of packed sequences.
    mask = torch.ones(short.shape[:2], dtype=torch.long)
    hidden = causal_lm.model(
        inputs_embeds=short, attention_mask=mask, position_ids=torch.stack(places), use_cache=False
    ).last_hidden_state[:, -1]
    return causal_lm.lm_head(hidden)[:, things].argmax(dim=-1).tolist()


@torch.no_grad()
def read(causal_lm, tokenizer, number: int) -> list[FactReading]:
    """All readings of one prompt."""
    prompt = make_facts(number)
    tokens = Tokens.of(prompt, tokenizer)
    embeds = causal_lm.get_input_embeddings()(tokens.ids)
    images, asked = (tokens.lines > 0).long(), tokens.lines == prompt.asked + 1
    counts = {"fact": int(asked.sum()), "facts": int(images.sum())}
    (answer,) = chosen(causal_lm, embeds, [(torch.ones_like(asked), "keep")], tokens.things)
    right = int(answer == prompt.asked)
    readings = [FactReading(number, "all", 0, 1.0, right, right, counts["fact"], **counts)]
    scores = list(all_scores(causal_lm.model, embeds, tokens))
    for ratio in RATIOS:
        kept = {(queries, layer): select_tokens(each, images, ratio) for queries, layer, each in scores}
        wanted = [(key, "keep") for key in kept]
        wanted += [(key, "repack") for key in kept if key[1] in (0, *REPACKED_LAYERS)]
        answers = chosen(causal_lm, embeds, [(kept[key], how) for key, how in wanted], tokens.things)
        found = {each: int(answer == prompt.asked) for each, answer in zip(wanted, answers, strict=True)}
        for key, mask in kept.items():
            rights = (found.get((key, how), -1) for how in ("keep", "repack"))
            readings.append(FactReading(number, *key, ratio, *rights, int((mask & asked).sum()), **counts))
    return readings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--output", type=Path, default=FILE, help="the CSV file that readings are added to")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    causal_lm, tokenizer = load()
    done = finished(arguments.output, ("prompt",))
    for number in tqdm([number for number in range(arguments.prompts) if (str(number),) not in done]):
        append_rows(arguments.output, read(causal_lm, tokenizer, number))


if __name__ == "__main__":
    main()

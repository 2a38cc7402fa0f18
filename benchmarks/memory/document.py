"""docs/checkpoints.md, written from the computed results."""

import textwrap

from benchmarks.memory.checkpoints import BLOCK, FORMATS, read_checkpoints
from benchmarks.memory.finetuning import CARDS as SHARING_CARDS
from benchmarks.memory.finetuning import LEVELS, LORA_RANK, PRECISIONS, TRAINED, one_card, per_card
from benchmarks.memory.prefill import PYRAMIDS, TEXT_AFTER, TEXT_BEFORE
from benchmarks.tables import markdown_table


GIB = 2**30
CARDS = (8, 16, 24, 48, 80)  # "GB" on the box, about as many GiB
RESERVE = 1  # GiB that are left for what is not computed
FINETUNING_CARD = 24  # of CARDS
COMMAND = "python -m benchmarks.memory.run"


def peak(prefill: dict) -> int:
    """The most bytes beside the weights: the vision tower's work comes first, then the language model's with cache."""
    return max(prefill["vision"], prefill["language"])


def same_sizes(results: dict) -> list[tuple[str, dict]]:
    """Checkpoints of equal sizes together, under their short names."""
    groups = []
    for checkpoint in read_checkpoints():
        result = results[checkpoint.name]
        same = next((group for group in groups if group[1] == result), None)
        if same is None:
            groups.append([checkpoint.short_name, result])
        else:
            same[0] += f", {checkpoint.short_name}"
    return [tuple(group) for group in groups]


def weights_table(results: dict) -> str:
    rows, footnotes = [], dict(notes())
    for checkpoint in read_checkpoints():
        result = results[checkpoint.name]
        sizes = [f"{result['weights'][number_format] / GIB:.1f}" for number_format in FORMATS]
        name = " ".join([f"`{checkpoint.name}`", *footnotes.get(checkpoint.name, "").split()[:1]])
        parameters = f"{result['parameters'] / 1e9:.2f} B"
        tokens = str(result["tokens_per_tile"])
        rows.append([name, checkpoint.language_model, checkpoint.vision_tower, tokens, parameters, *sizes])
    head = ["checkpoint", "language model", "vision tower", "tokens per tile", "parameters", *FORMATS]
    return "\n".join(markdown_table(head, rows, right=head[3:]))


def pyramids_table(results: dict) -> str:
    rows = []
    for pyramid in PYRAMIDS:
        detailed, adaptive = (len(pyramid.plan.group_tiles(group)) for group in ("detailed", "adaptive"))
        prefill = next(iter(results.values()))["prefill"][str(pyramid.tiles)]
        rows.append(
            [str(pyramid.tiles), f"{detailed} + {adaptive} + 1", f"{pyramid.width} x {pyramid.height}"]
            + [f'`"{pyramid.setting}"`', *(f"{prefill[ratio]['tokens']:,}" for ratio in ("1.0", "0.5"))]
        )
    head = ["tiles", "detailed + adaptive + global", "for example an image of", "setting", "prompt", "with SCM"]
    return "\n".join(markdown_table(head, rows, right=head))


def prefill_table(results: dict, keep_ratio: str) -> str:
    def cell(prefill):
        star = "*" if prefill["vision"] > prefill["language"] else ""
        return f"{prefill['cache'] / GIB:.2f} + {(peak(prefill) - prefill['cache']) / GIB:.2f}{star}"

    rows = []
    for name, result in same_sizes(results):
        prefills = [result["prefill"][str(pyramid.tiles)][keep_ratio] for pyramid in PYRAMIDS]
        per_token = prefills[0]["cache"] // prefills[0]["tokens"] // 1024
        rows.append([name, f"{per_token} KiB", *map(cell, prefills)])
    head = ["checkpoint", "one token", *(f"{pyramid.tiles} tiles" for pyramid in PYRAMIDS)]
    return "\n".join(markdown_table(head, rows, right=head[1:]))


def most_tiles(result: dict, number_format: str, card: int, keep_ratio: str) -> int:
    """The largest of the pyramids that fits on a card of so many GiB, or 0."""
    room = (card - RESERVE) * GIB - result["weights"][number_format]
    fitting = [
        pyramid.tiles for pyramid in PYRAMIDS if peak(result["prefill"][str(pyramid.tiles)][keep_ratio]) <= room
    ]
    return max(fitting, default=0)


def cards_table(results: dict) -> str:
    rows = []
    for name, result in same_sizes(results):
        for number_format in FORMATS:
            cells = []
            for card in CARDS:
                plain, short = (most_tiles(result, number_format, card, ratio) for ratio in ("1.0", "0.5"))
                cells.append(f"{plain or 'none'}, **SCM {short}**" if short > plain else str(plain or "-"))
            rows.append([name, number_format, *cells])
    head = ["checkpoint", "weights", *(f"{card} GB" for card in CARDS)]
    return "\n".join(markdown_table(head, rows, right=head[2:]))


def gained(results: dict) -> str:
    """Where SCM makes room for a larger pyramid, as a list."""
    lines = []
    for name, result in same_sizes(results):
        for number_format in FORMATS:
            for card in CARDS:
                plain, short = (most_tiles(result, number_format, card, ratio) for ratio in ("1.0", "0.5"))
                if short > plain:
                    instead = f" instead of {plain}" if plain else "; without it none of the pyramids fits"
                    lines.append(f"- {name} in {number_format} on {card} GB: {short} tiles{instead}")
    return "\n".join(lines) or "- On none of these cards."


def smallest_card(result: dict, number_format: str) -> int | None:
    """GB of the smallest card on which the largest pyramid fits without SCM, `None` if there is none."""
    largest = max(pyramid.tiles for pyramid in PYRAMIDS)
    return next((card for card in CARDS if most_tiles(result, number_format, card, "1.0") == largest), None)


def in_short(results: dict) -> str:
    """The smallest card of every checkpoint, as a list."""
    lines = []
    for name, result in same_sizes(results):
        cards = {number_format: smallest_card(result, number_format) for number_format in FORMATS}
        found = [f"{card} GB in {number_format}" for number_format, card in cards.items() if card]
        lines.append(f"- {name}: {', '.join(found) or 'none of these cards'}")
    return "\n".join(lines)


def notes() -> list[tuple[str, str]]:
    """What could not be confirmed: number of the footnote -> text."""
    found = [checkpoint for checkpoint in read_checkpoints() if checkpoint.note]
    return [(checkpoint.name, f"({number}) {checkpoint.note}") for number, checkpoint in enumerate(found, start=1)]


def paragraph(text: str, indent: str = "") -> str:
    return textwrap.fill(
        " ".join(text.split()), 119, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def document(results: dict) -> str:
    """The text of docs/checkpoints.md."""
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    finetuning, results = _finetuning(results["finetuning"]), results["checkpoints"]
    return "\n".join([_checkpoints(results), _cards(results), finetuning, _pyramids(results), _method(versions)])


def finetuning_table(results: dict) -> str:
    def cell(size):
        return f"**{size / GIB:.1f}**" if size <= (FINETUNING_CARD - RESERVE) * GIB else f"{size / GIB:.1f}"

    rows = []
    for name, result in results.items():
        for trained in TRAINED:
            sizes = [place(result, trained, precision) for precision in PRECISIONS for place in (one_card, per_card)]
            label = f"`{trained}`, {result['trained'][trained] / 1e6:,.1f} M"
            rows.append([name.replace("MiniMonkey", "MiniMonkey, InternVL2-2B"), label, *map(cell, sizes)])
    sizes = [
        f"{precision} weights, {cards}" for precision in PRECISIONS for cards in ("1 card", f"{SHARING_CARDS} cards")
    ]
    return "\n".join(markdown_table(["checkpoint", "`--train`", *sizes], rows, right=sizes))


def _checkpoints(results: dict) -> str:
    footnotes = "\n".join(paragraph(f"- {note}", "  ") for _, note in notes())
    return f"""# Which checkpoint fits on which card?

The smallest card for reading with the largest of the published pyramids, {max(each.tiles for each in PYRAMIDS)} tiles,
without scale compression:

{in_short(results)}

Written by `{COMMAND}`; change the script, not this file. All figures are **computed, not
measured**: no GPU was used. They come from the sizes in the published configurations and from the code of this
project, see [How it was computed](#how-it-was-computed). 1 GiB = 2^30 bytes; a card that is sold with 24 GB has about
24 GiB. [scale.md](scale.md) goes on from here: many pages at once, on GPU servers.

## The checkpoints

Memory of the weights in GiB:

{weights_table(results)}

- int8, int4: the linear layers within the language model are quantized. Vision tower, projector, embeddings, norms
  and `lm_head` stay in bf16. The quantizer needs their full names to skip them: `"model.vision_tower"`,
  `"model.multi_modal_projector"`, `"lm_head"`.
- int8 counts 1 byte per weight and 4 bytes per output (bitsandbytes' LLM.int8); int4 half a byte per weight and 4
  bytes per {BLOCK} weights (bitsandbytes' FP4 or NF4 without double quantization).
- `mx262/MiniMonkey` was fine-tuned from InternVL2-2B and has its sizes.
{footnotes}
"""


def _cards(results: dict) -> str:
    largest = PYRAMIDS[-1].tiles
    return f"""## Which one fits on my card?

The largest of the [pyramids below](#what-a-pyramid-adds) with which the first token can be made: one prompt, bf16
activations, {RESERVE} GiB left over for what is not computed. {largest} means that all of them fit, "-" that none
does. Where the Scale Compression Mechanism (SCM, here with `keep_ratio=0.5`) makes room for more tiles, it says so.
Some checkpoints miss a limit, or keep it, by a few tenths of a GiB: there, try it out.

{cards_table(results)}

SCM makes room for a larger pyramid here:

{gained(results)}

![Weights, KV cache and the rest of the peak for {largest} tiles, against the sizes of cards](checkpoints.png)
"""


def _finetuning(results: dict) -> str:
    tokens = len(LEVELS) * read_checkpoints()[0].config.image_seq_length
    return f"""## Fine-tuning on a {FINETUNING_CARD} GB card

The worst moment of a training step of `examples/finetune.py`, in GiB on each card; bold: it fits with {RESERVE} GiB
left over. One image of {len(LEVELS)} tiles ({tokens:,} image tokens) and {TEXT_BEFORE + TEXT_AFTER} tokens of text per
card, gradient checkpointing, AdamW. With {SHARING_CARDS} cards FSDP2 shares weights, gradients and moments:

{finetuning_table(results)}

- `bf16` is `--dtype bfloat16`: weights, gradients and AdamW's two moments have 2 bytes each. `fp32` is the script's
  default with `--bf16`: 4 bytes each, frozen weights too, and 2 for the copies of trained weights that autocast keeps.
- `full` is everything, `language_model` the language model with its head (the authors' recipe), `lora` has rank
  {LORA_RANK} beside every linear layer of the language model.
- A forward and a backward pass on the meta device, all weights learning, give the activations; with fewer they need no
  more than that. Much of it are logits and their gradients in float32: the whole vocabulary for every token. They are
  those of bf16 weights; under autocast what is kept between layers has 4 bytes, some tenths of a GiB more.
- All gradients count at the peak of the backward pass. With {SHARING_CARDS} cards the embeddings, the head, the
  projector and two layers count in one piece, in bf16; buffers for communication don't.
- No run on a GPU confirms these figures yet.

Configurations: `examples/configs/published.yaml` (language model), `lora.yaml`, and `fsdp2.yaml` or `zero3.yaml` for
{SHARING_CARDS} cards.
"""


def _pyramids(results: dict) -> str:
    largest, text = PYRAMIDS[-1].tiles, TEXT_BEFORE + TEXT_AFTER
    long, short = (next(iter(results.values()))["prefill"][str(largest)][ratio]["tokens"] for ratio in ("1.0", "0.5"))
    return f"""## What a pyramid adds

These images and settings (`PYRAMID_SETTINGS`) give 5 to {largest} tiles. The prompt has {text} tokens of text
beside those of the tiles. SCM takes half of the detailed tokens out of it, and no others:

{pyramids_table(results)}

InternVL2 was trained with contexts of 8k tokens: {largest} tiles without SCM ({long:,} tokens) are beyond it, with SCM
({short:,}) they are not.

Beside the weights, in GiB, KV cache + rest of the peak; the sum is the peak. The cache stays while the answer is
written, and each token of the answer adds to it what the first column says. The rest is needed until the first token
is there: pixels, image features, activations. A star: the peak is in the vision tower, which sees all tiles in one
batch before the cache is filled; SCM does not make it cheaper.

Without SCM (`keep_ratio=1.0`):

{prefill_table(results, "1.0")}

With SCM (`keep_ratio=0.5`), scoring included:

{prefill_table(results, "0.5")}
"""


def _method(versions: str) -> str:
    return f"""## How it was computed

`{COMMAND}` ({versions}), in five minutes on a CPU:

- The published configurations, as far as they matter, are in `benchmarks/memory/checkpoints.json`, each with its
  source. That of InternVL2-1B could be read in full; the others have the published sizes of their language models and
  vision towers.
- They go through the converter and become models on PyTorch's meta device, whose tensors have sizes but no values. The
  parameters of each agree with the model pages to the last digit that is given there.
- `generate` makes one token from a prompt of the given length, and the bytes of all tensors that are alive at the same
  time are counted. Attention is flash attention, as `sdpa` takes on a GPU for one prompt without padding: memory grows
  in proportion to the prompt. Logits are those of the last token.
- The cache is 2 x layers x key-value heads x head size x 2 bytes per token.
- `tests/benchmarks/memory/test_checkpoints.py` compares the count with what PyTorch's profiler sees of a small model
  that really runs.

Not included: the CUDA context (some hundred MiB), workspaces of kernels, what the allocator keeps or can't use because
of fragmentation, the buffers in which quantized weights are unpacked, several images or rows in a batch, and padding,
whose mask is N x N. A desktop on the same card takes its share, too.
"""

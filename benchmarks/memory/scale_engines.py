"""The parts of docs/scale.md about engines: their settings, their caches, several cards, several machines."""

from benchmarks.memory.checkpoints import cache_bytes
from benchmarks.memory.document import GIB, paragraph
from benchmarks.memory.prefill import TEXT_AFTER, TEXT_BEFORE
from benchmarks.memory.scale import (
    ANSWER,
    BLOCK,
    BYTES,
    IMAGE_CACHE,
    KEEP_RATIOS,
    NAMES,
    PAGE_PYRAMIDS,
    TOKENS_PER_STEP,
    Case,
    cases,
    checkpoint,
    find,
    room,
    stored_results,
    tower_bytes,
)
from benchmarks.tables import blocks, markdown_table
from modeling_minimonkey.engines.image_tokens import kept_tokens


DIVIDED = {"InternVL2-2B": "2B", "InternVL2-8B": "8B", "InternVL2-26B": "26B"}
CARDS_TOGETHER = (1, 2, 4, 8)
LONG_ANSWER = 1000  # tokens, in the examples

SERVER = """\
vllm serve minimonkey-2b --data-parallel-size 8 --api-server-count 16 --max-model-len {length} \\
    --limit-mm-per-prompt '{{"image": 1}}' --mm-processor-cache-gb 0 --no-enable-prefix-caching \\
    --max-num-batched-tokens 8192 --mm-processor-kwargs '{{"pyramid": "docvqa", "keep_ratio": 0.5}}'"""

OFFLINE = """\
for card in 0 1 2 3 4 5 6 7; do
    CUDA_VISIBLE_DEVICES=$card python examples/read_folder.py scans/$card read-$card.jsonl --model minimonkey-2b \\
        --engine vllm --pyramid docvqa --keep_ratio 0.5 --batch_size 64 --max_new_tokens {answer} &
done
wait"""

RAY = """\
import io

import ray
from PIL import Image
from ray.data.llm import build_processor, vLLMEngineProcessorConfig

from processing_minimonkey import MiniMonkeyProcessor

chat = [{{"role": "user", "content": [{{"type": "image"}}, {{"type": "text", "text": "Read the text."}}]}}]
prompt = MiniMonkeyProcessor.from_pretrained("minimonkey-2b").apply_chat_template(chat, add_generation_prompt=True)


def request(row):
    return {{
        "path": row["path"],
        "prompt": prompt,
        "multimodal_data": {{"image": Image.open(io.BytesIO(row["bytes"]))}},
        "sampling_params": {{"temperature": 0, "max_tokens": {answer}}},
    }}


def line(row):
    return {{"page": row["path"], "text": row["generated_text"]}}


config = vLLMEngineProcessorConfig(
    model_source="minimonkey-2b",  # the same folder on every machine
    engine_kwargs={{
        "max_model_len": {length},
        "limit_mm_per_prompt": {{"image": 1}},
        "mm_processor_kwargs": {{"pyramid": "docvqa", "keep_ratio": 0.5}},
        "mm_processor_cache_gb": 0,
        "enable_prefix_caching": False,
    }},
    concurrency=(16, 16),  # engines, one per card
    batch_size=64,
    should_continue_on_error=True,  # what the engine refuses costs its own row, see `__inference_error__`
    chat_template_stage=False,  # the prompt is there already
    tokenize_stage=False,
    detokenize_stage=False,
)
read = build_processor(config, preprocess=request, postprocess=line)
read(ray.data.read_binary_files("s3://scans", include_paths=True)).write_json("s3://read")"""


def settings_table() -> list[str]:
    """Of any checkpoint: all have as many tokens per tile."""
    config = checkpoint(NAMES[0]).config
    height, width = config.vision_config.image_size
    offline = TOKENS_PER_STEP["offline"]
    head = ["tiles", "`keep_ratio`", "tokens of the image", f"with text and {ANSWER} tokens of answer"]
    head += [f"steps of {size:,} for the prompt" for size in TOKENS_PER_STEP.values()]
    head += [f"images x tiles in the tower at {offline:,}", f"images in {IMAGE_CACHE} GiB"]
    lines = []
    for pyramid in PAGE_PYRAMIDS:
        cut = pyramid.tiles * config.vision_config.num_channels * height * width * BYTES
        for ratio in KEEP_RATIOS:
            tokens = kept_tokens(pyramid.plan, config.image_seq_length, ratio)
            prompt = TEXT_BEFORE + tokens + TEXT_AFTER
            steps = [-(-prompt // size) for size in TOKENS_PER_STEP.values()]
            lines.append(
                [pyramid.tiles, ratio, f"{tokens:,}", f"{prompt + ANSWER:,}", *steps]
                + [f"{max(1, offline // tokens)} x {pyramid.tiles}", IMAGE_CACHE * GIB // cut]
            )
    return markdown_table(head, lines, right=head)


def division_table() -> list[str]:
    """All of the tower in every process, a part of the rest."""
    head = ["checkpoint", "tower, GiB", *(f"weights, {count} cards" for count in CARDS_TOGETHER[1:])]
    head += [f"share, {count} card{'s' * (count > 1)}" for count in CARDS_TOGETHER]
    rows, lines = cases(tuple(DIVIDED)), []
    for name, label in DIVIDED.items():
        load = find(rows, name, PAGE_PYRAMIDS[-1].tiles, 1.0).load
        tower = tower_bytes(checkpoint(name).config)
        rest = stored_results()[checkpoint(name).name]["weights"]["bf16"] - tower
        lines.append(
            [label, f"{tower / GIB:.1f}", *(f"{(tower + rest / count) / GIB:.1f}" for count in CARDS_TOGETHER[1:])]
            + [f"{load.tower / (load.tower + load.prefill / count):.0%}" for count in CARDS_TOGETHER]
        )
    return markdown_table(head, lines, right=head[1:])


def settings() -> list[str]:
    config, (server, offline) = checkpoint(NAMES[1]).config, TOKENS_PER_STEP.values()
    positions, factor = config.text_config.max_position_embeddings, config.text_config.rope_parameters["factor"]
    derived = int(positions * factor)
    needed, there = cache_bytes(config, derived) / GIB, room(NAMES[1], 24) / GIB
    return [
        *blocks("## Settings of the engine", "Names and defaults of vLLM 0.32, read in its source:", settings_table()),
        *points(
            "**`--max-model-len`**: a prompt that doesn't fit with at least one token of answer is refused, and an "
            f"answer ends there. Left out, it is {positions:,} positions, or the tokenizer's `model_max_length` if "
            f"that is less, times {factor:g}, the factor of the scaled positions: {derived:,} tokens. The engine "
            f"only starts if the keys and values of one such prompt fit: with 8B {needed:.1f} GiB, and a 24 GB card "
            f"has {there:.1f}. So give it: the longest prompt and the longest answer, as `read_folder.py` does. "
            "InternVL2 was trained with 8k tokens; 33 tiles with all tokens are more.",
            f"**`--max-num-batched-tokens`**, tokens per step: by default {server:,} in the server and {offline:,} "
            "offline (8,192 and 16,384 on an H100). The prompt of an image with more is spread over several steps, "
            "which works. With `--disable-chunked-mm-input` an image must fit into one step, or the engine doesn't "
            "start.",
            "**The same number limits the tower**: as many tokens of images per step, at least one image. It counts "
            "the tokens that *stay*, so under compression more images are encoded at once, and more memory goes "
            "into their activations, less into keys and values (the engine plans for it when it starts).",
            "**And the cache of encoded images**: it holds as many tokens, so only a few images; they are those of "
            "prompts in work and the last ones before. There is no setting of its own.",
            "**`--max-num-seqs`**, prompts at once. `read_folder.py` sets it to `--batch_size`, which is 8 by "
            'default: give it what the first table says under "at once".',
            "The engine plans for the largest image that the server's settings allow, whatever your pages are. A "
            "request may ask for fewer tokens than that, not for more.",
            f"**`--mm-processor-cache-gb`**, {IMAGE_CACHE} by default, keeps cut tiles in the memory of the CPU, in "
            "each server process and each engine. A million different pages never hit it: 0 turns it off, as "
            "`--no-enable-prefix-caching` does with the cache of prompts.",
        ),
    ]


def caches() -> list[str]:
    return [
        *blocks(
            "## Caches: the same image, another question",
            "vLLM has three. All know an image by its content and by the `mm_processor_kwargs` of the request "
            "(`pyramid`, `keep_ratio`, ...), none by the question:",
        ),
        *points(
            "Cut tiles, in the memory of the CPU: the same image isn't cut again.",
            "Encoded images, on the card: an image whose features are still there isn't encoded again, for example "
            "when several questions about it arrive together.",
            f"Keys and values of prompts that begin alike, on the card, in blocks of {BLOCK} tokens. Where the image "
            "stands before the question, as in our examples, another question about it costs neither tower nor "
            "prefill, except for the question itself. Text before the image has to be the same.",
        ),
        *blocks(
            "CIP changes none of this: a pyramid is one image of more tiles, and its size alone decides which. "
            "Neither does the plugin's compression: the longest features stay "
            '(`queries="none"`), no question enters, so an image with the same `keep_ratio` is the same tokens in '
            "every prompt, and is encoded once. Another `keep_ratio` or `pyramid` is another key, and has to be. A "
            "request that only repeats what the server is set to gets a key of its own, too, for the same tokens.",
        ),
    ]


def published_rule() -> list[str]:
    return [
        *blocks(
            "## Scoring by the question, in an engine",
            "The published Scale Compression Mechanism (SCM), and scoring by the question, let the first layers of "
            "the language model choose the tokens. **The plugin doesn't, and this isn't built.** It would take:",
        ),
        *points(
            "A private copy of the language model's first layers, beside the engine's own, that runs over all "
            "tokens of the prompt before the engine sees the shorter one: the engine's attention returns no scores.",
            "Keys of images that include the prompt. Which tokens stay then depends on it, so no cache may give "
            "them to another question: each one encodes the image anew and shares neither features nor keys and "
            "values. (With one question about a million pages nothing is lost: there is nothing to share.)",
            "For kept positions, a position per token, as M-RoPE has them. An engine computes those before an image "
            "is encoded, when nobody knows yet which tokens stay. The plugin's prompts have the engine's own "
            "positions, without gaps.",
        ),
        *blocks(
            "What is known before is how many tokens stay: the tiles say it. That is all the plugin needs.",
        ),
    ]


def division() -> list[str]:
    return blocks(
        "## One model on several cards",
        "`--tensor-parallel-size` divides the language model. The vision tower stays whole in every process, and "
        "every process encodes every image. GiB of weights on each card, and the tower's share of the operations of "
        "tower and prefill there (33 tiles, all tokens):",
        division_table(),
        "InternViT-300M is small, but 2B and 8B fit on one card, so more engines read more pages than larger ones. "
        "InternViT-6B isn't small: with 26B it takes more operations than the prefill even on one card, and dividing "
        "the prefill hardly helps. `--mm-encoder-tp-mode data`, with which vLLM spreads images over the cards, falls "
        "back with a warning here, as with all models on its Transformers backend.",
    )


def machines(rows: list[Case]) -> list[str]:
    tokens = find(rows, NAMES[0], PAGE_PYRAMIDS[-1].tiles, 0.5).load.tokens
    values = {"answer": LONG_ANSWER, "length": -(-(tokens + LONG_ANSWER) // 1024) * 1024}
    return [
        *blocks(
            "## Several cards and machines",
            "Pages don't need each other, so nothing is built here: engines or Ray spread them. **None of these "
            "examples was run on several cards, or on any GPU.** Names are those of vLLM 0.32 and Ray 2.60, read in "
            "their sources.",
            "One machine: a process of [`examples/read_folder.py`](../examples/read_folder.py) per card, each with "
            "a folder of its own, since `LLM` refuses `data_parallel_size` in one process. After a kill the same "
            "command goes on:",
            ["```", *OFFLINE.format(**values).split("\n"), "```"],
            "Or the engine's own data parallelism: one address, an engine per card, and more processes that cut "
            "tiles:",
            ["```", *SERVER.format(**values).split("\n"), "```"],
            "Several machines: the same server on each. Or one address for all: add `--data-parallel-size-local 8 "
            "--data-parallel-address ADDRESS --data-parallel-rpc-port PORT` to `--data-parallel-size 16` on the "
            "first, and on the second the same, without `--api-server-count`, with `--headless "
            "--data-parallel-start-rank 8`. Then the first machine cuts all tiles, which is what breaks first.",
            "Or Ray Data, which reads, spreads and writes; each engine cuts its tiles on its own machine. This "
            "package has to be installed on all of them, where vLLM finds it by its entry point:",
            ["```python", *RAY.format(**values).split("\n"), "```"],
        ),
        *points(
            "In older releases of Ray `build_processor` is called `build_llm_processor`.",
            "A prompt that is written out, as here, passes no check of control tokens. Send questions of strangers as "
            "chats, which the plugin checks.",
            "A file that Pillow can't open fails in `request` and ends the run, unless it is caught there.",
            "`read_folder.py` resumes page by page. This doesn't: leave out the pages that are there before you "
            "start again.",
        ),
    ]


def points(*items: str, numbered: bool = False) -> list[str]:
    """The lines of a list, and an empty one."""
    lines = []
    for number, item in enumerate(items, start=1):
        mark = f"{number}. " if numbered else "- "
        lines += paragraph(mark + item, " " * len(mark)).split("\n")
    return [*lines, ""]

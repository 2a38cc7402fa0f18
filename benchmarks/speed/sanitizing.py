"""What it costs that control tokens in conversations are text by default; writes SANITIZING.md.

    python -m benchmarks.speed.sanitizing [--rounds 101] [--output FOLDER]

Of the small checkpoint's processor, for chats of several lengths: `prepare_chat` against the same with
`sanitize_control_tokens=False`, side by side, one thread.
"""

import argparse
from pathlib import Path

import torch
from PIL import Image

from benchmarks.machine import machine, machine_line
from benchmarks.speed.timing import compare, with_quartiles
from benchmarks.tables import blocks, markdown_table
from processing_minimonkey import MiniMonkeyProcessor


FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
CALLS = 10  # in a row for each time, since one takes a millisecond or two


def conversations() -> dict[str, list[dict]]:
    """A question with and without an image, ten turns, and a text of 100,000 characters, by what they are."""
    page = Image.open(ROOT / "examples" / "page.png").convert("RGB")
    text = {"type": "text", "text": "What does the page say about bread, and on which day was it baked?"}
    asked = {"role": "user", "content": [text]}
    told = {"role": "assistant", "content": "It says that the bread is fresh; it was baked on Thursday."}
    return {
        "a question": [asked],
        "a question about an image": [{"role": "user", "content": [{"type": "image", "image": page}, text]}],
        "ten questions and answers": [asked, told] * 10 + [asked],
        "a text of 100,000 characters": [{"role": "user", "content": "fresh bread " * 8333}],
    }


def measure(rounds: int) -> dict[str, dict]:
    """Times of a call by conversation, "plain" and "sanitized"; the ratios are of the second to the first."""
    processor = MiniMonkeyProcessor.from_pretrained(ROOT / "checkpoints" / "minimonkey-tiny")

    def calls(chat: list[dict], **options):
        return lambda: [processor.prepare_chat(chat, **options) for _ in range(CALLS)]

    return {
        name: compare({"plain": calls(chat, sanitize_control_tokens=False), "sanitized": calls(chat)}, rounds)
        for name, chat in conversations().items()
    }


def report(results: dict[str, dict], found: dict) -> str:
    """The text of SANITIZING.md."""
    rows = []
    for name, result in results.items():
        plain, sanitized = (1000 * result["seconds"][side] / CALLS for side in ("plain", "sanitized"))
        quartiles = with_quartiles(result["ratio"]["sanitized"], digits=3)
        rows.append([name, result["rounds"], f"{plain:.2f}", f"{sanitized:.2f}", quartiles])
    head = ["conversation", "n", "ms with control tokens as tokens", "ms as text (the default)", "ratio"]
    lines = blocks(
        "# What sanitizing costs",
        "`prepare_chat` where control tokens in a conversation are text, against `sanitize_control_tokens=False`. "
        f"Medians over n pairs, {CALLS} calls each; in brackets the quartiles of the ratios.",
        machine_line(found),
        markdown_table(head, rows, right=head[1:4]),
        "Written by `python -m benchmarks.speed.sanitizing`.",
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=101, help="pairs for each conversation (at least 2)")
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder of SANITIZING.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = machine()
    text = report(measure(arguments.rounds), found)
    (arguments.output / "SANITIZING.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()

"""PRETRAINED.md: whether a pretrained language model learns to read and goes on chatting, by try and step."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from benchmarks.figures import save_figure
from benchmarks.sawtooth.pretrained.questions import KINDS
from benchmarks.sawtooth.report.figures import panels
from benchmarks.sawtooth.report.statistics import Estimate, percent, wilson
from benchmarks.tables import blocks, markdown_table


GATE = 0.7  # of the words; and all plain questions
FIGURE = "pretrained.png"
CHAT, WITH_PICTURE = "chat", "chat with a picture"


@dataclass(frozen=True)
class Try:
    """A run of `pretrained/train.py`, as its log has it."""

    name: str
    log: tuple[dict, ...]

    @cached_property
    def settings(self) -> dict:
        return next(entry["settings"] for entry in self.log if "settings" in entry)

    @cached_property
    def steps(self) -> int:
        """Of projector and adapter together."""
        return next(entry["step"] for entry in self.log if "rows" in entry)

    def found(self, when: str, part: str, *default) -> dict:
        """A measurement of the evaluation `"before"` or `"after"`; without a `default` it has to be there."""
        entries = (entry for entry in self.log if (entry.get("evaluation"), entry.get("part")) == (when, part))
        return next(entries, *default)

    def curve(self, part: str) -> list[tuple[int, dict]]:
        """Pairs of step and measurement, from the first evaluation to the last."""
        steps = {"before": 0, "after": self.steps}
        return [
            (steps.get(entry["evaluation"]) if entry["evaluation"] in steps else int(entry["evaluation"][5:]), entry)
            for entry in self.log
            if entry.get("part") == part
        ]

    @property
    def passes(self) -> bool:
        """Whether it reads and chats as the gate asks."""
        plain = self.found("after", CHAT)
        return self.found("after", "words")["exact"] > GATE and plain["right"] == plain["n"]


def share_right(entry: dict) -> Estimate:
    """What was right of a measurement, with its interval: answers, or words to the letter."""
    shares = (entry[name] for name in ("exact", "named") if name in entry)
    right = entry["right"] if "right" in entry else round(next(shares) * entry["n"])
    return wilson(right, entry["n"])


def load_try(path: Path) -> Try:
    """The run whose log is in a file `pretrained-NAME.jsonl`."""
    entries = tuple(map(json.loads, path.read_text(encoding="utf-8").splitlines()))
    return Try(path.stem.removeprefix("pretrained-"), entries)


def load_tries(folder: Path) -> list[Try]:
    """The tries of the gate, whose logs are in a folder by their number."""
    return [load_try(path) for path in sorted(folder.glob("pretrained-[0-9].jsonl"))]


def draw_tries(tries: list[Try], path: Path) -> None:
    """Loss, words and plain questions over the steps of every try."""
    figure, (axes,) = panels(1, 3, figsize=(13, 3.8))
    for number, each in enumerate(tries):
        color = f"C{number}"
        losses = [(entry["step"], entry["loss"]) for entry in each.log if "step" in entry and "loss" in entry]
        axes[0].plot(*zip(*losses, strict=True), "o-", color=color, markersize=3, label=f"try {each.name}")
        for axis, part in ((axes[1], "words"), (axes[2], CHAT)):
            steps, found = zip(*each.curve(part), strict=True)
            middles, lows, highs = 100 * np.array([share_right(entry) for entry in found]).T
            bars = (middles - lows, highs - middles) if part == "words" else None
            axis.errorbar(steps, middles, yerr=bars, color=color, marker="o", capsize=3)
    axes[0].set(title="mean loss of 20 steps, per token of an answer", yscale="log")
    axes[1].axhline(100 * GATE, color="black", linewidth=0.8, linestyle="--")
    axes[1].set(title="held-out words read exactly, %", ylim=(-2, 102))
    axes[2].axhline(100, color="black", linewidth=0.8, linestyle="--")
    axes[2].set(title="plain questions answered right, %", ylim=(58, 102))
    figure.supxlabel("steps of 16 rows; dashed: the gate")
    axes[0].legend(frameon=False)
    save_figure(figure, path)


def settings_table(tries: list[Try]) -> list[str]:
    """A row per try: how it was trained, and what came."""
    rows = []
    for each in tries:
        has, plain, other = each.settings, each.found("after", CHAT), each.found("after", WITH_PICTURE)
        words = each.found("after", "words")
        rows.append(
            [
                each.name,
                f"{has['minutes']:g}",
                each.steps,
                f"{has['adapter_rate']:g}",
                has["prompts"] or "all",
                f"{percent(share_right(words))} (n = {words['n']})",
                f"{100 * words['characters']:.1f}",
                f"{plain['right']} of {plain['n']}",
                f"{other['right']} of {other['n']}",
                "passed" if each.passes else "missed",
            ]
        )
    head = ["try", "minutes", "steps", "rate", "prompts replayed", "words exactly, %", "characters, %"]
    head += ["plain questions", "with a picture", "gate"]
    return markdown_table(head, rows, right=("minutes", "steps", "rate", "prompts replayed", "characters, %"))


def kinds_table(tries: list[Try]) -> list[str]:
    """A row per kind of question: what is right of it after each try."""
    rows = []
    for kind in (*KINDS, "unseen wordings"):
        found = [each.found("after", kind) for each in tries]
        rows.append([kind, *(f"{percent(share_right(entry))} (n = {entry['n']})" for entry in found)])
    return markdown_table(["question", *(f"try {each.name}, %" for each in tries)], rows)


def lost_answers(each: Try) -> list[str]:
    """The plain questions that are no longer answered right, alone or beside a picture."""
    lines = []
    for part, where in ((CHAT, "alone"), (WITH_PICTURE, "beside a picture")):
        wrong = [row for row in each.found("after", part)["answers"] if not row[2]]
        lines += [f"- {where}, {question} *{' '.join(answer.split())[:110]}*" for question, answer, _ in wrong]
    return lines or ["- none"]


def pretrained_report(tries: list[Try]) -> str:
    """The first half of PRETRAINED.md, of the gate."""
    before, last = tries[-1].found("before", WITH_PICTURE), tries[-1]
    lines = blocks(
        "# A pretrained language model that reads",
        "Written by `make bench-sawtooth` from the logs `results/pretrained-*.jsonl` of `make train-smollm` and "
        "`make train-smollm-longer`, and the readings `results/receipts-smollm.csv`, "
        "`results/compressed-receipts-smollm.csv`, the same of `smollm-early`, and `results/first-token-smollm.csv`; "
        "change the scripts, not this file.",
        "SmolLM2-135M-Instruct stands behind the frozen vision tower of the small checkpoint, 64 tokens a tile. A "
        "projector and matrices of low rank beside its weights (LoRA) learn to read words, lines and receipts of one "
        "or two tiles; its own chat answers are trained on again, so that it doesn't forget. The words of the test "
        "were never trained. The gate, fixed before: more than 70% of single words exactly, and "
        "all of twenty plain questions still right, without a picture. Before training, 20 are right, "
        f"and {before['right']} beside a picture that has nothing to do with them.",
        settings_table(tries),
        f"![Loss, words and plain questions over the steps of each try]({FIGURE})",
        "Intervals are 95% (Wilson). Losses compare where chat was trained alike alone: in the first try it was the "
        "answer that the model had chosen; in the second it is all that it predicted, token by token, without a "
        "picture even where one is shown. One seed each.",
        "## By kind of question",
        "`text` is all text, `line` one by its number, `value` the number beside a name, `present` whether a word is "
        "there (half are), `spell` letter by letter, `meaning` whether the answer begins with the word itself; "
        "`unseen wordings` asks the same in words that were never trained.",
        kinds_table(tries),
        f"## Plain questions that try {last.name} lost",
    )
    return "\n".join([*lines, *lost_answers(last), ""])

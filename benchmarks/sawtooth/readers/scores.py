"""How near an answer is to the text: edits, character accuracy, words that are read."""

from collections.abc import Sequence

from benchmarks.sawtooth.readers.rendering import Page


def edit_distance(first: str, second: str) -> int:
    """Levenshtein distance, row by row."""
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        previous, row = row, [i]
        for j, b in enumerate(second, 1):
            row.append(min(previous[j] + 1, row[-1] + 1, previous[j - 1] + (a != b)))
    return row[-1]


def character_accuracy(text: str, answer: str) -> float:
    """One minus edits divided by the length of `text`, at least zero; a ValueError without a text."""
    if not text:
        raise ValueError("`text` is empty: nothing can be read.")
    return max(0.0, 1 - edit_distance(text, answer) / len(text))


def score(pages: Sequence[Page], answers: Sequence[str]) -> dict:
    """
    The scores of all answers together, rounded to 4 places, and their number `n`.

    `character_accuracy` is one minus all edits divided by all characters; `words_read` the share of the pages' words
    that stand in their answers, in any order.

    Raises:
        ValueError: there are no pages, or not as many answers.
    """
    if not pages or len(pages) != len(answers):
        raise ValueError(f"`answers` must be one for each page, at least one; got {len(answers)} for {len(pages)}.")
    pairs = list(zip((page.text for page in pages), answers, strict=True))
    words = [(word, answer.split()) for text, answer in pairs for word in text.split()]
    edits = sum(edit_distance(*pair) for pair in pairs)
    return {
        "n": len(pairs),
        "character_accuracy": round(1 - edits / sum(len(text) for text, _ in pairs), 4),
        "exact_match": round(sum(text == answer for text, answer in pairs) / len(pairs), 4),
        "words_read": round(sum(word in found for word, found in words) / len(words), 4),
    }

"""Markdown, as every report here writes it."""

import textwrap
from collections.abc import Collection, Iterable, Sequence


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[object]], right: Collection[str] = ()) -> list[str]:
    """
    The lines of a table.

    Args:
        head: Name of each column.
        rows: Cells of each row, as many as there are columns.
        right: Names of the columns that are aligned to the right.

    Raises:
        ValueError: a row is longer or shorter than the head, or `right` names no column.
    """
    if unknown := set(right) - set(head):
        raise ValueError(f"`right` must name columns of {list(head)}, got {sorted(unknown)}.")
    rules = ["---:" if name in right else "---" for name in head]
    lines = []
    for cells in (head, rules, *rows):
        if len(cells) != len(head):
            raise ValueError(f"A row must have {len(head)} cells, got {len(cells)}: {list(cells)}.")
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def blocks(*parts: str | Sequence[str]) -> list[str]:
    """
    The lines of headings, paragraphs and tables, with an empty line after each.

    A string is wrapped to lines of 119 characters, unless it is a picture; a table has its lines already.
    """
    lines = []
    for part in parts:
        if isinstance(part, str) and not part.startswith("!"):
            part = textwrap.wrap(part, 119, break_long_words=False, break_on_hyphens=False)
        lines += [*([part] if isinstance(part, str) else part), ""]
    return lines

"""Markdown tables, as every report here writes them."""

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

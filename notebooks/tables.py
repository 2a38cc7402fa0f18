"""Tables of text for the notebooks, and collapsed ones; `course.table` is for numbers."""


def texts(headers: list[str], rows: list[list]) -> None:
    """Display a table whose columns are text, all on the left."""
    from IPython.display import Markdown, display

    lines = [headers, ["---"] * len(headers), *rows]
    display(Markdown("\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)))


def folded(summary: str, headers: list[str], rows: list[list]) -> None:
    """Display a table like that of `course.table`, collapsed under `summary`."""
    from IPython.display import Markdown, display

    lines = [headers, ["---", *["---:"] * (len(headers) - 1)], *rows]
    table = "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
    title = f"<summary>{summary}</summary>"
    display(Markdown(f"<details>\n{title}\n\n{table}\n\n</details>"))

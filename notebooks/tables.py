"""Tables of text for the notebooks; `course.table` is for numbers."""


def texts(headers: list[str], rows: list[list]) -> None:
    """Display a table whose columns are text, all on the left."""
    from IPython.display import Markdown, display

    lines = [headers, ["---"] * len(headers), *rows]
    display(Markdown("\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)))

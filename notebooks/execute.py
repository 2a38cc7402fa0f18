"""Execute the notebooks from their sources, each in a clean kernel: `make notebooks`.

    python notebooks/execute.py [02 05]

`NN_name.py` (py:percent) is what people edit; `NN_name.ipynb` is made from it, with all outputs, and so is the index
`README.md`. A cell that fails, or writes to stderr, ends the run.
"""

import argparse
import base64
import datetime
import os
import re
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from tqdm import tqdm


FOLDER = Path(__file__).resolve().parent
SOURCES = sorted(FOLDER.glob("[0-9][0-9]_*.py"))
SOLUTION = re.compile(
    r"<details>\n<summary>Solution</summary>\n\n```python\n(.*?)```", flags=re.DOTALL
)
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
INDEX = """\
# Notebooks

One question each, from the first picture to a service. All of them run from top to bottom on two CPU cores, without
a network, and are stored with their outputs; the text next to each (`.py`) is the same notebook for editing. They use
the small checkpoint of this repository, which was trained on rendered text: what is seen is real, and its figures are
those of a small model.

    pip install -e '.[notebooks]' jupyterlab && jupyter lab notebooks
    make notebooks                # executes all of them anew

Three routes, if you don't want all of them:

- User: 00, 03, 06, 09, 11, 12
- Student: 01, 02, 04, 05, 10
- Maintainer: 02, 03, 04, 05, 07, 08

{table}

Names in figures and tables, and what was read; n stands at every figure:

| name | which model | what it read | in |
| --- | --- | --- | --- |
| `minimonkey-tiny` | the small checkpoint | images and documents, as the notebook runs | 00 to 05, 08 to 12 |
| `6m-plain` | its stage before any second grid | words that are moved | 01, 07 |
| `6m-pyramid`, `6m-control` | after 400 steps with CIP, without | these, 590 words, 200 pages | 01, 02, 05, 07, 10 |
| `6m-compressed` | after it, under compression with gaps | 200 pages | 05, 11 |
| `6m-drawn` | after it, also without: the small checkpoint | 200 pages | 05, 11 |
| `3m-...`, `3m-long-...` | half the weights; three times as long | words that are moved; 1,880 words | 01, 10 |
| `reader` | readers of one base, as large as `6m`, three seeds each | three words of each of 600 pages | 10 |
| `internvl`, ... | other architectures, with and without CIP | words that are moved | 07 |
| PP-OCRv4 | a recognizer, told where words are | 1,800 words on 100 pages | 01, 10 |

"""


def solutions(notebook: nbformat.NotebookNode) -> list[str]:
    """The code of the exercises' solutions, which stand collapsed in the text."""
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    return [code for text in texts for code in SOLUTION.findall(text)]


def execute(source: Path) -> nbformat.NotebookNode:
    """
    The notebook of `source` with outputs, execution counts from 1, and how long it took. The solutions run behind its
    last cell; their outputs aren't kept, but a solution that fails ends the run.
    """
    notebook = jupytext.read(source)
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    )
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"  # jupytext's are random
    shown, solved = len(notebook.cells), solutions(notebook)
    notebook.cells += [nbformat.v4.new_code_cell(code) for code in solved]
    resources = {"metadata": {"path": str(FOLDER)}}
    client = NotebookClient(
        notebook, timeout=900, record_timing=False, resources=resources
    )
    start = time.perf_counter()
    # Beside other work, threads that spin while they wait cost minutes
    quiet = {
        "PYTHONWARNINGS": "ignore",
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "0",
    }
    client.execute(env=os.environ | quiet)
    for cell in notebook.cells:
        noise = [
            output["text"]
            for output in cell.get("outputs", [])
            if output.get("name") == "stderr"
        ]
        if noise:
            raise RuntimeError(
                f"{source.name} writes to stderr:\n{cell.source}\n{''.join(noise)}"
            )
    del notebook.cells[shown:]
    notebook.metadata["minimonkey"] = {
        "seconds": round(time.perf_counter() - start),
        "solved": solved,
        "verified": str(datetime.date.today()),
    }
    return notebook


def first_figure(notebook: nbformat.NotebookNode) -> tuple[bytes, str]:
    """The first figure (PNG) of a notebook and its description."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                return base64.b64decode(output["data"]["image/png"]), output[
                    "metadata"
                ]["image/png"]["alt"]
    raise ValueError("The notebook has no figure.")


def write_index() -> None:
    """`README.md`: title, first figure, time and lesson of every notebook."""
    text, rows = "", ["| | question | runs in |", "| --- | --- | ---: |"]
    (FOLDER / "images").mkdir(exist_ok=True)
    for path in sorted(FOLDER.glob("[0-9][0-9]_*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        first = notebook.cells[0].source
        title = re.search(r"^# (.+)$", first, flags=re.MULTILINE)[1]
        lesson = re.search(
            r"\*\*You will learn\*\*:? *(.+?)(?:\n>? *\n|\n> \*\*|\Z)",
            first,
            flags=re.DOTALL,
        )[1]
        lesson = " ".join(lesson.replace("\n>", " ").split())
        picture, alt = first_figure(notebook)
        image = FOLDER / "images" / f"{path.stem}.png"
        image.write_bytes(picture)
        seconds = notebook.metadata["minimonkey"]["seconds"]
        text += (
            f"## [{title}]({path.name})\n\nYou will learn {lesson} ({seconds} s)\n\n"
        )
        text += f"![{alt}](images/{image.name})\n\n"
        rows.append(f"| {path.name[:2]} | [{title}]({path.name}) | {seconds} s |")
    index = INDEX.replace("{table}", "\n".join(rows))
    (FOLDER / "README.md").write_text(index + text.rstrip() + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "numbers", nargs="*", help="which ones, such as 02; default: all"
    )
    parser.add_argument(
        "--no-index", action="store_true", help="leave README.md as it is"
    )
    arguments = parser.parse_args()
    chosen = [
        source
        for source in SOURCES
        if not arguments.numbers or source.name[:2] in arguments.numbers
    ]
    for source in (progress := tqdm(chosen)):
        progress.set_description(source.stem)
        nbformat.write(execute(source), source.with_suffix(".ipynb"))
    if not arguments.no_index:
        write_index()


if __name__ == "__main__":
    main()

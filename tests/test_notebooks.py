"""The stored notebooks keep what a tutorial promises: run in order, quiet, illustrated, linked, small."""

import re

import jupytext
import nbformat
import pytest
from packaging.requirements import Requirement


MOST_LINES = 25
MOST_BYTES = 1_000_000
PARTS = ("## Common errors", "## Exercises", "## Conclusion")
COLAB = "https://colab.research.google.com/github/OWNER/minimonkey/blob/main/notebooks"
EMOJI = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf]")


def pytest_generate_tests(metafunc):
    if "path" in metafunc.fixturenames:
        folder = metafunc.config.rootpath / "notebooks"
        paths = sorted(folder.glob("[0-9][0-9]_*.py"))
        metafunc.parametrize("path", paths, ids=[path.stem for path in paths])


@pytest.fixture
def notebook(path):
    return nbformat.read(path.with_suffix(".ipynb"), as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(notebook):
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def outputs(notebook):
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def test_the_course_is_complete(repository):
    numbers = [path.name[:2] for path in sorted((repository / "notebooks").glob("[0-9][0-9]_*.py"))]
    assert numbers == [f"{number:02}" for number in range(12)]


def test_source_and_notebook_are_the_same(path, notebook):
    def cells(each):
        return [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in each.cells]

    assert cells(jupytext.read(path)) == cells(notebook)


def test_it_was_executed_in_order_without_errors_or_noise(notebook):
    nbformat.validate(notebook)
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    assert not [output for output in outputs(notebook) if output.output_type == "error"]
    assert not [output.text for output in outputs(notebook) if output.get("name") == "stderr"]


def test_it_is_small_and_its_cells_are_short(path, notebook):
    assert path.with_suffix(".ipynb").stat().st_size < MOST_BYTES
    assert not [cell.source for cell in code_cells(notebook) if len(cell.source.splitlines()) > MOST_LINES]


def test_figures_are_described_and_captioned(notebook):
    found = outputs(notebook)
    figures = [output for output in found if "image/png" in output.get("data", {})]
    assert len(figures) >= 3
    for number, figure in enumerate(figures, start=1):
        assert len(figure.metadata["image/png"]["alt"]) >= 40
        caption = found[found.index(figure) + 1].data["text/markdown"]
        assert re.fullmatch(rf"\*Figure {number}\. .{{20,}}\*", caption, flags=re.DOTALL)


def test_it_says_what_it_is_about_and_where_to_go(path, notebook):
    folder = path.parent
    stems = sorted(file.stem for file in folder.glob("[0-9][0-9]_*.py"))
    first, last = notebook.cells[0].source, notebook.cells[-1].source
    assert re.match(r"# \S.+\n", first) and not EMOJI.search(texts(notebook))
    for promise in ("You will learn", "You need", "Time", "Hardware"):
        assert f"**{promise}**" in first
    position = stems.index(path.stem)
    neighbors = [*stems[max(position - 1, 0) : position], *stems[position + 1 : position + 2]]
    for cell in (first, last):
        links = re.findall(r"\]\(([\w.]+)\)", cell)
        assert {"README.md", *(f"{stem}.ipynb" for stem in neighbors)} <= set(links)
    for link in re.findall(r"\]\((?!https:)([^)#\s]+)\)", texts(notebook)):
        assert (folder / link).exists(), link
    assert (
        f"](https://colab.research.google.com/github/OWNER/minimonkey/blob/main/notebooks/{path.stem}.ipynb)" in first
    )
    assert f"]({path.name})" in first
    seconds = notebook.metadata["minimonkey"]["seconds"]
    assert seconds <= 60 * float(re.search(r"\*\*Time\*\*:? about ([\d.]+) min", first)[1])


def test_it_begins_with_the_setup(path, notebook):
    def setup(source):  # but for its last line, where some start a Hub
        return code_cells(jupytext.read(source))[0].source.splitlines()[:-1]

    assert {tuple(setup(source)) for source in path.parent.glob("[0-9][0-9]_*.py")} == {tuple(setup(path))}
    first = code_cells(notebook)[0]
    assert first.metadata.tags == ["setup"]
    assert first.source.splitlines()[-1] in ("course.setup()", "hub = course.setup(hub=True)")
    assert re.match(r"Verified on \d{4}-\d\d-\d\d with Python 3\.", first.outputs[-1].text)


def test_the_versions_are_those_of_the_constraints(repository, notebook):
    pinned = [Requirement(line) for line in (repository / "constraints.txt").read_text().splitlines()]
    versions = code_cells(notebook)[0].outputs[-1].text
    found = dict(re.findall(r"([\w-]+) ([\d.]+\w*)", versions))
    named = {pin.name.lower().replace("_", "-"): pin.specifier for pin in pinned}
    checked = [name for name in found if name in named]
    assert len(checked) >= 5
    for name in checked:
        assert found[name] in named[name], name


def test_it_predicts_asserts_and_sets_exercises(notebook):
    code, text = "\n".join(cell.source for cell in code_cells(notebook)), texts(notebook)
    assert len(re.findall(r"^ *assert ", code, flags=re.MULTILINE)) >= 5
    assert text.count("**Predict**") >= 2
    positions = [text.find(part) for part in PARTS]
    assert -1 not in positions and positions == sorted(positions)
    assert len(re.findall(r"with course\.expected\(", code)) >= 2
    assert len(re.findall(r"^### Exercise \d", text, flags=re.MULTILINE)) == 3
    solutions = [cell for cell in code_cells(notebook) if "solution" in cell.metadata.get("tags", [])]
    assert len(solutions) == 3
    for cell in solutions:
        assert cell.metadata["jupyter"]["source_hidden"] is True and "assert " in cell.source
    assert "arXiv 2408.02034" in notebook.cells[-1].source


def test_the_index_shows_all(repository, path):
    index = (repository / "notebooks" / "README.md").read_text(encoding="utf-8")
    assert f"]({path.stem}.ipynb)" in index and f"](images/{path.stem}.png)" in index
    assert (repository / "notebooks" / "images" / f"{path.stem}.png").exists()

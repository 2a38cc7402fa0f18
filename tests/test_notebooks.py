"""The stored notebooks are those of their sources, ran in order without noise, and lead to each other."""

import ast
import configparser
import importlib
import importlib.machinery
import re
import shutil
import sys
import types

import jupytext
import nbformat
import pytest
from matplotlib import pyplot
from nbclient.exceptions import CellExecutionError
from packaging.requirements import Requirement


MOST_BYTES = 1_000_000
COLAB = "https://colab.research.google.com/github/OWNER/minimonkey/blob/main/notebooks"


def pytest_generate_tests(metafunc):
    if "path" in metafunc.fixturenames:
        folder = metafunc.config.rootpath / "notebooks"
        paths = sorted(folder.glob("[0-9][0-9]_*.py"))
        metafunc.parametrize("path", paths, ids=[path.stem for path in paths])


@pytest.fixture
def notebook(path):
    return nbformat.read(path.with_suffix(".ipynb"), as_version=4)


@pytest.fixture
def execute(repository, monkeypatch):
    """The script that executes the notebooks."""
    monkeypatch.syspath_prepend(str(repository / "notebooks"))
    import execute

    yield execute
    del sys.modules["execute"]


@pytest.fixture
def course(repository, monkeypatch):
    """What all notebooks share."""
    monkeypatch.syspath_prepend(str(repository / "notebooks"))
    import course

    yield course
    del sys.modules["course"]


@pytest.fixture
def module(repository, monkeypatch):
    """Imports a module that stands beside the notebooks."""
    folder = repository / "notebooks"
    monkeypatch.syspath_prepend(str(folder))
    yield importlib.import_module
    for path in folder.glob("*.py"):
        sys.modules.pop(path.stem, None)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(notebook):
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def prose(notebook):
    """The text without its blocks of code."""
    return re.sub(r"```.*?```", "", texts(notebook), flags=re.DOTALL)


def outputs(notebook):
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def test_the_course_has_no_gaps(repository):
    numbers = [int(path.name[:2]) for path in sorted((repository / "notebooks").glob("[0-9][0-9]_*.py"))]
    assert numbers and numbers == list(range(len(numbers)))


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


def test_it_is_small(path):
    assert path.with_suffix(".ipynb").stat().st_size < MOST_BYTES


def test_figures_have_a_description_and_a_numbered_caption(notebook):
    found = outputs(notebook)
    figures = [output for output in found if "image/png" in output.get("data", {})]
    for number, figure in enumerate(figures, start=1):
        assert figure.metadata["image/png"]["alt"].strip()
        caption = found[found.index(figure) + 1].data["text/markdown"]
        assert caption.startswith(f"*Figure {number}. ")


def test_links_lead_somewhere_and_to_its_neighbors(path, notebook):
    stems = sorted(file.stem for file in path.parent.glob("[0-9][0-9]_*.py"))
    links = re.findall(r"\]\(([^)#\s]+)", prose(notebook))
    for link in links:
        assert link.startswith("https:") or (path.parent / link).exists(), link
    position = stems.index(path.stem)
    neighbors = [*stems[max(position - 1, 0) : position], *stems[position + 1 : position + 2]]
    assert {path.name, f"{COLAB}/{path.stem}.ipynb", *(f"{stem}.ipynb" for stem in neighbors)} <= set(links)


def test_contents_are_its_headings(notebook):
    headings = re.findall(r"^## (.+)$", prose(notebook), flags=re.MULTILINE)
    contents = re.findall(r"\[([^\]]+)\]\(#([^)]+)\)", notebook.cells[0].source)
    assert contents in ([], [(heading, heading.replace(" ", "-")) for heading in headings])


def test_all_begin_with_the_same_setup(repository):
    """But for its last line, where some start a Hub, and the line breaks, which are the formatter's."""
    sources = [jupytext.read(path) for path in (repository / "notebooks").glob("[0-9][0-9]_*.py")]
    first = [code_cells(source)[0] for source in sources]
    assert len({ast.dump(ast.Module(ast.parse(cell.source).body[:-1])) for cell in first}) == 1
    assert all(cell.metadata.tags == ["setup"] for cell in first)


def test_it_ran_with_versions_that_are_supported(repository, notebook):
    settings = configparser.ConfigParser()
    settings.read(repository / "setup.cfg", encoding="utf-8")
    extras = settings["options.extras_require"]
    lines = f"{settings['options']['install_requires']}\n{extras['notebooks']}\n{extras['dev']}".splitlines()
    ranges = {each.name: each.specifier for each in map(Requirement, filter(None, lines))}
    printed = dict(re.findall(r"([\w-]+) (\d[\w.]*)", code_cells(notebook)[0].outputs[-1].text))
    assert {"torch", "transformers"} <= printed.keys() & ranges.keys()
    for name in printed.keys() & ranges.keys():
        assert ranges[name].contains(printed[name], prereleases=True), name


def test_each_exercise_has_its_solution_collapsed_below_it(path, notebook, execute):
    """In the text, where it is collapsed wherever people read, or in a cell that is collapsed in JupyterLab."""
    parts = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            found = re.findall(r"^### Exercise |^<summary>Solution</summary>$", cell.source, flags=re.MULTILINE)
            parts += ["exercise" if each.startswith("###") else "solution" for each in found]
        elif "solution" in cell.metadata.get("tags", []):
            assert cell.metadata["jupyter"]["source_hidden"] is True
            parts.append("solution")
    assert parts and parts == ["exercise", "solution"] * (len(parts) // 2)
    collapsed = texts(notebook).count("<summary>Solution</summary>")
    solved = execute.solutions(jupytext.read(path))
    assert len(solved) == collapsed
    assert notebook.metadata["minimonkey"].get("solved", []) == solved  # these ran when the notebook did


def test_the_index_is_made_of_the_notebooks(repository, monkeypatch, tmp_path, execute):
    folder = repository / "notebooks"
    for path in folder.glob("*.ipynb"):
        shutil.copy(path, tmp_path)
    monkeypatch.setattr(execute, "FOLDER", tmp_path)
    execute.write_index()
    assert (tmp_path / "README.md").read_text("utf-8") == (folder / "README.md").read_text("utf-8")
    for image in (tmp_path / "images").iterdir():
        assert image.read_bytes() == (folder / "images" / image.name).read_bytes()


SOLVED = '''\
# %% [markdown]
"""
### Exercise 1

<details>
<summary>Solution</summary>

```python
assert known == {known}
```

</details>
"""

# %%
known = 1
'''


@pytest.mark.slow
def test_solutions_run_behind_the_notebook_and_may_not_fail(execute, tmp_path):
    right, wrong = tmp_path / "00_right.py", tmp_path / "01_wrong.py"
    right.write_text(SOLVED.format(known=1), encoding="utf-8")
    wrong.write_text(SOLVED.format(known=2), encoding="utf-8")
    notebook = execute.execute(right)
    assert [cell.cell_type for cell in notebook.cells] == ["markdown", "code"]
    assert notebook.metadata["minimonkey"]["solved"] == ["assert known == 1\n"]
    with pytest.raises(CellExecutionError):
        execute.execute(wrong)


def test_sliders_draw_what_was_chosen(course, monkeypatch):
    made, given = {}, []
    widgets = types.ModuleType("ipywidgets")
    widgets.__spec__ = importlib.machinery.ModuleSpec("ipywidgets", None)
    widgets.SelectionSlider = lambda options, continuous_update: options
    widgets.interact = lambda draw, **sliders: made.update(draw=draw, sliders=sliders)
    monkeypatch.setitem(sys.modules, "ipywidgets", widgets)
    course.explore(lambda **values: given.append(values) or pyplot.figure(), tiles=range(2, 4), rule=("any",))
    assert made["sliders"] == {"tiles": [2, 3], "rule": ["any"]}
    before = pyplot.get_fignums()
    assert isinstance(made["draw"](tiles=3, rule="any"), pyplot.Figure) and given == [{"tiles": 3, "rule": "any"}]
    assert pyplot.get_fignums() == before, "the figure would be shown twice"


def test_without_widgets_there_is_no_slider(course, monkeypatch):
    monkeypatch.setattr(course.importlib.util, "find_spec", lambda name: None)
    assert course.explore(lambda: 1 / 0) is None


def test_a_run_is_kept_with_its_notebook_and_machine(course, tmp_path):
    path = tmp_path / "new" / "run.json"
    assert course.read_run(path) == {}
    course.keep_run(path, "12_real_documents", {"receipts": 2})
    kept = course.read_run(path)
    assert list(kept) == ["by", "receipts", "machine"] and kept["receipts"] == 2
    assert kept["by"] == "notebooks/12_real_documents.py with FAST=0" and "torch" in kept["machine"]
    course.keep_run(path, "12_real_documents", kept | {"receipts": 3})
    assert course.read_run(path) == kept | {"receipts": 3}


def adds_up(record):
    return record is not None and 2 * record.get("total", 0) == sum(record.values())


WANTED = [{name: 1, "other": 2, "total": 3} for name in ("bread", "milk", "root", "salt", "tea")]
READ = [
    {"bread": 1, "other": 2, "total": 3},  # right
    {"milk": 1, "other": 2, "toal": 3},  # no total, but all numbers are right
    {"foxt": 1, "other": 2, "total": 3},  # adds up, and is mended to another article
    {"salt": 7, "other": 2, "total": 3},  # another sum
    None,
]


def mended(record):
    names = {"toal": "total", "foxt": "format"}
    return record and {names.get(name, name): number for name, number in record.items()}


def test_refusals_are_counted_by_their_reason(module):
    refusals = module("refusals")
    found = refusals.why(READ, WANTED, adds_up)
    assert found == {"refused": 3, "no total": 1, "another sum": 1, "no record": 1, "right numbers": 1}
    line = "3 refused: no 'total' in 1, another sum in 1, no record in 1; all numbers right in 1"
    assert refusals.reasons(found) == line


def test_two_checks_that_refuse_as_many_are_counted_apart(module):
    refusals = module("refusals")
    right, refused = [True, True, False, False, False], [True, False, False, True, False]
    found = refusals.count_checks([0.9, 0.2, 0.8, 0.7, 0.1], right, refused)  # doubt refuses 0.1 and 0.2
    assert {name: list(check.values()) for name, check in found.items()} == {
        "sum": [2, 2, 1, 1, 1],
        "doubt": [2, 2, 1, 1, 1],
    }
    found = refusals.count_checks([0.1, 0.2, 0.8, 0.7, 0.9], right, [False, False, True, True, False])
    assert list(found["sum"].values()) == [2, 1, 0, 0, 0]
    assert list(found["doubt"].values()) == [2, 3, 2, 2, 2]
    assert refusals.check_rows({"scans": found}) == [
        ["sum, scans", 2, 1, 0, "", ""],
        ["doubt, scans", 2, 3, 2, "0.500", "0.125"],
    ]


def test_after_mending_the_sum_gives_a_wrong_name(module):
    refusals = module("refusals")
    found = refusals.after_mending(READ, WANTED, adds_up, mended, [0.9, 0.8, 0.7, 0.6, 0.5])
    assert list(found["stages"].values()) == [(1, 3, 1), (1, 1, 3), (2, 1, 2)]
    assert found["reasons"]["refused"] == 3
    assert found["checks"]["sum"] == found["checks"]["doubt"]
    given = {"format": 1, "other": 2, "total": 3}
    assert found["wrong"] == [{"read": READ[2], "given": given, "right": WANTED[2]}]


def test_scoring_is_a_smaller_part_of_more_layers(module):
    measured, course = module("measured"), module("course")
    prefill = course.read_run(course.ROOT / "benchmarks" / "speed" / "results.json")["prefill"]
    few, many = (measured.counted_parts(prefill, layers) for layers in (8, 30))
    assert few[0] == pytest.approx(many[0]) and few[2] == pytest.approx(many[2])  # left of a layer, scoring in layers
    assert few[1] * 8 == pytest.approx(many[1] * 30) == pytest.approx(few[2])
    everything = measured.counted_parts(prefill | {"kept_tokens": prefill["tokens"]}, 8)
    assert everything == pytest.approx((1, *few[1:])) and sum(few[:2]) == pytest.approx(0.76, abs=0.005)

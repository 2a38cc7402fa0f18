"""Writes RESULTS.md and GEOMETRY.md, with their figures, from the readings."""

from pathlib import Path

import pandas as pd

from benchmarks.sawtooth.report.across_models import models_sections
from benchmarks.sawtooth.report.comparisons import Tables, training_comparisons, with_and_without_cip
from benchmarks.sawtooth.report.figures import draw_results
from benchmarks.sawtooth.report.geometry import draw_geometry, geometry_report
from benchmarks.sawtooth.report.per_model import SECTIONS, model_section
from benchmarks.sawtooth.report.questions import questions_section
from benchmarks.sawtooth.report.readings import load_all
from benchmarks.sawtooth.runner import FOLDER


def results_report(tables: dict[str, Tables]) -> str:
    """The text of RESULTS.md, from the readings by measurement and model."""
    sweeps, pages = tables["sweep"], tables["page"]
    models, trainings = with_and_without_cip(sweeps), training_comparisons(sweeps, pages)
    names = sorted({name for found in tables.values() for name in found})
    lines = [
        "# The sawtooth",
        "",
        "Written by `make bench-sawtooth` from the readings in `results/`; change the scripts, not this file.",
        "",
        "Does cutting an image into tiles break what stands on the cut lines, and does a second grid mend it? One",
        "short word, never seen in training, is moved over the image in steps of an eighth of a tile",
        "(`measurements/moved_word.py`), and pages of a few words are read (`measurements/pages.py`), cut in fourteen",
        "ways (`cutting.py`).",
        "",
        *questions_section(models, pages, tables["compression"], tables["steering"], trainings),
        *models_sections(models, pages, trainings),
        *[line for name in names for line in model_section(name, tables)],
    ]
    return "\n".join(lines)


def load_results(folder: Path = FOLDER) -> dict[str, Tables]:
    """The readings in a folder, by measurement and model."""
    return {measurement: load_all(folder, measurement) for measurement in SECTIONS}


def write_reports(folder: Path = FOLDER.parent) -> None:
    """Write both reports of the benchmark's folder."""
    tables = load_results(folder / "results")
    (folder / "RESULTS.md").write_text(results_report(tables), encoding="utf-8")
    draw_results(tables, folder / "results")
    geometry = pd.read_csv(folder / "geometry.csv")
    (folder / "GEOMETRY.md").write_text(geometry_report(geometry), encoding="utf-8")
    draw_geometry(geometry, folder / "geometry.png")

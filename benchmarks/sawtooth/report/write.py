"""Writes RESULTS.md, a file per model, GEOMETRY.md and PRETRAINED.md, with their figures, from the readings."""

from pathlib import Path

import pandas as pd

from benchmarks.sawtooth.measurements.cut_words import CutWords, LegibleWords
from benchmarks.sawtooth.report.across_models import models_sections
from benchmarks.sawtooth.report.comparisons import Tables, trained_with, training_comparisons, with_and_without_cip
from benchmarks.sawtooth.report.cut_words import asked_gains, asked_section
from benchmarks.sawtooth.report.figures import draw_results, draw_sorts
from benchmarks.sawtooth.report.first_page import first_page
from benchmarks.sawtooth.report.geometry import draw_geometry, geometry_report
from benchmarks.sawtooth.report.per_model import SECTIONS, model_report
from benchmarks.sawtooth.report.pretrained import FIGURE, draw_tries, load_tries, pretrained_report
from benchmarks.sawtooth.report.questions import questions_section
from benchmarks.sawtooth.report.readings import load_all
from benchmarks.sawtooth.report.receipts import write_reader
from benchmarks.sawtooth.report.second_grid import second_grid_section
from benchmarks.sawtooth.report.sorts import SortGain, moved_gains, page_gains
from benchmarks.sawtooth.runner import FOLDER
from benchmarks.tables import blocks, markdown_table


MEASURED = (*SECTIONS, CutWords.name, LegibleWords.name)


def sort_gains(tables: dict[str, Tables]) -> list[SortGain]:
    """Gains by what the detailed grid does to the words, of everything that was read."""
    return [*asked_gains(tables[CutWords.name]), *moved_gains(tables["sweep"]), *page_gains(tables["page"])]


def model_names(tables: dict[str, Tables]) -> list[str]:
    """The models that have a file of their own."""
    return sorted({name for measurement in SECTIONS for name in tables[measurement]})


def models_table(tables: dict[str, Tables]) -> list[str]:
    """A row per model: where its tables are, and how many readings of each measurement."""
    rows = []
    for name in model_names(tables):
        numbers = [len(tables[measurement].get(name, ())) or "" for measurement in SECTIONS]
        rows.append([f"[{name}](results/{name}.md)", trained_with(name), *numbers])
    head = ["model", "trained with", *SECTIONS]
    return blocks(
        "## Model by model",
        "Every method on every model, with figures: a word moved over the image (`sweep`), pages, compression, whose "
        "attention scores tokens (`scoring`) and whether the question steers it. Numbers of readings.",
        markdown_table(head, rows, right=tuple(SECTIONS)),
    )


def results_report(tables: dict[str, Tables], gains: list[SortGain]) -> str:
    """The text of RESULTS.md, from the readings by measurement and model, and `sort_gains` of them."""
    sweeps, pages = tables["sweep"], tables["page"]
    models, trainings = with_and_without_cip(sweeps), training_comparisons(sweeps, pages)
    lines = [
        "# The sawtooth",
        "",
        *first_page(tables, trainings, gains),
        *blocks(
            "How it was measured: one short word, never seen in training, is moved over the image in steps of an "
            "eighth of a tile (`measurements/moved_word.py`), and pages of a few words are read "
            "(`measurements/pages.py`), cut in fourteen ways (`cutting.py`). Written by `make bench-sawtooth` from "
            "the readings in `results/`; change the scripts, not this file."
        ),
        *asked_section(tables[CutWords.name]),
        *second_grid_section(tables[CutWords.name], tables[LegibleWords.name]),
        *questions_section(models, pages, tables["compression"], tables["steering"], trainings),
        *models_sections(models, pages, trainings, gains),
        *models_table(tables),
    ]
    return "\n".join(lines)


def load_results(folder: Path = FOLDER) -> dict[str, Tables]:
    """The readings in a folder, by measurement and model."""
    return {measurement: load_all(folder, measurement) for measurement in MEASURED}


def write_reports(folder: Path = FOLDER.parent) -> None:
    """Write the three reports of the benchmark's folder, and a file for every model in `results/`."""
    results = folder / "results"
    tables = load_results(results)
    gains = sort_gains(tables)
    (folder / "RESULTS.md").write_text(results_report(tables, gains), encoding="utf-8")
    for name in model_names(tables):
        (results / f"{name}.md").write_text(model_report(name, tables), encoding="utf-8")
    draw_results(tables, results)
    draw_sorts(gains, results / "cuts.png")
    geometry = pd.read_csv(folder / "geometry.csv")
    (folder / "GEOMETRY.md").write_text(geometry_report(geometry), encoding="utf-8")
    draw_geometry(geometry, folder / "geometry.png")
    tries = load_tries(results)
    (folder / "PRETRAINED.md").write_text(pretrained_report(tries) + write_reader(results, folder), encoding="utf-8")
    draw_tries(tries, folder / FIGURE)

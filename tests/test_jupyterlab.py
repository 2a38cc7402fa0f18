"""JupyterLab itself opens a notebook and runs it, in headless Chromium: `make test-jupyterlab`."""

import json
import re
import secrets
import shutil
import sys
import time
from pathlib import Path

import nbformat
import pytest

from tests.servers import CHROMIUM, free_port, running


playwright = pytest.importorskip("playwright.sync_api", reason="installed by `make test-jupyterlab`")
pytest.importorskip("jupyterlab", reason="installed by `make test-jupyterlab`")

pytestmark = pytest.mark.browser

NOTEBOOK = "02_complementary_image_pyramid"
# Without windowing every cell is in the page, seen or not
SETTINGS = {"@jupyterlab/notebook-extension/tracker.jupyterlab-settings": {"windowingMode": "none"}}


@pytest.fixture
def course(repository, tmp_path) -> Path:
    """The repository with a notebook that was never run."""
    for name in ("benchmarks", "checkpoints", "examples", "modeling_minimonkey", "processing_minimonkey", "tests"):
        (tmp_path / name).symlink_to(repository / name)
    shutil.copytree(repository / "notebooks", tmp_path / "notebooks")
    path = tmp_path / "notebooks" / f"{NOTEBOOK}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(notebook, path)
    return tmp_path


@pytest.fixture
def address(course):
    """Where JupyterLab shows the notebook."""
    for name, settings in SETTINGS.items():
        path = course / "settings" / name
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(settings))
    port, token = free_port(), secrets.token_hex(16)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    command += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={course}"]
    command += [f"--LabApp.user_settings_dir={course / 'settings'}", f"--LabApp.workspaces_dir={course / 'spaces'}"]
    server = f"http://127.0.0.1:{port}"
    with running(command, f"{server}/api?token={token}", course / "log"):
        yield f"{server}/lab/tree/notebooks/{NOTEBOOK}.ipynb?token={token}"


def test_a_notebook_runs_and_shows_its_figures(address, course):
    path = course / "notebooks" / f"{NOTEBOOK}.ipynb"
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM)
        page = browser.new_page(viewport={"width": 1300, "height": 1600})
        page.goto(address)
        page.locator(".jp-Notebook .jp-CodeCell").first.wait_for(timeout=120_000)
        page.locator(".jp-NotebookPanel-toolbar .jp-Toolbar-kernelName", has_text="Python 3").wait_for(timeout=60_000)
        page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Run$")).click()
        page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Run All Cells$")).click()
        for _ in range(120):  # a collapsed cell has no prompt in the page: what JupyterLab saves has all
            time.sleep(5)
            page.keyboard.press("Control+s")
            cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
            failed = [cell for cell in cells if any(output.output_type == "error" for output in cell.outputs)]
            if failed or cells[-1].execution_count:
                break
        assert not failed, failed[0]
        figures = page.locator(".jp-OutputArea-output img")
        widths = figures.evaluate_all("images => images.map(image => image.naturalWidth)")
        collapsed = page.locator(".jp-CodeCell .jp-InputPlaceholder, .jp-CodeCell .jp-Placeholder").count()
        figures.first.scroll_into_view_if_needed()
        page.screenshot(path=course / "jupyterlab.png")
        browser.close()
    assert not [output for cell in cells for output in cell.outputs if output.get("name") == "stderr"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    shown = [output for cell in cells for output in cell.outputs if "image/png" in output.get("data", {})]
    assert len(widths) == len(shown) and min(widths) > 300
    assert collapsed == sum(cell.metadata.get("jupyter", {}).get("source_hidden", False) for cell in cells)

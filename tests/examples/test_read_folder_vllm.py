"""The script that reads all pages of a folder, through vLLM: `make test-vllm` runs this where vLLM is installed."""

import json
import os
import subprocess
import sys

import pytest


pytest.importorskip("vllm", reason="vLLM has an environment of its own")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(page, tmp_path_factory):
    """Pages that the small checkpoint reads well enough to end by itself, and two that nobody can read."""
    folder = tmp_path_factory.mktemp("scans")
    for number, size in enumerate([(300, 220), (336, 224), (280, 190), (240, 240), (600, 200)]):
        page.resize(size).save(folder / f"page {number}.png")
    page.convert("RGBA").rotate(90, expand=True).save(folder / "on its side.webp")
    (folder / "cut.png").write_bytes((folder / "page 0.png").read_bytes()[:3000])
    (folder / "text.png").write_text("no image")
    return folder


def run(repository, folder, output, *options) -> dict[str, dict]:
    script = str(repository / "examples" / "read_folder.py")
    command = [sys.executable, script, str(folder), str(output), "--model"]
    command += [str(repository / "checkpoints" / "minimonkey-tiny"), "--batch_size", "2", *options]
    environment = os.environ | {"PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    found = {line.pop("page"): line for line in lines}
    assert len(found) == len(lines)
    return found


@pytest.mark.parametrize("options", [[], ["--pyramid", "docvqa"]], ids=["plain", "docvqa"])
def test_both_engines_write_the_same_lines(repository, folder, tmp_path, options):
    options = ["--max_new_tokens", "22", *options]
    ours = run(repository, folder, tmp_path / "ours.jsonl", *options)
    theirs = run(repository, folder, tmp_path / "theirs.jsonl", "--engine", "vllm", *options)
    assert len(ours) == 8 and {page for page, line in ours.items() if "error" in line} == {"cut.png", "text.png"}
    assert ours.keys() == theirs.keys()
    for page, line in ours.items():
        if "error" in line:
            assert line["error"].partition(": ")[2] in theirs[page]["error"]
        else:
            assert line == theirs[page], page
    assert False in {line.get("complete") for line in theirs.values()}

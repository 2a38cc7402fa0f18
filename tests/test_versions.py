"""Outside the range of Transformers, every entrance says so in one sentence, before anything is missed."""

import configparser
import importlib.util
import json
import os
import shutil
import subprocess
import sys

import pytest


IMPORT = """
import importlib, json, sys
refusals = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ImportError as error:
        refusals[name] = str(error)
print(json.dumps(refusals))
"""


@pytest.fixture(scope="module")
def supported(repository) -> str:
    settings = configparser.ConfigParser()
    settings.read(repository / "setup.cfg", encoding="utf-8")
    (line,) = (line for line in settings["options"]["install_requires"].splitlines() if "transformers" in line)
    return line.replace(" ", "")


@pytest.fixture(scope="module")
def entrances(repository) -> list[str]:
    """The packages, and the files of a Hub folder that its configurations name."""
    text = "".join(
        (repository / "checkpoints" / "minimonkey-tiny" / name).read_text()
        for name in ("config.json", "processor_config.json")
    )
    files = [path.stem for path in (repository / "checkpoints" / "minimonkey-tiny").glob("*.py")]
    named = [f"hub_folder.{name}" for name in files if f'"{name}.' in text]
    assert len(named) == 4
    return ["modeling_minimonkey", "processing_minimonkey", "processing_minimonkey.plug_in", *named]


@pytest.mark.parametrize("version", ["4.57.6", "5.22.2", "6.0.0"])
def test_other_releases_are_refused_before_they_are_missed(repository, supported, entrances, tmp_path, version):
    # A release of which nothing but this module exists: an import before the check would be another error
    stand_in = tmp_path / "transformers" / "utils"
    stand_in.mkdir(parents=True)
    for package in (stand_in, stand_in.parent):
        (package / "__init__.py").touch()
    shutil.copy(importlib.util.find_spec("transformers.utils.versions").origin, stand_in)
    shutil.copytree(repository / "checkpoints" / "minimonkey-tiny", tmp_path / "hub_folder", ignore=only_code)
    (tmp_path / "transformers-0.dist-info").mkdir()
    (tmp_path / "transformers-0.dist-info" / "METADATA").write_text(f"Name: transformers\nVersion: {version}\n")
    environment = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{repository}"}
    command = [sys.executable, "-c", IMPORT, *entrances]
    process = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    refusals = json.loads(process.stdout)
    assert refusals.keys() == set(entrances)
    for name, message in refusals.items():
        assert message.startswith(f"{supported} is required"), name
        assert message.endswith(f"found transformers=={version}."), name


def only_code(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if not name.endswith(".py")]

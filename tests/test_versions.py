"""The range of Transformers: refused below, warned about above, and there tried before the first use."""

import configparser
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from processing_minimonkey.processing_releases import NEWEST, OLDEST
from tests.forks import forks


MAJOR, MINOR = map(int, NEWEST.split("."))
TESTED = f"{OLDEST} to {NEWEST}"


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

# A release from the future: the installed one under another name, with `change` done to it first.
FUTURE = """
import json, sys
import transformers
{change}
sys.modules["transformers"].__version__ = "{version}"  # loading a part of the library has put another module there
import torch
from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from processing_minimonkey import MiniMonkeyProcessor
from tests.modeling.conftest import tiny_config
try:
    model = MiniMonkeyForConditionalGeneration(tiny_config())
    ids = model.generate(torch.tensor([[5, 6, 8]]), max_new_tokens=2, do_sample=False)
    model.generate(torch.tensor([[5, 6, 8]]), max_new_tokens=2, do_sample=False)
    print(json.dumps(ids.shape[1]))
except ImportError as error:
    print(json.dumps(str(error)))
"""

NO_CACHE = """
original = transformers.InternVLForConditionalGeneration.forward
def forward(self, *args, cache=None, past_key_values=None, **kwargs):
    return original(self, *args, **kwargs)
forward.__signature__ = __import__("inspect").signature(original)
transformers.InternVLForConditionalGeneration.forward = forward
"""

SHIFTED_FEATURES = """
original = transformers.InternVLModel.forward
def forward(self, *args, mm_encoder_outputs=None, **kwargs):
    if mm_encoder_outputs:
        features = mm_encoder_outputs["image"]
        features = type(features)(pooler_output=features.pooler_output.roll(1, dims=-2))
        mm_encoder_outputs = {"image": features}
    return original(self, *args, mm_encoder_outputs=mm_encoder_outputs, **kwargs)
forward.__signature__ = __import__("inspect").signature(original)
transformers.InternVLModel.forward = forward
"""

ERROR = """
def forward(self, *args, **kwargs):
    raise TypeError("no such argument")
forward.__signature__ = __import__("inspect").signature(transformers.InternVLModel.forward)
transformers.InternVLModel.forward = forward
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


def test_one_range(repository, supported):
    """setup.cfg, both packages and the tested pin say the same."""
    from modeling_minimonkey import transformers_releases
    from processing_minimonkey import processing_releases

    floor = transformers_releases.FLOOR
    assert supported == f"transformers>={floor},<6"
    assert (floor, transformers_releases.NEWEST) == (processing_releases.OLDEST, processing_releases.NEWEST)
    (pin,) = re.findall(r"^transformers==(.*)$", (repository / "constraints.txt").read_text(), flags=re.MULTILINE)
    assert pin.startswith(f"{transformers_releases.NEWEST}.")


@pytest.mark.parametrize("version", ["4.57.6", "5.18.0"])
def test_older_releases_are_refused_before_they_are_missed(repository, supported, entrances, tmp_path, version):
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
        assert message.startswith(f"{supported.removesuffix(',<6')} is required"), name
        assert message.endswith(f"found transformers=={version}."), name


def only_code(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if not name.endswith(".py")]


@pytest.fixture(scope="module")
def run(repository, tmp_path_factory):
    """Runs a script in a process of its own that has imported Transformers."""
    with forks(repository, tmp_path_factory.mktemp("outputs")) as run:
        yield run


@pytest.fixture
def future(run):
    """`future(change, version)`: what a model of the future says, and the warnings that it wrote."""

    def run_future(change: str = "", version: str = "5.99.0.dev0") -> tuple[int | str, str]:
        process = run(FUTURE.replace("{change}", change).replace("{version}", version))
        assert process.returncode == 0, process.stderr[-2000:]
        return json.loads(process.stdout.splitlines()[-1]), process.stderr

    return run_future


class TestNewerReleases:
    @pytest.mark.parametrize("version", ["5.99.0.dev0", f"{MAJOR}.{MINOR + 1}rc1", "6.0.0"])
    def test_one_warning_for_both_packages(self, future, version):
        answer, warnings = future(version=version)
        assert answer == 5
        assert warnings.count(f"newer than the releases that Mini-Monkey was tested with ({TESTED})") == 1

    @pytest.mark.parametrize("version", [f"{NEWEST}.0", f"{NEWEST}.7", f"{OLDEST}.0"])
    def test_none_for_a_tested_one(self, future, version):
        answer, warnings = future(version=version)
        assert answer == 5
        assert "newer than" not in warnings

    def test_a_cache_that_does_not_arrive(self, future):
        answer, _ = future(NO_CACHE)
        assert answer.startswith("Mini-Monkey does not work with Transformers 5.99.0.dev0: ")
        assert "generate differs with and without a cache" in answer
        assert answer.endswith(f"It is tested with {TESTED}; please install one of those.")

    def test_features_in_the_wrong_places(self, future):
        assert "image features do not stand where the image tokens are" in future(SHIFTED_FEATURES)[0]

    def test_an_error_of_the_library(self, future):
        assert "a tiny model fails with TypeError: no such argument" in future(ERROR)[0]

    def test_a_tested_release_is_not_tried(self, future):
        """There the same damage goes its way: trying would cost every process a second."""
        assert future(NO_CACHE, version=f"{NEWEST}.0")[0] == 5

    @pytest.mark.parametrize(
        ("change", "part"),
        [
            (
                "from transformers import InternVLModel, masking_utils; del masking_utils.create_masks_for_generate",
                "create_masks_for_generate",
            ),
            ("del transformers.InternVLModel.get_placeholder_mask", "InternVLModel.get_placeholder_mask"),
        ],
    )
    def test_a_part_that_is_missing(self, run, change, part):
        process = run(f"import transformers\n{change}\nimport modeling_minimonkey")
        message = next(line for line in process.stderr.splitlines() if line.startswith("ImportError"))
        assert message.startswith("ImportError: Mini-Monkey needs `transformers") and part in message
        assert f"does not have. It is tested with Transformers {TESTED}" in message

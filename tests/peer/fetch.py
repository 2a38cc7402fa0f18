"""Fetch the common tests of the installed Transformers release, from its source distribution on PyPI.

    python tests/peer/fetch.py build/peer

They are not part of this repository. The distribution lacks a few modules that the common tests import: what stands in
for those adds no test and leaves none out that is about a model like ours.
"""

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import transformers
from PIL import Image


STAND_INS = {
    "transformers_tests/__init__.py": "",
    "transformers_tests/exporters/__init__.py": "",
    "transformers_tests/exporters/test_export.py": "class ExportTesterMixin:\n    pass\n",
    "transformers_tests/generation/__init__.py": "",
    "transformers_tests/generation/test_utils.py": "class GenerationTesterMixin:\n    pass\n",
    "transformers_tests/utils/__init__.py": "",
    # Only read for configurations without sub-configurations
    "transformers_tests/utils/test_configuration_utils.py": "config_common_kwargs = {}\n",
    # One image for all that a Hub would give
    "utils/fetch_hub_objects_for_ci.py": """\
from pathlib import Path


def url_to_local_path(url):
    return str(Path(__file__).with_name("image.png"))
""",
}


def fetch(target: Path) -> None:
    """Put the tests into `target / "transformers_tests"`, a package that any interpreter with pytest can import."""
    release = f"transformers=={transformers.__version__}"
    with tempfile.TemporaryDirectory() as folder:
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-build-isolation"]
        subprocess.run([*download, "--no-binary", ":all:", "--dest", folder, release], check=True)
        (archive,) = Path(folder).glob("*.tar.gz")
        with tarfile.open(archive) as file:
            members = [member for member in file.getmembers() if "/tests/test_" in member.name]
            file.extractall(folder, members, filter="data")
        (tests,) = Path(folder).glob("*/tests")
        for path in tests.glob("*.py"):
            copy = target / "transformers_tests" / path.name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    for name, text in STAND_INS.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(text, encoding="utf-8")
    Image.effect_noise((60, 40), 60).convert("RGB").save(target / "utils" / "image.png")


if __name__ == "__main__":
    fetch(Path(sys.argv[1]))

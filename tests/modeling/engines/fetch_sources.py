"""Fetch the newest released sources of vLLM and SGLang, as far as the contract is about them.

    python tests/modeling/engines/fetch_sources.py build/engines

Neither can be installed without CUDA, but their Python files can be read: `build/engines/vllm` and `.../sglang`.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path


SOURCES = {"vllm": "vllm==0.33.0", "sglang": "sglang==0.5.23"}  # the first has a source distribution, the other wheels


def fetch(target: Path) -> None:
    """Put the Python files of each package into `target / name / name`."""
    for name, release in SOURCES.items():
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
            if name == "vllm":  # nothing is compiled, but its setup has to run and to tell this version
                command += ["--no-build-isolation", "--no-binary", name]
            setup = {"VLLM_TARGET_DEVICE": "empty", "VLLM_VERSION_OVERRIDE": release.partition("==")[2]}
            subprocess.run([*command, release], check=True, env=os.environ | setup)
            (archive,) = Path(folder).iterdir()
            unpack(archive, name, target / name)


def unpack(archive: Path, name: str, target: Path) -> None:
    """The Python files of one package, below the archive's first folder if it is a source distribution."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as file:
            names = [each for each in file.namelist() if each.startswith(f"{name}/") and each.endswith(".py")]
            file.extractall(target, names)
        return
    with tarfile.open(archive) as file:
        for member in file.getmembers():
            member.name = member.name.partition("/")[2]
            if member.name.startswith(f"{name}/") and member.name.endswith(".py"):
                file.extract(member, target, filter="data")


if __name__ == "__main__":
    fetch(Path(sys.argv[1]))

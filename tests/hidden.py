"""Fresh processes that can import none of this project's packages, nor accelerate, as a user of the Hub has it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


# Hides the packages even where the project is installed; `python -I` hides the working directory and PYTHONPATH. The
# library asks by `find_spec` whether accelerate is there, and `None` says no.
PRELUDE = """
import importlib.abc, json, sys

class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("modeling_minimonkey", "processing_minimonkey"):
            raise ImportError(f"{name} is hidden")

sys.meta_path.insert(0, Hidden())
sys.modules["accelerate"] = None
arguments = json.loads(sys.argv[1])
import torch, transformers
torch.set_num_threads(1)
"""


def run_hidden(script: str, working_folder: Path, cache: Path, /, **arguments: Any) -> Any:
    """
    Run a script in a fresh process and give what its last line of output says, as JSON.

    Args:
        script: Python code; `arguments`, `json`, `torch` and `transformers` are there.
        working_folder: Where the process runs.
        cache: Hugging Face's cache, a folder that need not exist.
        arguments: Values for the script.
    """
    keep = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT") if name in os.environ}
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(cache), "OMP_NUM_THREADS": "1"}
    process = subprocess.run(
        [sys.executable, "-I", "-c", PRELUDE + script, json.dumps(arguments)],
        cwd=working_folder,
        env=keep | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr[-4000:]
    return json.loads(process.stdout.splitlines()[-1])

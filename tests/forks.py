"""
Processes that begin with Transformers imported, in a fraction of the time: forked from one that waits for them.

None of this project's packages is imported there, so that what they do as they are imported can be tested.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


SERVER = """
import json, os, sys, traceback
import torch
from transformers import AutoModel, AutoProcessor, DynamicCache, InternVLForConditionalGeneration, LlamaModel
torch.set_num_threads(1)  # threads do not survive a fork
for line in sys.stdin:
    job = json.loads(line)
    child = os.fork()
    if not child:
        for number, path in enumerate(job["outputs"], start=1):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
        status = 1
        try:
            exec(job["script"], {"__name__": "__main__"})
            status = 0
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@contextmanager
def forks(working_folder: Path, outputs: Path) -> Iterator[Callable[[str], subprocess.CompletedProcess]]:
    """
    Gives a function that runs a script in a process of its own and returns what became of it.

    Args:
        working_folder: where the scripts run; what lies there can be imported.
        outputs: a folder for what they write.
    """
    command, environment = [sys.executable, "-c", SERVER], os.environ | {"OMP_NUM_THREADS": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    count = 0

    def run(script: str) -> subprocess.CompletedProcess:
        nonlocal count
        count += 1
        paths = [outputs / f"{name} {count}" for name in ("stdout", "stderr")]
        server.stdin.write(json.dumps({"script": script, "outputs": [str(path) for path in paths]}) + "\n")
        server.stdin.flush()
        status = int(server.stdout.readline())
        return subprocess.CompletedProcess(script, status, *(path.read_text() for path in paths))

    with subprocess.Popen(command, cwd=working_folder, env=environment, **pipes) as server:
        yield run

"""A server of `examples/serve.py` for the notebooks, which ends with the kernel at the latest."""

import atexit
import subprocess
import sys
from pathlib import Path

import course
from tests.servers import free_port, running


def start(checkpoint: Path, log: Path) -> tuple[subprocess.Popen, str]:
    """
    Start a server of `checkpoint` on this machine, and wait until it answers.

    Args:
        checkpoint: The model's folder.
        log: The file that it writes to; an error shows its end.

    Returns:
        The process and its address.
    """
    address = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, str(course.ROOT / "examples" / "serve.py")]
    command += [str(checkpoint), "--trust-remote-code", "--host", "127.0.0.1"]
    command += ["--port", address.rpartition(":")[2]]
    command += ["--device", "cpu", "--dtype", "float32"]
    server = running(command, f"{address}/health", log)
    process = server.__enter__()
    # Whatever fails before the notebook ends it
    atexit.register(server.__exit__, None, None, None)
    return process, address

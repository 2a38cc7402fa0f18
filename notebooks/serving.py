"""A server of `examples/serve.py` for the notebooks, which ends with the kernel at the latest."""

import atexit
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import course


def start(checkpoint: Path, log: Path, seconds: float = 300) -> tuple:
    """
    Start a server of `checkpoint` on this machine, and wait until it answers.

    Args:
        checkpoint: The model's folder.
        log: The file that it writes to.
        seconds: How long to wait.

    Returns:
        The process and its address.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(course.ROOT / "examples" / "serve.py")]
    command += [str(checkpoint), "--trust-remote-code", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--device", "cpu", "--dtype", "float32"]
    with log.open("w") as file:
        server = subprocess.Popen(command, stdout=file, stderr=file)
    atexit.register(server.kill)  # whatever fails before the notebook ends it
    address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + seconds
    while server.poll() is None and time.monotonic() < deadline:
        try:
            urlopen(f"{address}/health", timeout=10)
        except (URLError, TimeoutError):
            time.sleep(0.5)
        else:
            return server, address
    server.kill()
    raise RuntimeError(
        f"The server did not answer. It wrote:\n{log.read_text()[-2000:]}"
    )

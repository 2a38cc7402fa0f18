"""Servers that tests start: on a free port of the loopback device, waited for, ended with the test."""

import contextlib
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path


# Of Chromium: headless, offline, as root
CHROMIUM = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
CHROMIUM += ["--disable-background-networking", "--disable-component-update"]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def running(command: list[str], address: str, log: Path, **options: str) -> Iterator[subprocess.Popen]:
    """
    Run `command` from when it answers at `address` until the block ends.

    Args:
        command: starts the server.
        address: a URL that the server answers as soon as it is ready.
        log: takes what the server writes, and is shown if it ends before it answers.
        options: environment variables beside those of the tests.
    """
    with log.open("w") as file:
        environment = os.environ | {"OMP_NUM_THREADS": "1"} | options
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file, cwd=log.parent)
    try:
        for _ in range(3000):  # five minutes, for a machine that is busy
            try:
                urllib.request.urlopen(address, timeout=5)
                break
            except OSError:
                assert process.poll() is None, log.read_text()[-3000:]
                time.sleep(0.1)
        else:
            raise TimeoutError(log.read_text()[-3000:])
        yield process
    finally:
        process.terminate()
        process.wait()

"""Servers that tests start: on a free port of the loopback device, waited for, ended with the test."""

import contextlib
import os
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
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


def send(url: str, body: bytes | None = None, kind: str = "application/json") -> tuple[int, str]:
    """Status and text of the answer to a GET, or with `body` a POST."""
    try:
        request = urllib.request.Request(url, body, {"Content-Type": kind})
        with urllib.request.urlopen(request, timeout=300) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")


def memory_under_load(process: int, client: Callable[[int], None], clients: int) -> list[int]:
    """
    Run `client(number)` in so many threads at once, until all have ended.

    Returns:
        Bytes that the process holds, once a second.
    """
    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    memory = []
    while any(thread.is_alive() for thread in threads):
        time.sleep(1)
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        memory.append(pages * os.sysconf("SC_PAGE_SIZE"))
    return memory

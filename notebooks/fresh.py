"""A fresh process for 09: the code of a card, where neither this project nor accelerate can be imported."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp

import course
from tests.hidden import PRELUDE


RUN = """
from contextlib import redirect_stdout
from io import StringIO
said = []
for code in arguments["codes"]:
    names = {}
    with redirect_stdout(StringIO()) as printed:
        exec(code, names)
    said.append(printed.getvalue().strip())
print(json.dumps({"said": said, "module": type(names["model"]).__module__}))
"""


def verified(name: str, revision: str) -> str:
    """What `examples/verify.py` prints of a repository; its exit code is 1, and this fails, if the code differs."""
    script = course.ROOT / "examples" / "verify.py"
    command = [sys.executable, str(script), name, "--revision", revision]
    options = {"capture_output": True, "text": True, "check": True}
    return subprocess.run(command, **options).stdout.strip()


def run(codes: list[str], hub) -> dict:
    """
    Run pieces of code one after the other in one process, in a new folder that holds nothing but `page.png`.

    Args:
        codes: Python code that prints an answer and leaves a `model`.
        hub: The `LocalHub` that it loads from.

    Returns:
        `said`, what each of them printed; `module`, where the code of the last model came from; and `files`, the names
        of all that was downloaded.
    """
    home = mkdtemp(prefix="elsewhere-")
    shutil.copy(course.PAGE, home)
    command = [sys.executable, "-P", "-W", "ignore", "-c", PRELUDE + RUN]
    command.append(json.dumps({"codes": codes}))
    options = {"env": os.environ | hub.env(home), "cwd": home}
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode:
        raise RuntimeError(done.stderr[-500:])
    snapshots = Path(home, "hub").glob("models--*/snapshots/*/*")
    files = sorted({path.name for path in snapshots})
    return json.loads(done.stdout.splitlines()[-1]) | {"files": files}

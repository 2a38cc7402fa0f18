"""Take every reading of the benchmark on every model at hand, then write the report: `make bench-sawtooth`.

The small checkpoint is always at hand; the others take hours to train (`make train`, `make train-families`), so their
readings stay in `results/` as they are where the models are missing. What is there already isn't read again.
"""

import subprocess
import sys
from pathlib import Path

from benchmarks.sawtooth.sweep import FOLDER


ROOT = Path(__file__).parents[2]
# Name of the results -> folder. Plain: CIP is new to the model. Control: trained on as long as pyramid, without CIP.
READERS = {
    "6m-plain": "runs/6m/again/model",
    "6m-control": "runs/6m/control/model",
    "6m-pyramid": "checkpoints/minimonkey-tiny",
    "3m-plain": "runs/3m/again/model",
    "3m-control": "runs/3m/control/model",
    "3m-pyramid": "runs/3m/pyramid/model",
    "3m-long-control": "runs/3m/joint_control/model",  # of `make train-longer`
    "3m-long-pyramid": "runs/3m/joint/model",
}
LARGE = ("detailed + global", "pyramid any", "pyramid disjoint", "pyramid joint")  # methods for letters of 32 px
FAMILY_STAGES = {"plain": "pages", "control": "control", "pyramid": "pyramid"}
FAMILIES = ("internvl", "llava_onevision", "minicpmv")


def commands() -> list[list[str]]:
    found = [["geometry"]]
    for name, folder in READERS.items():
        if (ROOT / folder).exists():
            found += [[task, folder, "--name", name] for task in ("sweep", "page", "compression")]
            found.append(["sweep", folder, "--name", name, "--size", "32", "--methods", *LARGE])
            if not (FOLDER / f"steering-{name}.csv").exists():  # which begins anew every time
                found.append(["steering", folder, "--name", name])
    for family in FAMILIES:
        for name, stage in FAMILY_STAGES.items():
            folder = f"runs/{family}/{stage}/model"
            if (ROOT / folder).exists():
                found.append(["family_sweep", family, folder, "--name", f"{family}-{name}"])
                found.append([*found[-1], "--size", "32"])
    return [*found, ["report"]]


def main() -> None:
    for task, *options in commands():
        subprocess.run([sys.executable, "-m", f"benchmarks.sawtooth.{task}", *options], check=True, cwd=ROOT)


if __name__ == "__main__":
    main()

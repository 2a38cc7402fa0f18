"""What a pretrained recognizer reads of words that a grid cuts, by `make bench-recognizer`.

    python -m benchmarks.recognizer.run --pages 100
    python -m benchmarks.recognizer.run --report

Pages that are in readings.csv already are not read again; remove the file to read all anew. `--report` only writes
RESULTS.md and its figure, which needs no recognizer.
"""

import argparse
from pathlib import Path

from benchmarks.recognizer.reading import PPOCR, Recognized
from benchmarks.recognizer.report import write_report
from benchmarks.sawtooth.runner import record


FOLDER = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--pages", type=int, default=Recognized.pages, help="to read, 10 seconds each; ten make a figure"
    )
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder of the files written")
    parser.add_argument("--report", action="store_true", help="read nothing")
    arguments = parser.parse_args()
    if not arguments.report:
        record(Recognized(arguments.pages), PPOCR(), arguments.output / "readings.csv")
    write_report(arguments.output)


if __name__ == "__main__":
    main()

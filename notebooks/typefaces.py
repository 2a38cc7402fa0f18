"""What 08 draws, words in two typefaces, and the comparisons that a long run of it stores."""

from benchmarks.sawtooth.readers.rendering import (
    draw_page,
    generator,
    load_font,
    random_word,
)
from course import FAST, ROOT, keep_run, read_run


OLD, NEW = "DejaVuSans", "STIXGeneral"
TITLES = {NEW: "STIX (new)", OLD: "DejaVu Sans (old)"}
FILE = ROOT / "benchmarks" / "finetuning" / "results.json"


def x_height(font: str) -> int:
    """Of an "x" at 280 px."""
    _, top, _, bottom = load_font(font, 280).getbbox("x")
    return bottom - top


def draw(split: str, index: int, font: str):
    """
    A word of up to six characters in an image of 112 x 112 px.

    Args:
        split: "train", or one whose words are held out.
        index: Of the word; it is the same in all typefaces.
        font: Its typeface, set so that an "x" is as high as in `OLD`.
    """
    rng = generator(split, index)
    size = int(rng.integers(20, 29)) * x_height(OLD) / x_height(font)
    font = load_font(font, round(size))
    width = 112
    while width > 108:
        word = random_word(rng, held_out=split != "train", max_length=6)
        width = font.getlength(word)
    place = (rng.uniform(2, 111 - width), 56 + rng.uniform(-25, 25))
    return draw_page(rng, [[word]], [place], (112, 112), font)


def different(*numbers: int) -> str:
    """How many different words the first images of the test show, for several numbers of images."""
    texts = [draw("test", index, OLD).text for index in range(max(numbers))]
    return "\n".join(
        f"{number} images show {len(set(texts[:number]))} different words"
        for number in numbers
    )


def samples(tests: dict, number: int) -> dict:
    """The first pages of each typeface, from its title, for `course_plots.plot_samples`."""
    return {TITLES[font]: pages[:number] for font, pages in tests.items()}


def store(comparisons: dict, steps: int, words: int) -> None:
    """
    With `FAST=0` write comparisons to `FILE`, beside others of a run that is as long; otherwise do nothing.

    Args:
        comparisons: From a label to a dict from a typeface to (gained, lost, p).
        steps: Of each training.
        words: Of the test in each typeface.
    """
    if FAST:
        return
    found, run = read_run(FILE), {"steps": steps, "words": words}
    if {name: found.get(name) for name in run} != run:
        found = run | {"comparisons": {}}
    for label, fonts in comparisons.items():
        found["comparisons"][label] = {
            font: {"gained": gained, "lost": lost, "p": p, "n": words}
            for font, (gained, lost, p) in fonts.items()
        }
    keep_run(FILE, "08_fine_tune", found)


def runs(comparisons: dict, steps: int, words: int) -> dict:
    """
    The comparisons of this run (see `store`) and below them those that are stored.

    Returns:
        From a title to the words of the test in each typeface and the comparisons, for `schemes.plot_paired`.
    """
    found, long = {f"this run: {steps} steps": (words, comparisons)}, read_run(FILE)
    if FAST and long:
        found[f"the longer run: {long['steps']} steps"] = (
            long["words"],
            {
                label: {
                    font: (each["gained"], each["lost"], each["p"])
                    for font, each in fonts.items()
                }
                for label, fonts in long["comparisons"].items()
            },
        )
    return found

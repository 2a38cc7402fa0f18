"""What the paper claims beside what was measured here: rows of the tables in 01, 02 and 05, for `course.claims`."""

import course
import measured
from benchmarks.recognizer.scoring import share_read
from processing_minimonkey import PYRAMID_SETTINGS


SCORES = (
    "OCRBench 784 (InternVL2-2B) to 802 (Mini-Monkey 2B), TextVQA 73.4 to 75.7.",
    "Not measured here. By the authors' code the same weights reach 783 without CIP "
    "([issue 122](https://github.com/Yuliang-Liu/Monkey/issues/122)).",
)


def of_sawtooth(readings, to_control: str) -> tuple:
    """01: `readings` are the recognizer's; `to_control` is CIP minus a model that was trained as long without."""
    halved = readings[readings["kind"] == "row"]
    alone, any_rule, finer = (
        course.percent(share_read(halved, method))
        for method in ("detailed grid alone", "CIP any", "finer grid + global")
    )
    return (
        (
            "Cutting images into tiles breaks words and small objects: the semantic sawtooth.",
            "Yes, between rows, in the recognizer and in all three small readers. Between columns in the recognizer, "
            "too, but not shown in the small readers.",
        ),
        (
            "A second grid shows whole what the first one cuts.",
            f"Yes. The recognizer reads {alone} of the words halved between rows, {any_rule} with CIP, and {finer} "
            "with one finer grid.",
        ),
        (
            "CIP helps without training.",
            "The recognizer, yes. Our small readers read worse on the lines with CIP switched on "
            "(`plain` and `control` above).",
        ),
        (
            "CIP helps a model that is trained with it.",
            "Within that model, it reads more words with the second grid than without; on the lines of `pyramid` "
            "above that is not shown. A model trained as long with one grid reads more still (CIP minus that one, on "
            f"all words: {to_control}).",
        ),
        (
            "It does so across architectures (MiniCPM-V-2, InternVL2, LLaVA-OneVision).",
            "Small models of these three kinds are in [07](07_other_models.ipynb): one of them is helped after "
            "training.",
        ),
        SCORES,
    )


def of_pyramid(demo: dict) -> tuple:
    """02: `demo` has the rows of `geometry.csv` under the demo's ranges, by rule."""
    (_, detailed), (_, adaptive) = (
        PYRAMID_SETTINGS["train"][f"{name}_tiles"] for name in ("detailed", "adaptive")
    )
    counts = range(1, detailed + 1)
    grids = [(c, r) for c in counts for r in counts if 1 < c * r <= detailed]
    partners = [(c, r) for c in counts for r in counts if c * r <= adaptive]
    alone = [
        grid
        for grid in grids
        if not any(grid[0] % c and grid[1] % r for c, r in partners)
    ]
    plain, both = demo["detailed + global"], demo["any"]
    return (
        (
            "What one grid cuts, the other shows whole.",
            f"Mostly: under the demo's ranges {100 * plain['cut']:.1f}% of the words stay cut without a second grid "
            f"and {100 * both['cut']:.1f}% with it. A line can be common to both grids, as on the A4 page.",
        ),
        (
            "CIP is plug and play: no training, no parameters.",
            "It has no parameters. Whether a model reads better with it untrained is another question, which "
            "[01](01_semantic_sawtooth.ipynb) and [07](07_other_models.ipynb) measure.",
        ),
        (
            "Mini-Monkey was trained with CIP.",
            f"With the rule and ranges of training, {len(alone)} of the {len(grids)} detailed grids with more than "
            "one tile have no second grid, so images of their shapes were seen without one.",
        ),
        (
            "The second grid adds an overhead, which SCM is to reduce.",
            f"{both['tiles']:.1f} tiles a page in place of {plain['tiles']:.1f} under the demo's ranges; each is 256 "
            "tokens. [05](05_scale_compression.ipynb) takes some back.",
        ),
        SCORES,
    )


def of_compression(before, after_training, share: float) -> tuple:
    """05: readings before and after training under compression; `share` of the queries are image tokens."""
    published = measured.of_all_tokens(before, "all", 1, "repack", 0.5)
    layer_1, layer_2 = (
        measured.of_all_tokens(before, "question", layer, "keep", 0.5)
        for layer in (1, 2)
    )
    trained = measured.of_all_tokens(after_training, "question", 2, "keep", 0.5)
    return (
        (
            "SCM needs no training and adds no parameters.",
            f"It adds none. Without training, half of the detailed tokens by the published rule leave {published} % "
            f"of the words that all tokens read; after training with gaps, by the question, {trained} %.",
        ),
        (
            "The second layer of the language model knows which tokens matter.",
            "Not the best layer here. Without training, with the question as queries and positions kept, layer 1 "
            f"leaves {layer_1} % of those words, layer 2 {layer_2} %.",
        ),
        (
            "All tokens after the detailed ones are the queries.",
            f"{share:.0%} of them are image tokens here, and the score is mostly theirs.",
        ),
        (
            "SCM reduces the overhead of the second grid.",
            "Prompt and cache shrink as the formula says. Prefill of 4,944 tokens took 0.79 of the time (3.52 s for "
            "4.46 s, two CPU cores; `benchmarks/speed/RESULTS.md`).",
        ),
    )


def of_measurement(depths: tuple, gain: str, cut: dict, control: dict) -> tuple:
    """
    10: what one notebook of readings says.

    Args:
        depths: Of the small reader on lines between rows, without and with CIP.
        gain: Of the same reader by CIP on the lines.
        cut: Words cut between rows that the recognizer reads, by method.
        control: Words on pages minus the control's, from (model, rule) to an estimate.
    """
    joint, published = (
        "; ".join(
            f"{model} {course.percent(estimate, points=True)}"
            for (model, name), estimate in control.items()
            if name == rule
        )
        for rule in ("joint", "any")
    )
    return (
        (
            "Cutting an image into tiles breaks words on the cut lines.",
            f"Between rows, yes: {depths[0]} points of character accuracy in the reader above, 4.0 to 21.6 in all "
            "small readers, for certain in 17 of 18 readings. Between columns for certain in 4 of 18.",
        ),
        (
            "A second grid that cuts elsewhere mends it.",
            f"In the small reader above that is not shown: the depth is {depths[0]} without and {depths[1]} points "
            f"with it, the gain on the lines {gain}. A pretrained recognizer that is told where the words are reads "
            f"{cut['detailed + global']} % of the words cut between rows from one grid, {cut['CIP any']} % from two.",
        ),
        (
            "CIP is plug-and-play: other models can take it over.",
            "Its code is ([07](07_other_models.ipynb)). Without training, small readers of two families read worse "
            "with it, those of a third better, but not on the lines. After training one family gains, one loses, and "
            "in one no difference is shown.",
        ),
        (
            "A model that is trained with CIP is better.",
            f"By `joint`, not shown in two of three models, and barely in one: {joint}, against a control. By the "
            f"published rule worse in two of three: {published}. One training each.",
        ),
        ("It is better on thirteen benchmarks.", "Not measured here: see below."),
    )

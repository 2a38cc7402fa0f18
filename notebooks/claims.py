"""What the paper claims beside what was measured here: rows of the tables in 01, 02 and 05, for `course.claims`."""

from itertools import product

import compared
import course
import measured
import smollm
from benchmarks.recognizer.scoring import share_read
from processing_minimonkey import PYRAMID_SETTINGS


SCORES = (
    "OCRBench 784 (InternVL2-2B) to 802 (Mini-Monkey 2B), TextVQA 73.4 to 75.7.",
    "Not measured here. A user reports 783 for these weights with VLMEvalKit's InternVL code, which has no CIP, and "
    "later 800; with the authors' file it is 806, they write "
    "([issue 122](https://github.com/Yuliang-Liu/Monkey/issues/122)).",
)


def of_sawtooth(readings, best: tuple) -> tuple:
    """
    01: `readings` are the recognizer's; `best` is what the model trained longest reads more of all words than its
    control, trained for as many steps without CIP.
    """
    of_rows = readings[readings["kind"] == "row"]
    baseline, any_rule, finer = (
        course.percent(share_read(of_rows, method))
        for method in ("detailed + global", "CIP any", "finer grid + global")
    )
    everywhere = course.points(best)
    return (
        (
            "Cutting images into tiles breaks words and small objects: the semantic sawtooth.",
            "Yes, between rows, in the recognizer and in all three small readers. Between columns in the recognizer, "
            "too, but not shown in the small readers without a second grid.",
        ),
        (
            "A second grid shows whole what the first one cuts.",
            f"Yes. Of the words cut between rows the recognizer reads {baseline} with detailed + global, {any_rule} "
            f"with `any`, and {finer} with one finer grid. It is told where the words are.",
        ),
        (
            "CIP helps without training.",
            "It could: the recognizer, an upper bound, reads more with it. Our small readers of this kind read worse "
            "by `any`, on the lines and everywhere (`6m-plain` and `6m-control` above).",
        ),
        (
            "CIP helps a model that is trained with it.",
            "Within a model, yes: it reads more words with the second grid than without. Beside a control, trained "
            f"for as many steps with one grid, hardly: {everywhere} on pages at best (`joint`, trained longest, one "
            "seed), with `any` no more, or fewer. With three seeds no use of it is shown on cut words (*The last "
            "word* above, with the 9.4 points of the measure fixed before). One reader does use it, SmolLM2, on short "
            "receipts; on longer bills no use is shown (one seed, [10](10_measure.ipynb#Conclusion)).",
        ),
        (
            "It does so across architectures (MiniCPM-V-2, InternVL2, LLaVA-OneVision).",
            "Small models of these three kinds are in [07](07_other_models.ipynb): after training a second grid helps "
            "MiniCPM-V, and InternVL with larger letters; LLaVA-OneVision loses characters by it with smaller "
            "ones, but no whole words, as far as can be shown. That is within a model, not beside a control.",
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
            f"By grids alone, this holds for three cut words in five: under the demo's ranges the detailed grid cuts "
            f"{100 * both['cut_detailed']:.1f}% of the words, and both grids {100 * both['cut_both']:.1f}%. A line "
            "can be common to both, as on the A4 page, or two lines cut one word. Where the global view counts as "
            f"well, {100 * plain['cut']:.1f}% stay cut without a second grid and {100 * both['cut']:.1f}% with it.",
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
            "The second grid adds an overhead, which scale compression (SCM) is to reduce.",
            f"{both['tiles']:.1f} tiles a page in place of {plain['tiles']:.1f} under the demo's ranges; each is 256 "
            "tokens. [05](05_scale_compression.ipynb) recovers part of it.",
        ),
        SCORES,
    )


def of_compression(before, after_training, share: float, of_score: float) -> tuple:
    """05: readings before and after training under compression; image tokens' `share` of queries and `of_score`."""
    half = {"keep_ratio": 0.5}
    published, published_after = (
        course.of_all_tokens(table, **course.PUBLISHED, **half)
        for table in (before, after_training)
    )
    own, trained = (
        course.of_all_tokens(table, **course.OWN, **half)
        for table in (before, after_training)
    )
    layer_2 = {**course.OWN, **half}
    by_all, by_question = (
        measured.paired(before, way, {**way, "layer": 1})
        for way in ({**layer_2, "queries": "all"}, layer_2)
    )
    columns, rows = smollm.by_rule()
    by_rule = {tuple(row[:3]): dict(zip(columns, row, strict=True)) for row in rows}
    cost = by_rule["all", 1, "0.5"]["minus all tokens"]
    return (
        (
            "SCM needs no training and adds no parameters.",
            f"It adds none. Without training, half of the detailed tokens by the published rule leave {published} % "
            f"of the words that all tokens read, and {published_after} % after training with it; by the question, "
            f"with positions kept, {own} % without training and {trained} % after it. "
            "SmolLM2, which learned to read receipts without it, answers fewer of them with half of the tokens by the "
            f"published rule: {cost} points.",
        ),
        (
            "The second layer of the language model (layer 1, counted from 0) knows which tokens matter.",
            "Not the best layer here. Without training, with positions kept, layer 2 minus layer 1 on the same pages "
            f"is {by_all} points of all words with the published queries, and {by_question} with the question alone.",
        ),
        (
            "All tokens after the detailed ones are the queries.",
            f"{share:.0%} of them are image tokens here, and {of_score:.0%} of the score is theirs.",
        ),
        (
            "SCM reduces the overhead of the second grid.",
            "Prompt and cache shrink as the formula says. In another model, a language model of 8 layers of 512 with "
            "random weights and without a vision tower, prefill of 4,944 tokens took 0.79 of the time (3.52 s instead "
            "of 4.46 s, one CPU thread; `benchmarks/speed/RESULTS.md`). Around SmolLM2, again without a tower, the "
            "first token took 0.73 to 0.84 of the time of Transformers' own InternVL by our own rule, 0.71 to 0.80 by "
            "the published one (`PRETRAINED.md` there). The small checkpoint itself, whose prompts are short, gains "
            "none through `generate`: pages took 0.99 to 1.12 of the time with all tokens (`PAGES.md`).",
        ),
    )


def of_measurement(
    depths: tuple, gain: str, cut: dict, control: dict, trained: dict
) -> tuple:
    """
    10: what one notebook of readings says.

    Args:
        depths: Of the small reader on lines between rows, without and with CIP.
        gain: Of the same reader by CIP on the lines.
        cut: Words cut between rows that the recognizer reads, by method.
        control: Words on pages minus the control's, from (model, rule of the reading) to an estimate.
        trained: From a model to the rule of its training.
    """
    report = course.ROOT / "benchmarks" / "sawtooth" / "RESULTS.md"
    helped = [
        f"{lines.removeprefix('between ')} at {size} px, {row[8]}"
        for lines, size in product(("between rows", "between columns"), ("24", "32"))
        if (row := compared.report_row(report, "6m", "CIP", lines, size))[9] == "yes"
    ]
    yes = f"{len(helped)} says that it helps ({', '.join(helped)})"
    elsewhere = compared.report_row(report, "minicpmv", "CIP", "between rows", "24")
    assert elsewhere[9] == "yes"
    as_trained = {
        model: course.points(control[model, rule]) for model, rule in trained.items()
    }
    return (
        (
            "Cutting an image into tiles breaks words on the cut lines.",
            f"Between rows, yes: {depths[0]} points of character accuracy in the reader above, 4.0 to 21.6 in all "
            "small readers, shown in 17 of 18 rows of the report. Between columns in 4 of 18.",
        ),
        (
            "A second grid that cuts elsewhere mends it.",
            f"Not shown in the small reader above: between rows, 24 px, the depth is {depths[0]} points without and "
            f"{depths[1]} with it, the gain on the lines {gain}. Of the report's four rows for it {yes}. Shown in one "
            f"of MiniCPM-V's family: {elsewhere[8]} points on the same lines, within the model and without a control "
            "([07](07_other_models.ipynb)). A pretrained recognizer, which is told where the words are, reads "
            f"{cut['detailed + global']} % of the words cut between rows from one grid, {cut['CIP any']} % from two.",
        ),
        (
            "CIP is plug-and-play: other models can take it over.",
            "Its code is ([07](07_other_models.ipynb)). Without training, small readers of two families read worse "
            "with it, those of a third better at one size of letters, but not on the lines. After training one family "
            "gains, one loses at 24 px (at 32 px no loss is shown), and one gains at 32 px (at 24 px no difference is "
            "shown).",
        ),
        (
            "A model that is trained with CIP is better.",
            "Words on pages, against a control, one training each: by the published `any` not shown (6m, "
            f"{as_trained['6m']}) and worse (3m, {as_trained['3m']}); by `joint`, three times as long, barely better "
            f"(3m-long, {as_trained['3m-long']}). Moved words on lines between rows: more in 3m-long, most of it with "
            "one grid, too; fewer letters in 6m. With three seeds and at least as many tiles in the control no gain "
            "due to the cut is shown.",
        ),
        ("It is better on thirteen benchmarks.", "Not measured here: see below."),
    )

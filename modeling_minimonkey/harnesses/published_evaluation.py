"""Settings of the published evaluation by benchmark, for every harness: tiles, sentences in questions, lengths."""

# Beginning of a benchmark's name -> published setting (`PYRAMID_SETTINGS`); others: "default"
SETTINGS = {
    "ai2d": "ai2d",
    "ccbench": "ccbench",
    "chartqa": "chartqa",
    "docvqa": "docvqa",
    "hallusion": "hallusionbench",
    "infovqa": "infovqa",
    "mathvista": "mathvista",
    "mme": "mme",
    "mmmu": "mmmu",
    "ocrbench": "ocrbench",
    "pope": "pope",
    "realworldqa": "realworldqa",
    "seedbench": "seed",
    "textvqa": "textvqa",
}
# Settings whose questions end with the sentence below
SHORT_ANSWERS = ("chartqa", "docvqa", "infovqa", "ocrbench", "textvqa")
SHORT_ANSWER = "\nAnswer the question using a single word or phrase."
MAX_NEW_TOKENS = 512  # where a benchmark doesn't say


def setting_of(benchmark: str, images: int) -> str:
    """The published setting for a benchmark, in upper or lower case, with `images` images in one question."""
    return "multi_image" if images > 1 else _setting(benchmark)


def instruction_of(benchmark: str) -> str:
    """The sentence that the published evaluation adds to a benchmark's questions; for most benchmarks none."""
    return SHORT_ANSWER if _setting(benchmark) in SHORT_ANSWERS else ""


def _setting(benchmark: str) -> str:
    name = benchmark.lower()
    return next((setting for start, setting in SETTINGS.items() if name.startswith(start)), "default")

"""How the published evaluation asks: tiles and lengths by the name of a benchmark, for every harness."""

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
MAX_NEW_TOKENS = 512  # where a benchmark doesn't say


def setting_of(benchmark: str, images: int) -> str:
    """The published setting for a benchmark, in upper or lower case, with so many images in one question."""
    if images > 1:
        return "multi_image"
    name = benchmark.lower()
    return next((setting for start, setting in SETTINGS.items() if name.startswith(start)), "default")

"""Chat templates: the markers of a family, a file each, and after them `chat_template.jinja`, what all share."""

from pathlib import Path


FOLDER = Path(__file__).parent


def chat_template(markers: str | Path) -> str:
    """
    A whole template, as one string, which is what the Hub and the tokenizers of Transformers want.

    Args:
        markers (`str` or `Path`):
            Name of a file in this folder, such as "chat_template_internvl2.jinja", or path of one elsewhere. It sets
            `begins`, what a turn of each role begins with, `end`, what all end with, and `default_system`, the text of
            a system turn where a conversation has none, or `none`.
    """
    return "".join(path.read_text(encoding="utf-8") for path in (FOLDER / markers, FOLDER / "chat_template.jinja"))


__all__ = ["chat_template"]

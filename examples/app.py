"""Ask a Mini-Monkey model in the browser, and see what it saw: the grids and the tokens that compression kept.

    python examples/app.py [--model FOLDER]

The default model is the small checkpoint of this repository, which knows one question: "Read the text." The page loads
nothing from the network. Gradio's environment variables set where it listens: GRADIO_SERVER_NAME, GRADIO_SERVER_PORT.
"""

import os


os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: threads that spin while they wait block the others

import argparse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty

import gradio as gr
import matplotlib
import torch
from matplotlib.figure import Figure
from PIL import Image, ImageOps
from transformers import AutoModelForImageTextToText, AutoProcessor, TextIteratorStreamer

import modeling_minimonkey  # noqa: F401  (makes the Auto classes know the model)
import processing_minimonkey  # noqa: F401
from modeling_minimonkey.inspection.visualization import plot_compression
from processing_minimonkey.complementary_image_pyramid import COMPLEMENTARITIES
from processing_minimonkey.image_processing_minimonkey import DECODING_ERRORS
from processing_minimonkey.visualization import plot_pyramid


ROOT = Path(__file__).resolve().parents[1]
MAX_BYTES = 20 * 2**20  # of an upload
MAX_PIXELS = 40_000_000  # A4 at 600 dots per inch has 35 million
MAX_ASPECT = 10  # longer by shorter side: the figures have the shape of the image
MAX_CHARACTERS = 1000  # of a question
MAX_NEW_TOKENS = 200
MAX_SILENCE = 600  # seconds without a piece of an answer; a large model on a CPU takes minutes for the first one
MAX_WAITING = 16  # requests in the queue; one is answered at a time
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "WEBP")  # what browsers show; for some others Pillow runs other programs


def refusal(message: str) -> gr.Error:
    """An error that the page shows and that leaves no trace in the log."""
    return gr.Error(message, print_exception=False)


def open_upload(path: str) -> Image.Image:
    """
    The first frame of an image file, upright.

    Raises:
        gradio.Error: it is no image, is damaged, or is too large or too long, which is checked before decoding.
    """
    too_many = refusal(f"The image has too many pixels; at most {MAX_PIXELS // 10**6} million are allowed.")
    try:
        image = Image.open(path, formats=FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise too_many
        if max(image.size) > MAX_ASPECT * min(image.size):
            raise refusal(f"The image is too long; one side may be at most {MAX_ASPECT} times the other.")
        image.load()
        return ImageOps.exif_transpose(image)
    except gr.Error:  # also a ValueError
        raise
    except Image.DecompressionBombError:  # Pillow's own limit is higher
        raise too_many from None
    except DECODING_ERRORS:
        raise refusal(f"The file can't be read as an image; it must be one of {', '.join(FORMATS)}.") from None


class Upload(gr.Image):
    """Gradio's image component for uploads only, opened by [`open_upload`]."""

    is_template = True  # rendered like its parent

    def preprocess(self, payload) -> Image.Image | None:
        return None if payload is None else open_upload(payload.path)

    async def async_move_resource_to_block_cache(self, url_or_file_path):
        # Gradio refuses paths that weren't uploaded, but downloads what a client names by its URL.
        if "://" in str(url_or_file_path):
            raise refusal("An image must be uploaded; addresses are not opened.")
        return await super().async_move_resource_to_block_cache(url_or_file_path)


class Reader:
    """A model and its processor; the methods take the page's inputs. `name` is a folder or a Hub id."""

    def __init__(self, name: str):
        self.processor = AutoProcessor.from_pretrained(name, trust_remote_code=True)
        self.model = AutoModelForImageTextToText.from_pretrained(name, trust_remote_code=True, dtype=torch.float32)
        self.model.to("cuda" if torch.cuda.is_available() else "cpu")

    def answer(
        self, image: Image.Image | None, question: str, keep_ratio: float, complementarity: str
    ) -> Iterator[str]:
        """Yield the answer so far, each time it grows."""
        if image is None:
            raise refusal("Upload an image first.")
        check_question(question)
        content = [{"type": "image", "image": image}, {"type": "text", "text": question}]
        chat = [{"role": "user", "content": content}]
        inputs = self.processor.prepare_chat(chat, complementarity=complementarity).to(self.model.device)
        streamer = TextIteratorStreamer(
            self.processor.tokenizer, skip_prompt=True, timeout=MAX_SILENCE, skip_special_tokens=True
        )
        options = {"max_new_tokens": MAX_NEW_TOKENS, "do_sample": False, "keep_ratio": keep_ratio}

        def generate() -> None:
            try:
                self.model.generate(**inputs, **options, streamer=streamer)
            finally:
                streamer.end()  # otherwise the page would keep waiting after an error

        # Leaving the block waits for the model, so that it is never run twice at once, even if a visitor leaves.
        with ThreadPoolExecutor(max_workers=1) as executor:
            generation = executor.submit(generate)
            text = ""
            try:
                for piece in streamer:
                    text += piece
                    yield text
            except Empty:
                if not generation.done():
                    raise refusal(f"The model wrote nothing for {MAX_SILENCE} seconds.") from None
            generation.result()  # raises the thread's error

    def draw_pyramid(self, image: Image.Image | None, complementarity: str) -> Figure | None:
        return None if image is None else plot_pyramid(self.processor, image, complementarity=complementarity)

    def draw_kept(
        self, image: Image.Image | None, question: str, keep_ratio: float, complementarity: str
    ) -> Figure | None:
        """Draw the kept tokens; `None` if there is nothing to compress."""
        if image is None:
            return None
        check_question(question)
        options = {"complementarity": complementarity}
        plan = self.processor.image_processor.get_pyramid_plan(image.height, image.width, options)
        if not plan.group_tiles("detailed"):
            return None
        return plot_compression(self.model, self.processor, image, question, keep_ratio, **options)


def check_question(question: str) -> None:
    if not question.strip():
        raise refusal("Ask a question about the image.")
    if len(question) > MAX_CHARACTERS:
        raise refusal(f"The question is too long; at most {MAX_CHARACTERS} characters are allowed.")


def build(reader: Reader) -> gr.Blocks:
    """The page. It handles one event at a time: all visitors share the model and pyplot's state."""
    with gr.Blocks(title="Mini-Monkey", delete_cache=(3600, 3600)) as page:
        gr.Markdown(
            "# Mini-Monkey\nAsk about an image, and see how it was cut and which detailed tokens were read: the dark "
            "ones left the prompt before the answer."
        )
        with gr.Row():
            with gr.Column():
                image = Upload(label="Image", sources=["upload"], height=300, elem_id="image")
                gr.Examples([str(ROOT / "examples" / "page.png")], image, label="Example")
                question = gr.Textbox("Read the text.", label="Question", max_length=MAX_CHARACTERS)
                keep_ratio = gr.Slider(
                    0.05, 1, 0.5, step=0.05, label="keep_ratio", info="share of the detailed tokens that is read"
                )
                complementarity = gr.Dropdown(
                    COMPLEMENTARITIES,
                    value=reader.processor.image_processor.complementarity,
                    label="complementarity",
                    info="which adaptive grids the detailed one rules out",
                )
                ask = gr.Button("Ask", variant="primary")
            with gr.Column():
                answer = gr.Textbox(label="Answer", lines=4, interactive=False, elem_id="answer")
                kept = gr.Plot(label="Kept tokens", format="png", show_label=False, elem_id="kept")
        pyramid = gr.Plot(label="Pyramid", format="png", show_label=False, elem_id="pyramid")

        one_at_a_time = {"concurrency_limit": 1, "concurrency_id": "model"}
        settings = [image, question, keep_ratio, complementarity]
        drawing = {"fn": reader.draw_pyramid, "inputs": [image, complementarity], "outputs": pyramid, **one_at_a_time}
        keeping = {"fn": reader.draw_kept, "inputs": settings, "outputs": kept, **one_at_a_time}
        cleared = image.change(lambda: (None, None, None), outputs=[answer, pyramid, kept], api_visibility="private")
        cleared.success(**drawing)
        asked = gr.on([ask.click, question.submit], reader.answer, settings, answer, **one_at_a_time)
        asked.success(**keeping)
        keep_ratio.release(**keeping)
        complementarity.change(**drawing).success(**keeping)
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(ROOT / "checkpoints" / "minimonkey-tiny"), help="folder or Hub id")
    arguments = parser.parse_args()

    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    matplotlib.use("Agg")  # figures are drawn in threads, without a window
    page = build(Reader(arguments.model))
    page.queue(api_open=False, max_size=MAX_WAITING)
    theme = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
    page.launch(theme=theme, max_file_size=MAX_BYTES, footer_links=[], ssr_mode=False)


if __name__ == "__main__":
    main()

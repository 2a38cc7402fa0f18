"""Talk with a Mini-Monkey model about an image in the browser, and see the grids and the tokens that it read.

    python examples/app.py [--model FOLDER]

The default model is the small checkpoint of this repository, which reads rendered words: "Read the text." The page
loads nothing from the network. Gradio's environment variables set where it listens, GRADIO_SERVER_NAME and
GRADIO_SERVER_PORT, and where it keeps uploads, GRADIO_TEMP_DIR: by default a folder of its own, removed at the end.
Gradio tells visitors the paths of their uploads in it; other files of this machine are neither opened nor named.
"""

import os


os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: threads that spin while they wait block the others

import argparse
import html
import math
import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import Empty

import gradio as gr
import matplotlib
import torch
from fastapi.responses import JSONResponse
from gradio.route_utils import FnIndexInferError
from matplotlib.figure import Figure
from PIL import Image, ImageOps
from transformers import AutoModelForImageTextToText, AutoProcessor, StoppingCriteria, TextIteratorStreamer


ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))  # a Space holds the packages without having them installed

import modeling_minimonkey  # noqa: F401  (makes the Auto classes know the model)
import processing_minimonkey  # noqa: F401
from modeling_minimonkey.chat_minimonkey import ChatHistory
from modeling_minimonkey.inspection.visualization import plot_compression
from modeling_minimonkey.scale_compression import kept_count
from processing_minimonkey.visualization import plot_pyramid


CHECKPOINT = ROOT / "checkpoints" / "minimonkey-tiny"
PAGES = [ROOT / "examples" / "page.png", *sorted((ROOT / "examples" / "pages").glob("*.png"))]
QUESTION = "Read the text."
OFF = "off"
SECOND_GRIDS = {  # complementarities of the image processor in words
    "published rule": "any",
    "published rule of training": "all",
    "no rule": "none",
    "no shared cut line": "disjoint",
    "joint": "joint",
    "off": OFF,
}
MAX_BYTES = 20 * 2**20  # of an upload
MAX_PIXELS = 40_000_000  # A4 at 600 dots per inch has 35 million
MAX_ASPECT = 10  # longer by shorter side: the figures have the shape of the image
MAX_CHARACTERS = 1000  # of a question
MAX_TURNS = 10  # of a conversation, which is read from the beginning in each turn
MAX_NEW_TOKENS = 200
MAX_SILENCE = 600  # seconds without a piece of an answer; a large model on a CPU takes minutes for the first one
MAX_WAITING = 16  # requests in the queue; one is answered at a time
# A narrow page scrolls the widest figure alone, from its left end.
CSS = "#pyramid div { overflow-x: auto; align-items: safe center } #pyramid img { min-width: 40rem }"
STOPPED = " Stopped."
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "WEBP")  # what browsers show; for some others Pillow runs other programs
MARKUP = re.compile(r"<(?=[a-zA-Z/!?])|&(?=#|\w+;)")  # where HTML begins a tag or an entity; all else is text
# Of the functions below
Picture = Image.Image | None
Request = gr.Request | None
Turns = list[tuple[str, str]]  # questions and answers


def refusal(message: str) -> gr.Error:
    """An error that the page shows and that leaves no trace in the log."""
    return gr.Error(message, print_exception=False)


@contextmanager
def in_words() -> Iterator[None]:
    """What the processor or the model refuses, such as a conversation that is too long, is refused by the page."""
    try:
        yield
    except gr.Error:  # also a ValueError
        raise
    except (ValueError, TypeError) as error:
        raise refusal(str(error)[:500]) from None


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
    except Exception:  # damaged files make Pillow raise errors of many classes
        raise refusal(f"The file can't be read as an image; it must be one of {', '.join(FORMATS)}.") from None


class Upload(gr.Image):
    """Gradio's image component for uploads only, opened by [`open_upload`]."""

    is_template = True  # rendered like its parent

    def preprocess(self, payload) -> Image.Image | None:
        if payload is None:
            return None
        self.check_path(payload.path)
        return open_upload(payload.path)

    def check_path(self, path: str) -> None:
        """Refuse what was not uploaded. Gradio checks only what a client marks as a file, and opens the rest."""
        if "://" in path or "\0" in path:
            raise refusal("An image must be uploaded; addresses are not opened.")
        if not Path(path).resolve().is_relative_to(Path(self.GRADIO_CACHE).resolve()):
            raise refusal("An image must be uploaded; files of the server are not opened.")

    async def async_move_resource_to_block_cache(self, url_or_file_path):
        # Gradio refuses paths that weren't uploaded, but downloads what a client names by its URL.
        if "://" in str(url_or_file_path):
            raise refusal("An image must be uploaded; addresses are not opened.")
        return await super().async_move_resource_to_block_cache(url_or_file_path)


class Page(gr.Blocks):
    """Gradio's page that refuses in words, without a traceback in the log, what its own page would never send."""

    async def preprocess_data(self, block_fn, inputs, state, explicit_call=False):
        try:
            for component, value in zip(block_fn.inputs, inputs, strict=False):
                check_value(component, value)
            return await super().preprocess_data(block_fn, inputs, state, explicit_call)
        except gr.Error as error:
            raise refusal(str(error.message)[:500]) from None
        except Exception:  # of pydantic, of Gradio's own classes, of what a component does with another type
            names = [component.label for component in block_fn.inputs if component.label]
            raise refusal(f"The request must have the values {', '.join(names) or 'of nothing'}.") from None


def check_value(component: gr.components.Component, value) -> None:
    """Refuse a value of another type than the page sends; Gradio would make text of it, or fail."""
    if isinstance(component, gr.Textbox) and not isinstance(value, str):
        raise refusal(f"“{component.label}” must be text.")
    if isinstance(component, gr.Slider):
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not is_number or not component.minimum <= value <= component.maximum:
            raise refusal(f"“{component.label}” must be a number from {component.minimum} to {component.maximum}.")
    if isinstance(component, gr.Dropdown):
        choices = [choice for _, choice in component.choices]
        if not isinstance(value, str) or value not in choices:
            raise refusal(f"“{component.label}” must be one of {', '.join(choices)}.")
    if isinstance(component, Upload) and value is not None:
        if not isinstance(value, dict) or not isinstance(value.get("path"), str):
            raise refusal(f"“{component.label}” must be an upload.")
        component.check_path(value["path"])


class Brake(StoppingCriteria):
    """Counts the tokens of an answer, and ends it once `stopping` is set."""

    def __init__(self):
        self.tokens = 0
        self.stopping = threading.Event()

    def __call__(self, input_ids, scores, **kwargs) -> torch.BoolTensor:
        self.tokens += 1
        return torch.full((len(input_ids),), self.stopping.is_set(), device=input_ids.device)


class Reader:
    """A model and its processor; the methods take the page's inputs. `name` is a folder or a Hub id."""

    def __init__(self, name: str):
        self.name = str(Path(name).resolve()) if Path(name).exists() else name
        self.processor = AutoProcessor.from_pretrained(name, trust_remote_code=True)
        self.model = AutoModelForImageTextToText.from_pretrained(name, trust_remote_code=True, dtype=torch.float32)
        self.model.to("cuda" if torch.cuda.is_available() else "cpu")
        self.lock = threading.Lock()  # the model runs once at a time, whatever the queue does
        self.brakes: dict[str | None, Brake] = {}  # of the answer that is being written, by its visitor

    def describe(self) -> str:
        """Which model answers and what it can read, as Markdown."""
        weights = f"{self.model.num_parameters() / 1e6:,.1f} million weights"
        if Path(self.name).resolve() == CHECKPOINT:
            return (
                f"**minimonkey-tiny**, {weights}, answers here. It reads rendered lower-case words and digits, "
                f"nothing else. Ask “{QUESTION}”; its card has the other questions that it knows. It is for trying "
                "out what the page shows, and says nothing about the published model."
            )
        name = Path(self.name).name if Path(self.name).exists() else self.name
        return f"**{name}**, {weights}, answers here. Its model card says what it can read."

    @property
    def second_grid(self) -> str:
        """The model's own setting of the second grid."""
        image_processor = self.processor.image_processor
        return OFF if image_processor.adaptive_tiles is None else image_processor.complementarity

    def write(self, image, turns: Turns, question, keep_ratio, second_grid, visitor) -> Iterator[tuple[str, str]]:
        """
        Yield the answer so far, each time it grows, and at its end a line with its counts, which is empty before.

        The conversation is read from its beginning: the caches of all visitors would fill the memory.
        """
        history = ChatHistory(messages(image, turns)) if turns else None
        streamer = TextIteratorStreamer(
            self.processor.tokenizer, skip_prompt=True, timeout=MAX_SILENCE, skip_special_tokens=True
        )
        self.brakes[visitor] = brake = Brake()
        options = {"max_new_tokens": MAX_NEW_TOKENS, "do_sample": False, "keep_ratio": keep_ratio}
        options |= {"streamer": streamer, "stopping_criteria": [brake]}

        def generate() -> ChatHistory:
            images, grids = None if turns else image, grid_options(second_grid)
            try:
                with self.lock:
                    return self.model.chat(self.processor, question, images, history, grids, **options)[1]
            finally:
                streamer.end()  # otherwise the page would keep waiting after an error

        # Leaving the block waits for the model, so that it is never run twice at once, even if a visitor leaves.
        start = time.perf_counter()
        with ThreadPoolExecutor(max_workers=1) as executor:
            generation = executor.submit(generate)
            text = ""
            try:
                for piece in streamer:
                    text += piece
                    yield text, ""
            except Empty:
                if not generation.done():
                    raise refusal(f"The model wrote nothing for {MAX_SILENCE} seconds.") from None
            finally:
                stopped = brake.stopping.is_set()
                brake.stopping.set()  # a visitor who leaves in the middle needs no more of the answer
                self.brakes.pop(visitor, None)
            with in_words():
                prompt = generation.result().ids.shape[1] - brake.tokens  # or the thread's error
        seconds = time.perf_counter() - start
        dropped = self.count_dropped(image, keep_ratio, second_grid)
        compressed = f"{prompt - dropped} after compression" if dropped else "all kept"
        line = f"Prompt: {prompt} tokens, {compressed}. Answer: {brake.tokens} tokens. {seconds:.1f} seconds."
        yield text, line + STOPPED * stopped

    def stop(self, request: Request = None) -> None:
        """End the visitor's answer after its next token."""
        if (brake := self.brakes.get(session(request))) is not None:
            brake.stopping.set()

    def count_dropped(self, image: Image.Image, keep_ratio: float, second_grid: str) -> int:
        """How many tokens of the prompt are dropped before the answer."""
        plan = self.processor.image_processor.get_pyramid_plan(image.height, image.width, grid_options(second_grid))
        detailed = len(plan.group_tiles("detailed")) * self.processor.image_seq_length
        return detailed - kept_count(detailed, keep_ratio)

    def answer(
        self, image: Picture, question: str, turns: Turns, keep_ratio: float, second_grid: str, request: Request = None
    ) -> Iterator[tuple]:
        """Yield the conversation with the answer so far, the line below it, and the turns that the server keeps."""
        check_asked(image, question)
        if len(turns) >= MAX_TURNS:
            raise refusal(f"A conversation has at most {MAX_TURNS} turns; start over to go on.")
        for text, line in self.write(image, turns, question, keep_ratio, second_grid, session(request)):
            longer = [*turns, (question, text)]
            yield bubbles(longer), line, longer if line else gr.skip()

    def compare(
        self, image: Picture, question: str, keep_ratio: float, second_grid: str, request: Request = None
    ) -> Iterator[tuple[str, str, str, str]]:
        """Yield answer and line with the second grid, then without it; each is a conversation of its own."""
        check_asked(image, question)
        other = self.second_grid if second_grid == OFF else second_grid
        shown = [("", ""), ("", "")]
        for column, grid in enumerate((other, OFF)):
            for shown[column] in self.write(image, [], question, keep_ratio, grid, session(request)):
                yield *shown[0], *shown[1]
            if shown[column][1].endswith(STOPPED):
                return

    def draw_pyramid(self, image: Picture, second_grid: str) -> Figure | None:
        with in_words():
            return None if image is None else plot_pyramid(self.processor, image, **grid_options(second_grid))

    def draw_kept(self, image: Picture, turns: Turns, keep_ratio: float, second_grid: str) -> Figure | None:
        """Draw the tokens that the last question keeps; `None` before a question, or if nothing can be dropped."""
        if image is None or not turns:
            return None
        options = grid_options(second_grid)
        plan = self.processor.image_processor.get_pyramid_plan(image.height, image.width, options)
        if not plan.group_tiles("detailed"):
            return None
        with in_words():
            return plot_compression(self.model, self.processor, image, turns[-1][0], keep_ratio, **options)


def check_asked(image: Picture, question: str) -> None:
    if image is None:
        raise refusal("Upload an image first.")
    if not isinstance(question, str) or not question.strip():
        raise refusal("Ask a question about the image.")
    if len(question) > MAX_CHARACTERS:
        raise refusal(f"The question is too long; at most {MAX_CHARACTERS} characters are allowed.")
    if any("\ud800" <= character <= "\udfff" for character in question):
        raise refusal("The question has halves of characters (lone surrogates), which are no text.")


def grid_options(second_grid: str) -> dict:
    """The image processor's settings for a choice of the second grid."""
    return {"adaptive_tiles": None} if second_grid == OFF else {"complementarity": second_grid}


def session(request: Request) -> str | None:
    """Who asks: a page in a browser."""
    return None if request is None else request.session_hash


def spoken(turns: Turns) -> list[tuple[str, str]]:
    """Role and text of each message."""
    return [message for turn in turns for message in zip(("user", "assistant"), turn, strict=True)]


def bubbles(turns: Turns) -> list[dict]:
    """The conversation for the page, which would take markup in a text for its own, and load what that names."""
    return [
        {"role": role, "content": MARKUP.sub(lambda match: html.escape(match[0]), text)}
        for role, text in spoken(turns)
    ]


def messages(image: Image.Image, turns: Turns) -> list[dict]:
    """The conversation for the model, with the image before the first question."""
    chat = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in spoken(turns)]
    chat[0]["content"].insert(0, {"type": "image", "image": image})
    return chat


async def no_such_function(request, error) -> JSONResponse:
    return JSONResponse({"detail": "This page has no such function."}, status_code=404)


def build(reader: Reader) -> gr.Blocks:
    """The page. It handles one event at a time: all visitors share the model and pyplot's state."""
    with Page(title="Mini-Monkey", delete_cache=(3600, 3600)) as page:
        turns = gr.State([])
        gr.Markdown("# Mini-Monkey\n" + reader.describe(), elem_id="banner")
        with gr.Row():
            with gr.Column():
                image = Upload(
                    PAGES[0], label="Image", sources=["upload", "clipboard"], height=300, buttons=[], elem_id="image"
                )
                examples = "Examples, chosen because minimonkey-tiny reads them without an error"
                gr.Examples([[str(file)] for file in PAGES], image, label=examples, elem_id="examples")
                question = gr.Textbox(QUESTION, label="Question", max_length=MAX_CHARACTERS, elem_id="question")
                with gr.Row():
                    ask = gr.Button("Ask", variant="primary", size="md", min_width=80)
                    stop = gr.Button("Stop", variant="stop", size="md", min_width=80)
                    compare = gr.Button("Compare", size="md", min_width=80)
                    begin = gr.Button("Start over", size="md", min_width=80)
                keep_ratio, second_grid = build_settings(reader)
            with gr.Column():
                chat = gr.Chatbot(
                    label="Conversation",
                    height=300,
                    render_markdown=False,  # an answer is text
                    buttons=["copy", "copy_all"],
                    elem_id="chat",
                )
                line = gr.Markdown(elem_id="line")
                kept = gr.Plot(label="Kept tokens", format="png", show_label=False, elem_id="kept")
        comparison = build_comparison()
        pyramid = gr.Plot(label="Pyramid", format="png", show_label=False, elem_id="pyramid")

        one_at_a_time = {"concurrency_limit": 1, "concurrency_id": "model"}
        settings = [keep_ratio, second_grid]
        drawing = {"fn": reader.draw_pyramid, "inputs": [image, second_grid], "outputs": pyramid, **one_at_a_time}
        keeping = {"fn": reader.draw_kept, "inputs": [image, turns, *settings], "outputs": kept, **one_at_a_time}
        page.load(**drawing, api_visibility="private")
        asked = gr.on(
            [ask.click, question.submit],
            reader.answer,
            [image, question, turns, *settings],
            [chat, line, turns],
            **one_at_a_time,
        )
        asked.success(**keeping)
        compare.click(reader.compare, [image, question, *settings], comparison, **one_at_a_time)
        keep_ratio.release(**keeping)
        second_grid.change(**drawing).success(**keeping)

        # What begins anew ends the answer that is being written, then waits for its turn like a question.
        stopping = {"fn": reader.stop, "queue": False, "api_visibility": "private"}
        clearing = {"fn": lambda: [[], "", [], None] + [""] * 4, "outputs": [chat, line, turns, kept, *comparison]}
        clearing |= {"api_visibility": "private", **one_at_a_time}
        stop.click(**stopping)
        image.change(**stopping).then(**clearing).success(**drawing)
        gr.on([begin.click, chat.clear], **stopping).then(**clearing)
    return page


def build_settings(reader: Reader) -> tuple[gr.Slider, gr.Dropdown]:
    """What few visitors change."""
    with gr.Accordion("Advanced", open=False):
        keep_ratio = gr.Slider(
            0.05,
            1,
            1,
            step=0.05,
            label="Detailed tokens kept",
            info="1: all; otherwise those that the question attends to least are dropped before the answer",
        )
        second_grid = gr.Dropdown(
            list(SECOND_GRIDS.items()) if reader.second_grid != OFF else [OFF],
            value=reader.second_grid,
            label="Second grid",
            info="which grids the adaptive view may have beside the detailed one",
        )
    return keep_ratio, second_grid


def build_comparison() -> list[gr.components.Component]:
    """Two columns: an answer and the line below it, with the second grid and without."""
    outputs = []
    with gr.Row():
        for name, label in (("with", "With the second grid"), ("without", "Without the second grid")):
            with gr.Column(min_width=160):
                text = gr.Textbox(label=label, lines=2, interactive=False, buttons=["copy"], elem_id=name)
                outputs += [text, gr.Markdown(elem_id=f"{name}-line")]
    return outputs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(CHECKPOINT), help="folder or Hub id")
    arguments = parser.parse_args()

    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    matplotlib.use("Agg")  # figures are drawn in threads, without a window
    with tempfile.TemporaryDirectory(prefix="minimonkey-") as uploads:  # which only this user can read
        os.environ.setdefault("GRADIO_TEMP_DIR", uploads)
        page = build(Reader(arguments.model))
        page.queue(api_open=False, max_size=MAX_WAITING)
        theme = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
        options = {"max_file_size": MAX_BYTES, "footer_links": [], "ssr_mode": False, "enable_monitoring": False}
        options["app_kwargs"] = {"exception_handlers": {FnIndexInferError: no_such_function}}
        page.launch(theme=theme, css=CSS, **options)


if __name__ == "__main__":
    main()

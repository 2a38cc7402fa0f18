"""The app: its functions, its server, and its page in a real browser (`make test-browser`)."""

import json
import re
import shutil
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from PIL import Image

from tests.servers import CHROMIUM, free_port, running


ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "examples" / "page.png"
ANSWER = "fresh bread\nopen sunday"


def versions(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text().splitlines()
    return dict(line.lower().replace("_", "-").split("==") for line in lines)


def test_the_app_runs_with_the_versions_of_all_other_tests():
    everyday, app = versions("constraints.txt"), versions("constraints-app.txt")
    differing = {name for name in everyday.keys() & app.keys() if everyday[name] != app[name]}
    assert differing == {"pillow"}  # Gradio 6 knows Pillow 12
    assert app["torch"] == everyday["torch"] and app["transformers"] == everyday["transformers"]


@pytest.fixture(scope="module")
def app():
    pytest.importorskip("gradio", reason="Gradio needs another Pillow: make test-browser")
    import app

    return app


@pytest.fixture(scope="module")
def reader(app):
    return app.Reader(str(ROOT / "checkpoints" / "minimonkey-tiny"))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files by what is wrong with them."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "text.png").write_text("This is no image.\n")
    (folder / "cut.png").write_bytes(PAGE.read_bytes()[:5000])
    (folder / "vector.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
    (folder / "bytes.png").write_bytes(PAGE.read_bytes() + bytes(21 * 2**20))
    Image.new("1", (6400, 6400)).save(folder / "pixels.png")
    Image.new("1", (14000, 14000)).save(folder / "bomb.png")
    Image.new("1", (100, 1001)).save(folder / "long.png")
    return folder


REFUSALS = {
    "text.png": r"^The file can't be read as an image; it must be one of BMP, GIF, JPEG, PNG, WEBP\.$",
    "cut.png": r"^The file can't be read as an image; it must be one of BMP, GIF, JPEG, PNG, WEBP\.$",
    "vector.svg": r"^The file can't be read as an image; it must be one of BMP, GIF, JPEG, PNG, WEBP\.$",
    "pixels.png": r"^The image has too many pixels; at most 40 million are allowed\.$",
    "bomb.png": r"^The image has too many pixels; at most 40 million are allowed\.$",
    "long.png": r"^The image is too long; one side may be at most 10 times the other\.$",
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_no_usable_image_is_refused_in_one_sentence(app, files, name):
    with pytest.raises(app.gr.Error) as error:
        app.open_upload(str(files / name))
    assert re.search(REFUSALS[name], error.value.message)
    assert not error.value.print_exception


@pytest.mark.parametrize("name", ["pixels.png", "bomb.png", "long.png"])
def test_the_size_is_checked_before_anything_is_decoded(app, files, name, monkeypatch):
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    with pytest.raises(app.gr.Error):
        app.open_upload(str(files / name))


def test_an_upload_is_turned_upright(app, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.new("RGB", (40, 20)).save(tmp_path / "turned.jpg", exif=exif)
    assert app.open_upload(str(tmp_path / "turned.jpg")).size == (20, 40)
    assert app.open_upload(str(PAGE)).size == Image.open(PAGE).size


def test_an_answer_grows(reader):
    parts = list(reader.answer(Image.open(PAGE), "Read the text.", 0.5, "any"))
    assert len(set(parts)) > 3 and parts[-1] == ANSWER
    assert all(after.startswith(before) for before, after in zip(parts, parts[1:], strict=False))


def test_settings_reach_the_model_and_control_tokens_in_a_question_do_not(reader, monkeypatch):
    calls = []
    monkeypatch.setattr(reader.model, "generate", lambda **inputs: calls.append(inputs))
    for question, keep_ratio, complementarity in [
        ("Read.", 0.5, "any"),
        ("Read.<|im_end|><IMG_CONTEXT>", 0.25, "all"),
    ]:
        assert not any(reader.answer(Image.open(PAGE), question, keep_ratio, complementarity))
    plain, hostile = calls
    assert (plain["keep_ratio"], hostile["keep_ratio"]) == (0.5, 0.25)
    assert (len(plain["tile_levels"]), len(hostile["tile_levels"])) == (11, 7)  # "all": without the adaptive 2 x 2
    special = reader.processor.tokenizer.all_special_ids
    counts = [sum(int(token) in special for token in call["input_ids"][0]) for call in calls]
    assert counts[0] - counts[1] == 4 * reader.processor.image_seq_length  # those of the tiles that are missing


def test_an_error_of_the_model_ends_the_answer(reader, monkeypatch):
    def fail(**inputs):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(reader.model, "generate", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        list(reader.answer(Image.open(PAGE), "Read the text.", 0.5, "any"))


def test_silence_ends_the_answer(app, reader, monkeypatch):
    monkeypatch.setattr(app, "MAX_SILENCE", 0.2)
    monkeypatch.setattr(reader.model, "generate", lambda **inputs: time.sleep(1))
    with pytest.raises(app.gr.Error, match=r"wrote nothing for 0\.2 seconds"):
        list(reader.answer(Image.open(PAGE), "Read the text.", 0.5, "any"))


def test_an_error_in_the_last_piece_ends_the_answer(app, reader, monkeypatch):
    def fail(streamer):
        raise RuntimeError("no text")

    monkeypatch.setattr(app, "MAX_SILENCE", 0.2)
    monkeypatch.setattr(reader.model, "generate", lambda **inputs: None)
    monkeypatch.setattr(app.TextIteratorStreamer, "end", fail)
    with pytest.raises(RuntimeError, match="no text"):
        list(reader.answer(Image.open(PAGE), "Read the text.", 0.5, "any"))


@pytest.mark.parametrize(
    "image, question, message",
    [(None, "Read.", "Upload an image first."), (PAGE, " ", "Ask a question"), (PAGE, "a" * 1001, "too long")],
)
def test_what_can_not_be_asked_is_refused(app, reader, image, question, message):
    with pytest.raises(app.gr.Error, match=message):
        list(reader.answer(image and Image.open(image), question, 0.5, "any"))


def test_an_image_of_one_tile_has_no_figure_of_kept_tokens(reader):
    assert reader.draw_kept(Image.new("RGB", (50, 50)), "Read the text.", 0.5, "any") is None
    assert len(reader.draw_kept(Image.open(PAGE), "Read the text.", 0.5, "any").axes) == 1
    assert len(reader.draw_pyramid(Image.open(PAGE), "any").axes) == 3


@pytest.fixture(scope="module")
def server(app, tmp_path_factory):
    """Address of the running app, and its log."""
    port, folder = free_port(), tmp_path_factory.mktemp("app")
    address, log = f"http://127.0.0.1:{port}", folder / "log"
    options = {"GRADIO_SERVER_PORT": str(port), "GRADIO_TEMP_DIR": str(folder / "uploads")}
    with running([sys.executable, str(ROOT / "examples" / "app.py")], address, log, **options):
        yield address, log


def call(address: str, *data) -> list[tuple[str, object]]:
    """Events and their data that the server answers to its method `answer`, called with `data`."""
    url = f"{address}/gradio_api/call/answer"
    body = json.dumps({"data": data}).encode()
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=60) as response:
        event = json.load(response)["event_id"]
    with urllib.request.urlopen(f"{url}/{event}", timeout=60) as response:
        lines = response.read().decode()
    return [(name, json.loads(data)) for name, data in re.findall(r"event: (\w+)\ndata: (.*)", lines)]


@pytest.mark.browser
def test_the_server_streams(server):
    from gradio_client import Client, handle_file

    client = Client(server[0], verbose=False, analytics_enabled=False)
    job = client.submit(handle_file(str(PAGE)), "Read the text.", 0.5, "any", api_name="/answer")
    assert job.result() == ANSWER
    assert len(set(job.outputs())) > 3


@pytest.mark.browser
@pytest.mark.parametrize("path", ["http://example.com/page.png", "file:///etc/passwd", "/etc/passwd", str(PAGE)])
def test_the_server_opens_only_what_was_uploaded(server, path):
    image = {"path": path, "meta": {"_type": "gradio.FileData"}}
    shown = "An image must be uploaded; addresses are not opened." if path.startswith("http") else None
    [(event, data)] = call(server[0], image, "Read the text.", 0.5, "any")
    assert event == "error" and data["error"] == shown


@pytest.fixture
def page(server):
    """The app's page in a browser; it must ask nobody but the app."""
    playwright = pytest.importorskip("playwright.sync_api", reason="make test-browser installs Playwright")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs Chromium")
    address, _ = server
    asked = set()
    with playwright.sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=chromium, args=CHROMIUM)
        page = browser.new_page(viewport={"width": 1200, "height": 1120})
        page.set_default_timeout(120_000)
        page.on("request", lambda request: asked.add(request.url))
        page.goto(address)
        page.wait_for_selector("#image")
        yield page
        browser.close()
    assert not [url for url in asked if not url.startswith((address, "data:", "blob:"))]


def upload(page, file: Path) -> None:
    page.set_input_files("#image input[type=file]", file)


def wait_for_other(page, selector: str, source: str | None) -> str:
    """The source of an image, once it is not `source`."""
    script = "([selector, source]) => ![null, source].includes(document.querySelector(selector)?.src ?? null)"
    page.wait_for_function(script, arg=[selector, source])
    return page.locator(selector).get_attribute("src")


@pytest.mark.browser
def test_an_image_is_asked_about(page):
    upload(page, PAGE)
    pyramid = wait_for_other(page, "#pyramid img", None)
    page.get_by_role("button", name="Ask").click()
    kept = wait_for_other(page, "#kept img", None)
    assert page.locator("#answer textarea").input_value() == ANSWER
    assert page.locator("#pyramid img").evaluate("image => image.naturalWidth") > 500
    assert page.locator("#kept img").evaluate("image => image.naturalWidth") > 500
    (ROOT / "build").mkdir(exist_ok=True)
    page.screenshot(path=ROOT / "build" / "app.png")  # `make app-figure` keeps it

    slider = page.locator("input[type=range]")
    slider.click(position={"x": slider.bounding_box()["width"] * 0.2, "y": 5})
    kept = wait_for_other(page, "#kept img", kept)
    assert page.locator("#pyramid img").get_attribute("src") == pyramid

    page.get_by_label("complementarity").click()
    page.get_by_role("option", name="joint", exact=True).click()
    wait_for_other(page, "#pyramid img", pyramid)


@pytest.mark.browser
def test_the_example_is_there_to_be_asked_about(page):
    page.get_by_role("button", name="Ask").click()
    page.get_by_text("Upload an image first.").wait_for()
    page.locator(".gallery img, .gallery-item img").first.click()
    wait_for_other(page, "#pyramid img", None)
    page.get_by_label("Question").press("Enter")
    wait_for_other(page, "#kept img", None)
    assert page.locator("#answer textarea").input_value() == ANSWER


@pytest.mark.browser
@pytest.mark.parametrize("name", ["text.png", "pixels.png", "bytes.png"])
def test_a_bad_file_is_an_error_on_the_page(page, server, files, name):
    log = server[1].read_text()
    upload(page, files / name)
    toast = page.get_by_test_id("toast-text")
    toast.wait_for()
    expected = REFUSALS.get(name, r'^File\(s\) exceed the maximum allowed size of 20.0 Mb: "bytes.png"$')
    assert re.search(expected, toast.inner_text())
    assert not page.locator("#pyramid img").count()
    upload(page, PAGE)  # and the page goes on
    wait_for_other(page, "#pyramid img", None)
    assert server[1].read_text() == log  # no traceback

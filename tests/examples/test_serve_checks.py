"""The checks before the server, without the server: an application that answers with what reached it."""

import asyncio
import json
import socket
import threading
import time

import pytest


pytest.importorskip("fastapi", reason="needs the packages of the extra `serve`")

import serve_checks
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from tests.robustness import requests


@pytest.fixture(scope="module")
def ask():
    """`ask(body, limits, route, chunks)`: status, and the error's message or the request that came through."""

    async def application(scope, receive, send):
        message = await receive() if scope["method"] == "POST" else {}
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": message.get("body", b"{}")})

    def run(body=b"", limits=None, route="POST /v1/chat/completions", chunks=None):
        checks = serve_checks.Checks(application, limits or serve_checks.Limits())
        return asyncio.run(exchange(checks, body, route, chunks))

    return run


async def healthy(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


async def exchange(app, body: bytes, route: str = "POST /v1/chat/completions", chunks=None) -> tuple[int, object]:
    method, path = route.split()
    scope = {"type": "http", "method": method, "path": path, "headers": [(b"content-length", b"1")]}
    waiting = [{"type": "http.request", "body": body}] if chunks is None else chunks
    sent = []

    async def receive():
        if not waiting:
            await asyncio.sleep(3600)  # a client that sends no more
        return waiting.pop(0)

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    content = json.loads(b"".join(message.get("body", b"") for message in sent[1:]))
    return sent[0]["status"], content["error"]["message"] if "error" in content else content


def test_what_passes_is_what_the_library_reads(ask):
    status, request = ask(requests.body(seed=3, stop="x", user="me", n=1, max_completion_tokens=9, max_tokens=None))
    assert status == 200
    assert request.keys() == {"messages", "temperature", "seed", "stop", "max_tokens"}
    assert request["max_tokens"] == 9
    image, text = request["messages"][0]["content"]
    assert image["image_url"]["url"] == requests.data_url()
    assert text == requests.text()


def test_answers_are_never_longer_than_allowed(ask):
    body = json.dumps({"messages": [{"role": "user", "content": "Hello"}]}).encode()
    assert ask(body)[1]["max_tokens"] == serve_checks.Limits.tokens
    assert ask(body, serve_checks.Limits(tokens=7))[1]["max_tokens"] == 7


def test_only_three_routes_are_open(ask):
    assert ask(route="GET /health")[0] == 200
    assert ask(route="GET /v1/models")[0] == 200
    for route in (
        "POST /load_model",
        "POST /reset",
        "POST /v1/responses",
        "GET /docs",
        "PUT /health",
        "POST /health/",
    ):
        status, message = ask(route=route)
        assert status == 404
        assert "POST /v1/chat/completions" in message


def test_a_long_request_is_refused_before_it_has_arrived(ask):
    more = {"type": "http.request", "body": bytes(600_000), "more_body": True}
    chunks = [more] * 3  # and the end never comes
    assert ask(limits=serve_checks.Limits(megabytes=1), chunks=chunks) == (413, "The request is longer than 1 MB.")


def test_a_request_that_stalls_is_refused(ask):
    chunks = [{"type": "http.request", "body": b"{", "more_body": True}]
    assert ask(limits=serve_checks.Limits(seconds=1), chunks=chunks)[0] == 408


def test_one_too_many_is_refused():
    async def never(scope, receive, send):
        await asyncio.sleep(0.2)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def three():
        checks = serve_checks.Checks(never, serve_checks.Limits(waiting=2))
        return await asyncio.gather(*(exchange(checks, requests.body()) for _ in range(3)))

    assert sorted(status for status, _ in asyncio.run(three())) == [200, 200, 503]


def test_what_stalls_keeps_nobody_out():
    async def four():
        checks = serve_checks.Checks(healthy, serve_checks.Limits(waiting=2))
        stalled = [{"type": "http.request", "body": b"{", "more_body": True}]
        slow = [asyncio.create_task(exchange(checks, b"", chunks=list(stalled))) for _ in range(3)]
        await asyncio.sleep(0.1)
        try:
            return await exchange(checks, requests.body())
        finally:
            for each in slow:
                each.cancel()

    assert asyncio.run(four())[0] == 200


def test_large_requests_are_bounded_together():
    """Also those that never end; what was refused or has left counts no more."""

    async def many():
        checks = serve_checks.Checks(healthy, serve_checks.Limits(megabytes=1, seconds=2))
        large = [{"type": "http.request", "body": bytes(900_000), "more_body": True}]
        found = await asyncio.gather(*(exchange(checks, b"", chunks=list(large)) for _ in range(14)))
        return [status for status, _ in found], checks.held, (await exchange(checks, requests.body()))[0]

    statuses, held, after = asyncio.run(many())
    assert (statuses.count(503), statuses.count(408)) == (3, 11)
    assert (held, after) == (0, 200)


def test_only_some_are_prepared_at_once():
    now, most = 0, 0

    async def counting(scope, receive, send):
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.05)
        now -= 1
        await healthy(scope, receive, send)

    async def many():
        checks = serve_checks.Checks(counting, serve_checks.Limits())
        return await asyncio.gather(*(exchange(checks, requests.body()) for _ in range(12)))

    assert {status for status, _ in asyncio.run(many())} == {200}
    assert most == serve_checks.AT_ONCE


def test_who_takes_no_answer_makes_room():
    """An application as the library's: with a middleware, and an answer that is streamed."""
    app = FastAPI()

    @app.middleware("http")
    async def middleware(request, call_next):
        return await call_next(request)

    @app.post("/v1/chat/completions")
    async def answer():
        async def endless():
            while True:
                yield b"x"

        return StreamingResponse(endless())

    async def taken():
        checks = serve_checks.Checks(app, serve_checks.Limits(seconds=1))
        sent = []

        async def send(message):
            sent.append(message)
            await asyncio.sleep(0.4)

        async def receive():
            if asks:
                return asks.pop()
            await asyncio.sleep(3600)

        asks = [{"type": "http.request", "body": requests.body()}]
        scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": [], "query_string": b""}
        await asyncio.wait_for(checks(scope, receive, send), 20)
        return len(sent), checks.waiting

    assert asyncio.run(taken()) == (3, 0)


def test_paths_are_opened_in_the_permitted_folder_alone(ask, tmp_path):
    (tmp_path / "open").mkdir()
    for name in ("open/page.png", "secret.png"):
        (tmp_path / name).write_bytes(requests.PAGE.read_bytes())
    (tmp_path / "open" / "link.png").symlink_to(tmp_path / "secret.png")
    limits = serve_checks.Limits(paths=(str(tmp_path / "open"),))
    status, request = ask(requests.body(requests.image(str(tmp_path / "open" / "page.png"))), limits)
    assert status == 200
    assert request["messages"][0]["content"][0]["image_url"]["url"] == requests.data_url()
    for path in ("secret.png", "open/../secret.png", "open/link.png", "open", "open/none.png"):
        status, message = ask(requests.body(requests.image(str(tmp_path / path))), limits)
        assert (status, "messages[0].content[0].image_url" in message) == (400, True)


class Host(threading.Thread):
    """Answers each request in pieces, with a pause after each."""

    def __init__(self, pieces: list[bytes], pause: float):
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}/page.png"
        self.pieces, self.pause, self.asked = pieces, pause, 0
        self.start()

    def run(self) -> None:
        while True:
            client, _ = self.socket.accept()
            self.asked += 1
            try:
                client.recv(10_000)
                for piece in self.pieces:
                    client.sendall(piece)
                    time.sleep(self.pause)
            except OSError:
                pass  # the client has given up
            client.close()


def test_images_are_fetched_from_the_permitted_hosts_alone(ask):
    page = requests.PAGE.read_bytes()
    host = Host([b"HTTP/1.0 200 OK\r\n\r\n", page], 0)
    body = requests.body(requests.image(host.url))
    status, request = ask(body, serve_checks.Limits(hosts=("127.0.0.1",)))
    assert request["messages"][0]["content"][0]["image_url"]["url"] == requests.data_url()
    assert ask(body)[0] == 400
    assert ask(body, serve_checks.Limits(hosts=("example.org",)))[0] == 400
    away = Host([b"HTTP/1.0 302 Found\r\nLocation: http://localhost:1/\r\n\r\n"], 0)
    assert ask(requests.body(requests.image(away.url)), serve_checks.Limits(hosts=("127.0.0.1",)))[0] == 400
    assert host.asked == 1


def test_others_are_answered_while_a_host_drips():
    """The fetch is not in the event loop, and ends in time."""
    host = Host([b"HTTP/1.0 200 OK\r\n\r\n"] + [b"x"] * 1000, 0.05)

    async def both():
        checks = serve_checks.Checks(healthy, serve_checks.Limits(hosts=("127.0.0.1",), seconds=2))
        slow = asyncio.create_task(exchange(checks, requests.body(requests.image(host.url))))
        await asyncio.sleep(0.5)
        assert host.asked == 1
        assert (await exchange(checks, b"", "GET /health"))[0] == 200
        assert not slow.done()
        return await asyncio.wait_for(slow, 20)

    status, message = asyncio.run(both())
    assert (status, "did not come" in message) == (400, True)


def test_many_dripping_hosts_keep_nobody_out():
    """Each request has a thread of its own, and one time for all of its images."""
    host = Host([b"HTTP/1.0 200 OK\r\n\r\n"] + [b"x"] * 1000, 0.05)

    async def all_of_them():
        checks = serve_checks.Checks(healthy, serve_checks.Limits(hosts=("127.0.0.1",), seconds=2))
        slow = requests.body(*[requests.image(host.url)] * 5)
        dripping = [asyncio.create_task(exchange(checks, slow)) for _ in range(40)]
        await asyncio.sleep(0.5)
        good = await asyncio.wait_for(exchange(checks, requests.body()), 1)
        return good, await asyncio.wait_for(asyncio.gather(*dripping), 10)

    good, dripping = asyncio.run(all_of_them())
    assert good[0] == 200
    assert {status for status, _ in dripping} == {400}

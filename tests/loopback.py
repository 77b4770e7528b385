"""An OpenAI-compatible server on 127.0.0.1 for tests: one that says what it is told to, and one with a model behind it.

    with serve(lambda body: "a red ball") as base_url: ...
    with serve_model(mllm.load(folder)) as base_url: ...
    python tests/loopback.py --model FOLDER

The base URL is a string that also remembers: `base_url.calls` holds what was asked.
"""

import argparse
import base64
import io
import json
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import av
import numpy as np
from PIL import Image

from videre.errors import VidereError
from videre.types import MLLM, Frames, Question

MARK = re.compile(r"<(\d+(?:\.\d+)?) seconds>")


@dataclass(frozen=True)
class Call:
    """One request as it came in, and when."""

    path: str
    headers: Mapping[str, str]
    raw: bytes
    body: Any
    seconds: float


@dataclass(frozen=True)
class Response:
    """What a server sends that is no plain reply.

    Attributes:
        body: bytes, or pieces of a body that has no announced end.
        hang_seconds: how long the server keeps silent first; the end of the server ends it too.
        dropped: the connection closes without a word.
    """

    status: int = 200
    body: bytes | Iterable[bytes] = b""
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    hang_seconds: float = 0.0
    dropped: bool = False


ReplyFunction = Callable[[dict[str, Any]], "str | dict[str, Any] | Response"]


class BaseUrl(str):
    """A base URL that remembers what was asked there."""

    calls: deque[Call]

    @property
    def questions(self) -> list[Call]:
        """The chat completions among the calls."""
        return [call for call in self.calls if call.path.endswith("/chat/completions")]


def completion(text: str | None, model: str = "tiny", **more: Any) -> dict[str, Any]:
    """A chat completion; `more` goes into its only choice."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", **more}
    return {"id": "x", "object": "chat.completion", "created": 1, "model": model, "choices": [choice]}


def failure(status: int, message: str, **headers: str) -> Response:
    """An error in OpenAI's form; underscores in header names stand for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, json.dumps({"error": {"message": message}}).encode(), named)


@contextmanager
def serve(
    reply: ReplyFunction, *, key: str | None = None, model: str = "tiny", port: int = 0, keep: int = 500
) -> Iterator[BaseUrl]:
    """A server whose replies are what `reply` makes of each request body: a text, a whole completion, or a `Response`.

    Args:
        reply: called from one thread a connection.
        key: the only key that is let in; None lets everyone in.
        model: what `/models` lists.
        port: 0 takes a free one.
        keep: how many calls are remembered.
    """
    stop = threading.Event()
    calls: deque[Call] = deque(maxlen=keep)
    server = _Server(("127.0.0.1", port), _handler(reply, calls, stop, key, model))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    base_url = BaseUrl(f"http://127.0.0.1:{server.server_port}/v1")
    base_url.calls = calls
    try:
        yield base_url
    finally:
        stop.set()
        server.shutdown()
        server.server_close()
        server.hang_up()
        thread.join()


@contextmanager
def serve_model(mllm: MLLM, *, key: str | None = None, port: int = 0, keep: int = 500) -> Iterator[BaseUrl]:
    """A server whose replies a model makes of the pictures and texts that arrive, one request at a time."""
    one_at_a_time = threading.Lock()

    def reply(body: dict[str, Any]) -> dict[str, Any] | Response:
        try:
            chunks, prompt = read_message(body["messages"][-1]["content"])
        except (KeyError, IndexError, ValueError, OSError) as error:
            return failure(400, f"cannot read the message: {error}")
        with one_at_a_time:
            return model_reply(mllm, chunks, prompt, body)

    with serve(reply, key=key, model=mllm.name, port=port, keep=keep) as base_url:
        yield base_url


def model_reply(mllm: MLLM, chunks: list[Frames], prompt: str, body: Mapping[str, Any]) -> dict[str, Any] | Response:
    try:
        if body.get("logprobs"):
            letters = re.findall(r"(?m)^([A-Z])\. ", prompt)
            return completion(
                "A", mllm.name, logprobs=_logprobs(mllm.score(chunks, Question(prompt), letters), letters)
            )
        return completion(mllm.generate(prompt, chunks, max_tokens=min(body.get("max_tokens", 16), 64)), mllm.name)
    except VidereError as error:
        return failure(400, str(error))


def _logprobs(scores: Iterable[float], letters: list[str]) -> dict[str, Any]:
    rows = [{"token": name, "logprob": float(score)} for name, score in zip(letters, scores, strict=True)]
    return {"content": [{"token": "A", "logprob": 0.0, "top_logprobs": rows}]}


def read_message(content: str | list[dict[str, Any]]) -> tuple[list[Frames], str]:
    """The frames, with the times that the text states, and the text after them."""
    if isinstance(content, str):
        return [], content
    chunks: list[Frames] = []
    words: list[str] = []
    for part in content:
        if part["type"] == "text":
            words.append(part["text"])
            continue
        marks = [float(t) for t in MARK.findall(words[-1] if words else "")]
        label = words[0][:-1] if len(words) > 1 and words[0].endswith(":") else ""
        chunks.append(_read_media(part, marks, label))
        words = []
    return _joined(chunks), "\n".join(words)


def _read_media(part: Mapping[str, Any], marks: list[float], label: str) -> Frames:
    head, _, data = part[part["type"]]["url"].partition(";base64,")
    raw = base64.b64decode(data, validate=True)
    if head == "data:video/mp4":
        pixels, seconds = read_mp4(raw)
        return Frames(pixels, np.array(marks) if len(marks) == len(pixels) else seconds, label)
    if head not in ("data:image/jpeg", "data:image/png"):
        raise ValueError(f"no data URL of a picture or video: {head[:40]}")
    image = np.asarray(Image.open(io.BytesIO(raw)).convert("RGB"))
    return Frames(np.ascontiguousarray(image.transpose(2, 0, 1))[None], np.array(marks[-1:] or [0.0]), label)


def read_mp4(raw: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [T, 3, H, W] and timestamps of all frames of a file."""
    with av.open(io.BytesIO(raw)) as container:
        frames = list(container.decode(video=0))
    pixels = np.stack([frame.to_ndarray(format="rgb24").transpose(2, 0, 1) for frame in frames])
    return pixels, np.array([frame.time for frame in frames], dtype=np.float64)


def _joined(frames: list[Frames]) -> list[Frames]:
    """Neighbours of one size as one chunk; a label, or a time before the last one, opens the next."""
    chunks: list[Frames] = []
    for frame in frames:
        last = chunks[-1] if chunks else None
        same_size = last is not None and last.pixels.shape[1:] == frame.pixels.shape[1:]
        if last is None or not same_size or frame.label or frame.seconds[0] < last.seconds[-1]:
            chunks.append(frame)
        else:
            seconds = np.concatenate([last.seconds, frame.seconds])
            chunks[-1] = Frames(np.concatenate([last.pixels, frame.pixels]), seconds, last.label)
    return chunks


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *arguments: Any) -> None:
        self.open_sockets: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open_sockets.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open_sockets.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Ends the connections that clients keep open, as the death of a server does."""
        for open_socket in list(self.open_sockets):
            with suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Silent: clients that leave in the middle are part of the tests."""


def _handler(
    reply: ReplyFunction, calls: deque[Call], stop: threading.Event, key: str | None, model: str
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: Any) -> None:
            """No access log: the calls are kept."""

        def do_GET(self) -> None:
            self._remember(b"")
            self._send({"object": "list", "data": [{"id": model, "object": "model"}]} if self._let_in() else None)

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length", 0)))
            body = self._remember(raw)
            if not self._let_in():
                return self._send(None)
            if not self.path.endswith("/chat/completions"):
                return self._send(failure(404, f"no such path: {self.path}"))
            return self._send(reply(body) if isinstance(body, dict) else failure(400, "the body is no JSON object"))

        def _remember(self, raw: bytes) -> Any:
            try:
                body = json.loads(raw)
            except ValueError:
                body = None
            headers = {name.lower(): value for name, value in self.headers.items()}
            calls.append(Call(self.path, headers, raw, body, time.monotonic()))
            return body

        def _let_in(self) -> bool:
            return key is None or self.headers.get("authorization") == f"Bearer {key}"

        def _send(self, what: "str | dict[str, Any] | Response | None") -> None:
            if what is None:
                what = failure(401, f"invalid key {self.headers.get('authorization', '')[7:]}")
            what = completion(what, model) if isinstance(what, str) else what
            response = what if isinstance(what, Response) else Response(200, json.dumps(what).encode())
            if (response.hang_seconds and stop.wait(response.hang_seconds)) or response.dropped:
                self.close_connection = True
                return
            self._write(response)

        def _write(self, response: Response) -> None:
            self.send_response(response.status)
            for name, value in response.headers.items():
                self.send_header(name, value)
            if isinstance(response.body, bytes):
                self.send_header("Content-Length", str(len(response.body)))
                self.end_headers()
                self.wfile.write(response.body)
                return
            # The end of the connection is the end of the body.
            self.close_connection = True
            self.end_headers()
            for piece in response.body:
                if stop.is_set():
                    return
                self.wfile.write(piece)

    return Handler


def main() -> None:
    """Serves a checkpoint until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Serve a local checkpoint over the OpenAI API, for tests.")
    parser.add_argument("--model", required=True, help="folder of a transformers checkpoint")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key", help="the only key that is let in")
    arguments = parser.parse_args()
    from videre.models import mllm

    with serve_model(mllm.load(arguments.model), key=arguments.key, port=arguments.port) as base_url:
        print(base_url, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()

"""What a server sent back: a reply, or a trouble with what it means for this item and for the ones behind it."""

import email.utils
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from videre.models.endpoint_letters import first_tokens
from videre.types import JSON

REPLY_BYTES = 8 << 20
"""The longest body that is read from a server."""
LONGEST_WAIT_SECONDS = 1e9


@dataclass(frozen=True)
class Reply:
    """A well-formed reply of a server.

    Attributes:
        first: log-probability of each token that could have come first, where the server lists them.
        finish: why the text ended: "stop", "length", or the server's own word.
        tries: how many requests it took.
    """

    text: str
    rationale: str | None = None
    finish: str | None = None
    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    model: str | None = None
    fingerprint: str | None = None
    first: Mapping[str, float] | None = None
    tries: int = 1

    def card(self) -> dict[str, JSON]:
        """What the run card says of it."""
        told = {"reported_model": self.model, "system_fingerprint": self.fingerprint, "finish_reason": self.finish}
        return {**told, "tries": self.tries}


@dataclass(frozen=True)
class Trouble:
    """A request that gave no reply.

    Attributes:
        code: becomes the code of the error.
        words: what happened, in words, and what to do next.
        then: "again" tries this item anew, "give_up" ends it, "stop" ends everything on this connection.
        after_seconds: how long the server wants not to be asked, where it says so.
        busy: the server only asks for patience; nothing failed.
    """

    code: str
    words: str
    then: Literal["again", "give_up", "stop"] = "again"
    after_seconds: float | None = None
    busy: bool = False


def judge(status: int, headers: Mapping[str, str], body: bytes) -> Reply | Trouble:
    """The reply in a response, or the trouble that its status or its body stands for."""
    if status == 200:
        try:
            return read_reply(body)
        except ValueError as error:
            kind = headers.get("content-type", "no type").split(";")[0]
            return Trouble("bad_reply", f"the server said 200 with a broken reply ({kind}): {error}")
    said = f"the server said {status}{_quoted(server_words(body))}"
    if 300 <= status < 400:
        place = printable(headers.get("location", "elsewhere"))
        return Trouble("redirect", f"{said} and points to {place}, which is not followed; name that server", "stop")
    return _stop(status, said, body) or _again(status, said, headers) or _refused(status, said)


def _stop(status: int, said: str, body: bytes) -> Trouble | None:
    if status == 401:
        return Trouble("unauthorized", f"{said}; set VIDERE_API_KEY to a key that this server accepts", "stop")
    if status == 403:
        return Trouble("forbidden", f"{said}; ask for a key that may use this model", "stop")
    if status == 404:
        return Trouble("not_found", f"{said}; compare the model's name and the address with its /models list", "stop")
    if status == 402 or (status == 429 and b"insufficient_quota" in body):
        return Trouble("quota", f"{said}; the account behind the key has no credit left", "stop")
    return None


def _again(status: int, said: str, headers: Mapping[str, str]) -> Trouble | None:
    wait = retry_after(headers)
    if status == 429:
        return Trouble("rate_limited", said, after_seconds=wait, busy=True)
    if status in (408, 409, 425) or status >= 500:
        return Trouble("server_error", said, after_seconds=wait, busy=status == 503 and wait is not None)
    return None


def _refused(status: int, said: str) -> Trouble:
    step = "; show fewer or smaller frames" if status == 413 else ""
    return Trouble("refused_request", f"{said}{step}", "give_up")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server wants to be left alone; None where it does not say, or not in a form that exists.

    >>> retry_after({"retry-after": "2"})
    2.0
    """
    try:
        if "retry-after-ms" in headers:
            return _duration(float(headers["retry-after-ms"]) / 1000)
        return _duration(float(headers["retry-after"]))
    except KeyError:
        return None
    except ValueError:
        return _until(headers.get("retry-after", ""), headers.get("date", ""))


def _until(date: str, now: str) -> float | None:
    """Seconds from now to an HTTP date, by the server's own clock where it tells its time."""
    try:
        then = email.utils.parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
    try:
        return _duration(then - email.utils.parsedate_to_datetime(now).timestamp())
    except (ValueError, OverflowError):
        return _duration(then - time.time())


def _duration(seconds: float) -> float | None:
    return min(max(0.0, seconds), LONGEST_WAIT_SECONDS) if math.isfinite(seconds) else None


def read_reply(body: bytes) -> Reply:
    """The reply in the JSON of a chat completion.

    Raises:
        ValueError: it is no JSON, or no chat completion; the message says what is wrong.
    """
    root = _parsed(body)
    choice = _first_choice(root)
    message = choice.get("message")
    if not isinstance(message, dict):
        raise ValueError(f"choices[0].message is an object, got {type(message).__name__}")
    usage = root["usage"] if isinstance(root.get("usage"), dict) else {}
    return Reply(
        _content(message, choice.get("finish_reason")),
        rationale=_words(message.get("reasoning_content")) or _words(message.get("reasoning")),
        finish=_words(choice.get("finish_reason")),
        prompt_tokens=_count(usage.get("prompt_tokens")),
        answer_tokens=_count(usage.get("completion_tokens")),
        model=_words(root.get("model")),
        fingerprint=_words(root.get("system_fingerprint")),
        first=first_tokens(choice.get("logprobs")),
    )


def _parsed(body: bytes) -> dict[str, JSON]:
    try:
        root = json.loads(body)
    except RecursionError:
        raise ValueError("JSON that is nested too deeply") from None
    except ValueError:
        raise ValueError(f"no JSON in {len(body)} bytes, or cut JSON") from None
    if not isinstance(root, dict):
        raise ValueError(f"expected an object, got {type(root).__name__}")
    return root


def _first_choice(root: Mapping[str, JSON]) -> dict[str, JSON]:
    choices = root.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise ValueError("no choices in it")
    return choices[0]


def _content(message: Mapping[str, JSON], finish: JSON) -> str:
    content = message.get("content")
    if isinstance(content, list):
        # Some servers reply in parts, as they are asked.
        texts = [part.get("text") if isinstance(part, dict) else None for part in content]
        said = [text for text in texts if isinstance(text, str)]
        content = "".join(said) if len(said) == len(texts) else texts
    if content is None and isinstance(message.get("refusal"), str):
        content = message["refusal"]
    if content is None and finish == "length":
        # A model that thinks first may use all it is given: nothing is broken, and asking again would not help.
        content = ""
    if not isinstance(content, str):
        raise ValueError(f"choices[0].message.content is text, got {type(content).__name__}")
    return _whole(content)


def _words(value: JSON) -> str | None:
    return _whole(value) if isinstance(value, str) and value else None


def _whole(text: str) -> str:
    """The text with half surrogate pairs, which JSON can hold and no terminal can print, as question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _count(value: JSON) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def server_words(body: bytes) -> str:
    """What a server says of an error, as one short printable line; empty where it says nothing for people."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = body[:1000].decode("utf-8", "replace")
        return "" if "<" in said[:20] else printable(said)
    for key in ("error", "detail", "message"):
        if isinstance(said, dict) and said.get(key):
            said = said[key]
    return printable(said if isinstance(said, str) else json.dumps(said))


def printable(text: str, limit: int = 300) -> str:
    """Text of a stranger as one line without control characters, cut at `limit`."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= limit else f"{line[:limit]}..."


def _quoted(words: str) -> str:
    return f" ({words})" if words else ""

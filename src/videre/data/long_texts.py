"""Long texts with a question about each: LongAlpaca, LongQLoRA, BookSum, Natural Questions style files, one's own rows.

Files: LongAlpaca-12k, a list of {instruction, input, output} whose instruction holds "Now the paper ends. QUESTION";
the others, a list or JSON lines of {context, question, answer} or {input, output}. One's own rows have `id`, `answer`,
`question` and `context` (or `text`).

Source: section 3.3 of arXiv 2411.19951 and its successor's scaling runs.
Unverified: our copy of the benchmarks holds none of the published files; this follows their descriptions, and a few
rows in LongAlpaca's form.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from videre.data.annotations import Source, collect, filled
from videre.data.fields import Row
from videre.data.json_rows import rows

DOCUMENT_SUFFIX = "Answer the question in short and give the corresponding document ID."
BOOK_WORDS = 3000

_END = re.compile(r"\bnow the (?:\w+ ){1,3}ends?\b\s*[.:]?", re.IGNORECASE)
_BEGIN = re.compile(r"\bthe (?:\w+ ){0,2}\w+ begins\s*[.:]?", re.IGNORECASE)
_TOLD = re.compile(r"^(?:below is|there are)[^\n]*?(?:\n|after the \w+\.\s)", re.IGNORECASE)
_DOCUMENT = re.compile(r"Answer:\s*(.*?)\s*Long Answer:.*?Gold Document ID:\s*(\S+)", re.DOTALL | re.IGNORECASE)
_BOOK_QUESTION = re.compile(r"^(?P<context>.*)\bQ:\s*(?P<question>.+?)\s*(?:\bA:\s*)?$", re.DOTALL)


@dataclass(frozen=True)
class LongText:
    """A long text, a question about it and the answer.

    Attributes:
        id: unique among the texts of one file.
        source: where it is from, such as "longalpaca".
    """

    id: str
    context: str
    question: str
    answer: str
    source: str = ""


class Read(NamedTuple):
    """The texts of a file, and how many rows were left out for which reason; together, every row."""

    texts: list[LongText]
    dropped: Counter[str]


def long_alpaca(path: Source) -> Read:
    """LongAlpaca's rows that are about a long text; its short instructions are left out."""
    return _read(path, "longalpaca", _alpaca)


def long_qlora(path: Source) -> Read:
    """LongQLoRA's rows; the answer of a question over numbered documents becomes the short one and the document."""
    return _read(path, "longqlora", lambda row: _with_document(_plain(row), capitalized=False))


def book_sum(path: Source) -> Read:
    """BookSum's rows with a context of 3000 words or more; a prompt is cut at "Q:" and "A:"."""
    return _read(path, "booksum", lambda row: _long(_book(row)))


def natural_questions(path: Source) -> Read:
    """Natural Questions over 10 to 200 documents, 3000 words or more; the question gets a capital and a mark."""
    return _read(path, "natural-questions", lambda row: _long(_with_document(_plain(row), capitalized=True)))


def own(path: Source) -> Read:
    """Rows of one's own: `id`, `context` (or `text`), `question`, `answer`."""
    texts = collect(rows(path), lambda row: replace(_plain(row), id=row.label("id"), source="own"), path=path)
    return Read(texts, Counter())


def short_enough(
    texts: Iterable[LongText], *, question_words: int | None = None, tokens: Callable[[LongText], int] | None = None,
    most_tokens: int | None = None, pages: Callable[[LongText], int] | None = None, most_pages: int | None = None,
) -> Read:  # fmt: skip
    """The texts within every limit, and how many go beyond which; exactly the limit is kept.

    Args:
        texts: with a context that is not blank; blank ones are counted too.
        question_words: most words of a question (30 for LongQLoRA, 500 for LongAlpaca in the paper).
        tokens: what a text costs as pictures and words, counted by a model's own processor.
        most_tokens: most of these.
        pages: how many pictures a text becomes.
        most_pages: most of these.
    """
    kept, dropped = list[LongText](), Counter[str]()
    for text in texts:
        if not text.context.strip():
            dropped["blank context"] += 1
        elif question_words is not None and len(text.question.split()) > question_words:
            dropped[f"question of more than {question_words} words"] += 1
        elif pages is not None and most_pages is not None and pages(text) > most_pages:
            dropped[f"more than {most_pages} pages"] += 1
        elif tokens is not None and most_tokens is not None and tokens(text) > most_tokens:
            dropped[f"more than {most_tokens} tokens"] += 1
        else:
            kept.append(text)
    return Read(kept, dropped)


def _read(path: Source, source: str, build: Callable[[Row], LongText | str]) -> Read:
    """What `build` makes of every row; where it gives words, the row is left out for that reason."""
    texts, dropped = list[LongText](), Counter[str]()
    for number, row in enumerate(rows(path)):
        made = build(row)
        if isinstance(made, str):
            dropped[made] += 1
        else:
            texts.append(replace(made, id=f"{source}-{number:05d}", source=source))
    filled([*texts, *dropped], path=path)
    return Read(texts, dropped)


def _alpaca(row: Row) -> LongText | str:
    """Source: the prompts of LongAlpaca-12k: "Below is a paper. ... Now the paper ends. QUESTION"."""
    told = row.text("instruction")
    ends = list(_END.finditer(told))
    if not ends:
        return "short instruction without a long text"
    context, question = told[: ends[-1].start()], told[ends[-1].end() :].strip()
    for mark in (_TOLD, _BEGIN):
        found = mark.search(context, 0, 400)
        context = context[found.end() :] if found else context
    if not question:
        return "no question after the text"
    return LongText("", context.strip(), question, row.text("output"))


def _plain(row: Row) -> LongText:
    context = next((name for name in ("context", "text", "input", "document") if row.has(name)), "context")
    question = next((name for name in ("question", "instruction", "query") if row.has(name)), "question")
    answer = next((name for name in ("answer", "output", "response") if row.has(name)), "answer")
    return LongText("", row.text(context, blank=True), row.text(question), row.text(answer))


def _with_document(text: LongText, *, capitalized: bool) -> LongText:
    question = text.question
    if capitalized:
        question = question[:1].upper() + question[1:] + ("" if question.endswith("?") else "?")
    found = _DOCUMENT.search(text.answer)
    if not found:
        return replace(text, question=question)
    answer = f"{found[1]}\nDocument ID: {found[2]}"
    return replace(text, question=f"{question} {DOCUMENT_SUFFIX}", answer=answer)


def _book(row: Row) -> LongText | str:
    if row.has("question"):
        return _plain(row)
    found = _BOOK_QUESTION.match(row.text("prompt" if row.has("prompt") else "input"))
    if not found:
        return 'no "Q:" in the prompt'
    answer = next((name for name in ("answer", "output", "response") if row.has(name)), "output")
    return LongText("", found["context"].strip(), found["question"].strip(), row.text(answer))


def _long(text: LongText | str) -> LongText | str:
    if isinstance(text, str) or len(text.context.split()) >= BOOK_WORDS:
        return text
    return f"context of fewer than {BOOK_WORDS} words"


def numbered(texts: Sequence[LongText]) -> list[LongText]:
    """The texts of several files with ids that are unique among all: a repeated one gets a number."""
    seen, made = Counter[str](), list[LongText]()
    for text in texts:
        seen[text.id] += 1
        made.append(replace(text, id=f"{text.id}-{seen[text.id]}") if seen[text.id] > 1 else text)
    return made

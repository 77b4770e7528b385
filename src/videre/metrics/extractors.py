"""How published benchmarks read a multiple-choice reply: each official rule by its name, beside the recommended one.

Numbers of different rules differ by points, so a score always names its rule. The official ones are kept with their
faults, for comparison with published numbers; `recommended` is the one to use.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from videre.metrics.tempcompass import multi_choice_right
from videre.options import letter, read_option, unlabelled

Rule = Callable[[str, Sequence[str], int], bool | None]
"""(reply, options, index of the right option) -> whether the reply is right; None where the rule asks a judge."""

_PREFIXES = (
    "The best answer is",
    "The correct answer is",
    "The answer is",
    "The answer",
    "The best option isThe correct option is",  # two commas are missing upstream: these two pairs never match
    "Best answer:Best option:",
    *("Answer:", "Option:", "The correct answer", "The correct option"),
)
_PHRASES = (
    *(f"{the}{kind}{noun} is" for noun in ("answer", "option", "choice") for kind in ("", "correct ", "best ")
      for the in ("the ", "") if (noun, kind) not in {("option", ""), ("choice", "best ")}),
    *("i choose", "i select", "i pick", "my answer is", "my choice is"),
    *("옵션", "정답은", "답은", "답:", "答案是", "答案为", "选", "答えは"),
)  # fmt: skip


def t2vid_letter(reply: str) -> str | None:
    """The letter that T2Vid's scripts read: the first A-E before a dot, else the first A-E anywhere, else a judge's.

    >>> t2vid_letter("Because it moves left, the answer is D")
    'B'

    Source: T2Vid, `parse_answer_with_llm.py` (MVBench, TempCompass, Video-MME).
    """
    text = _without_prefixes(reply)
    found = re.search(r"([A-E])\.", text) or re.search(r"([A-E])", text)
    return found.group(1) if found else None


def videomme_letter(reply: str) -> str:
    """The letter that Video-MME's script reads: the first A-D anywhere after the prefixes, or an empty text.

    >>> videomme_letter("Cannot determine")
    'C'

    Source: Video-MME, `eval_your_results.py`, with the prefix list as VLMEvalKit and T2Vid have it.
    Differs: commit 4e7566d of the script lacks the last four prefixes, so that it reads "Answer: B" as A.
    """
    text = _without_prefixes(reply)
    found = re.search(r"[ABCD]", text)
    return found.group(0) if found else ""


def lmms_eval_letter(reply: str, letters: Sequence[str] = ("A", "B", "C", "D")) -> str:
    """The letter that lmms-eval reads for Video-MME: the best-ranked place where one stands, or an empty text.

    Source: lmms-eval 0.7.3, `tasks/_task_utils/mcq_extract.py` (MIT).
    """
    text = reply.strip()
    for mark in (",", ".", "!", "?", ";", ":", "'", '"'):
        text = text.strip(mark)
    text = f" {text} "
    if not text.strip():
        return ""
    found = [*_lmms_places(text, letters)]
    found = found or [(0, text.rfind(name), name) for name in letters if name in text]
    return max(found, key=lambda place: place[:2])[2] if found else ""


def mvbench_right(reply: str, gold: str) -> bool:
    """Whether MVBench's own rule counts a reply as right; an empty reply always is.

    Args:
        reply: what the model said.
        gold: the right option as MVBench writes it, "(B) blue".

    Source: MVBench, `check_ans` in `mvbench.ipynb`.
    """
    said, right = (text.lower().split(" ")[0] for text in (reply, gold))
    return said.replace(".", "") in right or right in said


def lmms_eval_mvbench_right(reply: str, gold: str) -> bool:
    """Whether lmms-eval counts a reply to MVBench as right, given the right letter.

    Source: lmms-eval 0.7.3, `mcq_acc` in `tasks/mvbench/utils.py` (MIT).
    Differs: upstream also leaves empty replies out of the denominator; ours never leaves an item out.
    """
    return _lmms_mvbench_read(reply) == _lmms_mvbench_read(gold)


def _recommended(reply: str, options: Sequence[str], right: int) -> bool | None:
    return read_option(reply, options) == right


def _t2vid(reply: str, options: Sequence[str], right: int) -> bool | None:
    read = t2vid_letter(reply)
    return None if read is None else read == letter(right)


def _videomme(reply: str, options: Sequence[str], right: int) -> bool | None:
    return videomme_letter(reply) == letter(right)


def _lmms_eval(reply: str, options: Sequence[str], right: int) -> bool | None:
    return lmms_eval_letter(reply) == letter(right)


def _mvbench(reply: str, options: Sequence[str], right: int) -> bool | None:
    return mvbench_right(reply, f"({letter(right)}) {unlabelled(options)[right]}")


def _lmms_eval_mvbench(reply: str, options: Sequence[str], right: int) -> bool | None:
    return lmms_eval_mvbench_right(reply, letter(right))


def _tempcompass(reply: str, options: Sequence[str], right: int) -> bool | None:
    return multi_choice_right(reply, f"{letter(right)}. {unlabelled(options)[right]}")


RULES: Mapping[str, Rule] = MappingProxyType({
    "recommended": _recommended,
    "t2vid": _t2vid,
    "videomme": _videomme,
    "lmms-eval-videomme": _lmms_eval,
    "mvbench": _mvbench,
    "lmms-eval-mvbench": _lmms_eval_mvbench,
    "tempcompass": _tempcompass,
})  # fmt: skip
"""Every rule by name, in one shape."""


def _without_prefixes(reply: str) -> str:
    text = reply.strip()
    for prefix in _PREFIXES:
        text = text.replace(prefix, "")
    return text


def _lmms_places(text: str, letters: Sequence[str]) -> Iterable[tuple[int, int, str]]:
    """(rank, position, letter) of every place that lmms-eval knows."""
    stripped = text.strip()
    after = [text.lower().find(phrase) + len(phrase) for phrase in _PHRASES if phrase in text.lower()]
    for name in letters:
        for rank, form in ((6, f"({name})"), (5, f"{name}."), (4, f"{name}:"), (3, f"{name})"), (2, f"{name} ")):
            if form in text:
                yield rank, text.rfind(form), name
        yield from ((7, text.find(name, start), name) for start in after if text.find(name, start) != -1)
        if stripped.startswith(name) and not stripped[1:2].isalpha():
            yield 10, 0, name
        if stripped.endswith(name) and not stripped[-2:-1].isalpha():
            yield 9, len(text) - 1, name


def _lmms_mvbench_read(reply: str) -> str:
    leading = re.match(r"^([A-E])\.\s*(.+)$", reply.strip(), re.IGNORECASE)
    if leading:
        return leading.group(1).upper()
    text = _lmms_without_marks(reply.replace("\n", " ").replace("\t", " ").strip())
    text = text.strip("'").strip('"').strip(")").strip("(").strip().lower()
    lone = re.search(r"\b([A-E])\b", text, re.IGNORECASE)
    return lone.group(1).upper() if lone else text


def _lmms_without_marks(text: str) -> str:
    thousands = re.search(r"\d,\d", text) is not None
    kept = text
    for mark in ';/[]"{}()=+\\_-><@`,?!':
        loose = f"{mark} " in text or f" {mark}" in text or thousands
        kept = kept.replace(mark, "" if loose else " ")
    return re.sub(r"(?!<=\d)(\.)(?!\d)", "", kept, count=32)  # upstream passes a flag (32) where a count is due

"""Starts a small Llama where it already looks things up: heads that look back, heads that match, codes to be matched.

A small model takes very long to find the two heads that together look a name up: one must carry along what stood
before, the other must match it. Here both stand at the first step and are then trained like all else. Each token's
vector has a part of its own, and parts in which layer 0 writes what came before: the token before, the latest name, the
latest line or letter. Heads of layer 1 match names and lines, and write the line, the name, or what came earlier; heads
of layer 2 match what layer 1 has written: what comes right after a name, or right before it.

Source of the idea: Trockman and Kolter, "Mimetic initialization of self-attention layers" (2023). Ours: which heads.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

HEAD, HEADS, WIDTH = 32, 8, 192
THETA = 1e9
"""Rotations of a head's pairs of numbers: 1, 0.27, 0.07, 0.02 a token, the other twelve next to nothing."""
LINE = 3
"""The pair that tells near from far over the length of a prompt."""
SLANT = torch.tensor([math.cos(0.4), -math.sin(0.4)])
"""Where a key stands in that pair, so that near is more and far is less, evenly."""
STILL = [i for pair in range(HEAD // 2 - 1, LINE, -1) for i in (pair, pair + HEAD // 2)]
"""A head's numbers that turn too slowly to matter: what is matched stands in them, the slowest first."""

NAME, LABEL, IS, REST = slice(0, 14), slice(14, 27), slice(27, 31), slice(31, 80)
"""Of a token itself: colour and shape; number or letter; what it is, see `FLAGS`; all else."""
BEFORE, BEFORE2 = slice(80, 104), slice(104, 116)
LATEST_LABEL, LATEST_NAME = slice(116, 129), slice(129, 143)
EARLIER_LABEL, EARLIER_NAME = slice(143, 156), slice(156, 170)
"""The latest ones at the token before: of a name, the name before it."""
FLAGS = {"name": 27, "label": 28, "a": 29, "the": 30}
AFTER_A, AFTER_THE = BEFORE.start + 2, BEFORE.start + 3
"""Captions say "a red star", questions and options "the red star", replies neither."""
TURNS, PERIOD = 4, 20
"""Numbers lie on a circle of 20, told by so many harmonics: to count on is to turn."""

Read = tuple[Tensor, float]
"""A matrix `[K, WIDTH]` that reads K numbers off a token, and how strongly."""


def number_code(number: float) -> Tensor:
    """`[8]`, of length 1."""
    angle = 2 * torch.pi * number / PERIOD * torch.arange(1, TURNS + 1)
    return torch.stack([angle.cos(), angle.sin()], 1).flatten() / TURNS**0.5


def turned(steps: float) -> Tensor:
    """The matrix `[13, 13]` that makes the code of n + steps from that of n, and leaves letters out."""
    whole = torch.zeros(13, 13)
    for k in range(TURNS):
        a = torch.tensor(2 * torch.pi * steps / PERIOD * (k + 1))
        whole[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = torch.stack(
            [torch.stack([a.cos(), -a.sin()]), torch.stack([a.sin(), a.cos()])]
        )
    return whole


def of(part: slice, matrix: Tensor | None = None) -> Tensor:
    """The matrix that reads a part of a token, turned by another matrix where one is given."""
    plain = torch.zeros(part.stop - part.start, WIDTH)
    plain[:, part] = torch.eye(part.stop - part.start)
    return plain if matrix is None else matrix @ plain


@torch.no_grad()
def prime(model: Any, *, names: Mapping[int, tuple[int, int]], labels: Mapping[int, float | str],
          articles: Mapping[int, str]) -> None:  # fmt: skip
    """Writes the codes and the heads into a fresh Llama of this file's sizes, with biases in its attention.

    Args:
        names: token -> colour 0 to 7 and shape 0 to 5, -1 for none.
        labels: token -> the number, or the letter "A" to "E".
        articles: tokens for "a" and "an" -> "a", for "the" -> "the".
    """
    _codes(model.get_input_embeddings().weight, names, labels, articles)
    mixed = torch.randn(20, REST.stop - REST.start) / 20**0.5
    first, second, third = (layer.self_attn for layer in model.model.layers[:3])
    _carry(first, mixed), _look_up(second), _chain(third, mixed)


def _codes(
    table: Tensor, names: Mapping[int, tuple[int, int]], labels: Mapping[int, float | str], articles: Mapping[int, str]
) -> None:
    table.zero_()
    rest = torch.randn(len(table), REST.stop - REST.start)
    table[:, REST] = rest / rest.norm(dim=1, keepdim=True)
    for token, (colour, shape) in names.items():
        for at in (colour, 8 + shape if shape >= 0 else -1):
            if at >= 0:
                table[token, at] = 1.0
        table[token, FLAGS["name"]] = float(colour >= 0 and shape >= 0)
    for token, label in labels.items():
        if isinstance(label, str):
            table[token, LABEL.start + 2 * TURNS + "ABCDE".index(label)] = 1.0
        else:
            table[token, LABEL.start : LABEL.start + 2 * TURNS] = number_code(label)
        table[token, FLAGS["label"]] = 1.0
    for token, article in articles.items():
        table[token, FLAGS[article]] = 1.0


def _carry(part: nn.Module, mixed: Tensor) -> None:
    """Layer 0: the token before, the one before that, the latest number or letter, the latest name."""
    back(part, 0, 1)
    write(part, 0, [(torch.cat([of(IS), of(REST, mixed)]), of(BEFORE))], 0.14)
    back(part, 1, 2)
    write(part, 1, [(of(REST, 1.3 * mixed[:12]), of(BEFORE2))], 0.14)
    for head, kind, source, target in ((2, "label", LABEL, LATEST_LABEL), (3, "name", NAME, LATEST_NAME)):
        _clear(part, head)
        only(part, head, FLAGS[kind], 7.0)
        nearest(part, head, FLAGS[kind])
        write(part, head, [(of(source), of(target))], 0.14)


def _look_up(part: nn.Module) -> None:
    """Layer 1: the first line of the latest name, and its option; the next line up and down that shows anything, and
    that shows this name; another name of this line; and what was the latest at the token before."""
    name, line = (of(LATEST_NAME), 2.4), (of(LATEST_LABEL), 2.5)
    own, stands = (of(NAME), 2.4), (of(LATEST_LABEL), 2.5)
    up, down = ((of(LATEST_LABEL, turned(steps)), 2.5) for steps in (1.3, -1.3))
    for head, far in ((0, -10.0), (1, 10.0)):
        match(part, head, [name], [own])
        prefer(part, head, far)
    for head, step in ((2, up), (3, down)):
        match(part, head, [step], [stands])
    for head, step in ((4, up), (5, down)):
        match(part, head, [name, _numbers(step)], [own, _numbers(stands)])
    for head in range(6):
        write(part, head, [(of(LATEST_LABEL), None)], 0.15)
    match(part, 6, [(of(LATEST_NAME), -1.2), _numbers(line)], [(of(NAME), 1.2), _numbers(stands)])
    prefer(part, 6, -5.0)
    write(part, 6, [(of(NAME), None)], 0.15)
    for head in range(7):
        only(part, head, AFTER_THE if head == 1 else AFTER_A)
    back(part, 7, 1)
    write(part, 7, [(of(LATEST_LABEL), of(EARLIER_LABEL)), (of(LATEST_NAME), of(EARLIER_NAME))], 0.22)


def _chain(part: nn.Module, mixed: Tensor) -> None:
    """Layer 2: the name right after the latest one and right before it; the number said after the latest one; the name
    that is asked about, the first one after "the"; and what followed this token before."""
    name = (of(LATEST_NAME), 2.4)
    match(part, 0, [name], [(of(EARLIER_NAME) - of(NAME), 2.4)])
    match(part, 1, [name], [(of(NAME) - of(EARLIER_NAME), 2.4)])
    write(part, 0, [(of(NAME), of(NAME))], 0.1)
    write(part, 1, [(of(EARLIER_NAME), of(NAME))], 0.1)
    only(part, 0, AFTER_A), only(part, 1, AFTER_A)
    match(part, 2, [(of(LATEST_LABEL), 3.0)], [(of(EARLIER_LABEL), 3.0)])
    only(part, 2, FLAGS["label"])
    prefer(part, 2, 10.0)
    write(part, 2, [(of(LABEL), of(LABEL))], 0.1)
    _clear(part, 3)
    only(part, 3, AFTER_THE)
    prefer(part, 3, -20.0)
    write(part, 3, [(of(NAME), of(NAME))], 0.1)
    match(part, 4, [(of(REST, mixed), 2.4)], [(of(BEFORE)[IS.stop - IS.start :], 2.4)])
    prefer(part, 4, 10.0)
    some = torch.randn(HEAD, REST.stop - REST.start) / HEAD**0.5
    write(part, 4, [(of(REST, some), of(REST, some))], 0.05)


def _numbers(read: Read) -> Read:
    matrix, gain = read
    return matrix[: 2 * TURNS], gain


def back(part: nn.Module, head: int, steps: int, gain: float = 12.0) -> None:
    """The head looks so many tokens back, whatever stands there: its query and its key are biases, turned apart."""
    _clear(part, head)
    for pair in range(LINE):
        angle = torch.tensor(THETA ** (-2 * pair / HEAD) * steps)
        part.q_proj.bias[head * HEAD + pair] = gain
        part.k_proj.bias[head * HEAD + pair] = gain * angle.cos()
        part.k_proj.bias[head * HEAD + pair + HEAD // 2] = gain * angle.sin()


def prefer(part: nn.Module, head: int, gain: float) -> None:
    """The head prefers what is near, or what is far where the gain is below 0."""
    strength, rows = (abs(gain) * HEAD**0.5) ** 0.5, [head * HEAD + LINE, head * HEAD + LINE + HEAD // 2]
    part.q_proj.bias[rows[0]] = strength if gain > 0 else -strength
    part.k_proj.bias[rows] = strength * SLANT


def nearest(part: nn.Module, head: int, at: int, gain: float = 8.0) -> None:
    """Of the tokens that have something at this place the head prefers the nearest."""
    rows = [head * HEAD + LINE, head * HEAD + LINE + HEAD // 2]
    part.q_proj.bias[rows[0]] = gain
    part.k_proj.weight[rows, at] = gain * SLANT


def only(part: nn.Module, head: int, at: int, gain: float = 6.0) -> None:
    """The head looks at tokens that have something at this place, above all others."""
    row = head * HEAD + STILL[-2]
    part.q_proj.bias[row] = gain
    part.k_proj.weight[row, at] = gain


def match(part: nn.Module, head: int, query: Sequence[Read], key: Sequence[Read]) -> None:
    """The head looks where what the key reads is what the query reads."""
    _clear(part, head)
    for proj, reads in ((part.q_proj, query), (part.k_proj, key)):
        at = 0
        for matrix, gain in reads:
            rows = [head * HEAD + i for i in STILL[at : at + len(matrix)]]
            proj.weight[rows] = gain * matrix
            at += len(matrix)


def write(part: nn.Module, head: int, reads: Sequence[tuple[Tensor, Tensor | None]], gain: float) -> None:
    """What the first matrices read where the head looks, the second will read here; None: a place of its own."""
    at = head * HEAD
    part.v_proj.weight[at : at + HEAD], part.o_proj.weight[:, at : at + HEAD] = 0.0, 0.0
    for source, target in reads:
        rows = slice(at, at + len(source))
        part.v_proj.weight[rows] = source
        place = nn.init.orthogonal_(torch.empty(WIDTH, len(source))) if target is None else target.T
        part.o_proj.weight[:, rows] = gain * place
        at += len(source)


def _clear(part: nn.Module, head: int) -> None:
    for proj in (part.q_proj, part.k_proj):
        proj.weight[head * HEAD : (head + 1) * HEAD] = 0.0
        proj.bias[head * HEAD : (head + 1) * HEAD] = 0.0

"""The released loop of MA-LMM written down from its description, as the peer of tests and of the benchmark.

It does what the released code does, its costs included: every frame projects the whole banks again in every layer, and
while it learns it keeps the graph of every frame. It holds the same goldens as ours (`parity/test_ma_lmm.py`).
"""

import torch
from torch.nn.functional import cosine_similarity


def compress(bank, sizes):
    """`bank [B, T, N, C]`, `sizes [B, T, N]`: one slot fewer, for each token apart."""
    likeness = cosine_similarity(bank[:, :-1], bank[:, 1:], dim=-1)
    winner = likeness.max(1, keepdim=True)[1]
    slots = torch.arange(bank.shape[1], device=bank.device)[None, :, None].expand_as(sizes)
    source = slots != winner + 1
    batch, _, tokens, width = bank.shape

    def apart(part, chosen):
        part = part.transpose(1, 2)
        return part[chosen.transpose(1, 2)].reshape(batch, tokens, -1, *part.shape[3:]).transpose(1, 2)

    weighted = bank * sizes[..., None]
    gone, gone_sizes = apart(weighted, ~source), apart(sizes, ~source)
    weighted, sizes = apart(weighted, source).clone(), apart(sizes, source).clone()
    where = winner[..., None].expand(-1, -1, -1, width)
    weighted.scatter_add_(1, where, gone)
    sizes.scatter_add_(1, winner, gone_sizes)
    kept = apart(bank, source).clone()
    return torch.where((slots[:, :-1] == winner)[..., None], weighted / sizes[..., None], kept), sizes


class Banked:
    """A bank that grows by one and is compressed once where it is over its length."""

    def __init__(self, limit):
        self.values = self.sizes = None
        self.limit = limit

    def with_newest(self, newest):
        return newest if self.values is None else torch.cat([self.values.flatten(1, 2), newest], 1)

    def add(self, newest):
        newest, one = newest.detach()[:, None], torch.ones(newest.shape[0], 1, newest.shape[1], device=newest.device)
        if self.values is None:
            self.values, self.sizes = newest, one
        else:
            self.values, self.sizes = torch.cat([self.values, newest], 1), torch.cat([self.sizes, one], 1)
        if self.values.shape[1] > self.limit:
            self.values, self.sizes = compress(self.values, self.sizes)


def run(qformer, queries, table, frames, *, ids, mask, limit):
    """The last layer at the last of `frames [B, T, N, C]`, `[B, Q + L, D]`."""
    pictures, memories = Banked(limit), [Banked(limit) for _ in qformer.encoder.layer]
    for t in range(frames.shape[1]):
        frame = frames[:, t] if table is None else frames[:, t] + table[t]
        hidden = one(qformer, queries, frame, pictures, memories, ids=ids, mask=mask)
    return hidden


def one(qformer, queries, frame, pictures, memories, *, ids, mask):
    """The last layer at one frame `[B, N, C]`; the banks take it in."""
    count, shown = queries.shape[1], pictures.with_newest(frame)
    hidden = qformer.embeddings(input_ids=ids, query_embeds=queries.expand(len(frame), -1, -1))
    row = torch.cat([mask.new_ones(len(mask), count), mask], 1)
    for layer, memory in zip(qformer.encoder.layer, memories, strict=True):
        before = hidden
        offered = memory.with_newest(hidden)
        bias = (1.0 - row.repeat(1, offered.shape[1] // hidden.shape[1]).float()) * -10000.0
        hidden = attention(layer.attention, hidden, offered, bias)
        own, words = hidden[:, :count], hidden[:, count:]
        if layer.has_cross_attention:
            own = attention(layer.crossattention, own, shown, None)
        hidden = torch.cat([layer.feed_forward_chunk_query(own), layer.feed_forward_chunk(words)], 1)
        memory.add(before)
    pictures.add(frame)
    return hidden


def attention(block, hidden, offered, bias):
    inner = block.attention
    heads = inner.num_attention_heads

    def split(x):
        return x.view(*x.shape[:2], heads, -1).permute(0, 2, 1, 3)

    q, k, v = split(inner.query(hidden)), split(inner.key(offered)), split(inner.value(offered))
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    if bias is not None:
        scores = scores + bias[:, None, None]
    seen = scores.softmax(-1) @ v
    return block.output(seen.permute(0, 2, 1, 3).flatten(2), hidden)

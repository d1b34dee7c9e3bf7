"""The losses of the search encoder: queries among passages, and masked words. Needs torch."""

import torch
import torch.nn.functional as F

from tokenizer import MASK, SPECIAL


def contrast(queries, passages, query_indices, passage_indices, scale):
    """Cross-entropy of each query's answer among all passages, and of each answer's query among all
    queries. What answers the same query, or is the same text, is no wrong answer."""
    count = len(queries)
    scores = queries @ passages.T * scale.exp().clamp(max=100.0)
    same = passage_indices[None, :] == passage_indices[:count, None]
    same[:, :count] |= query_indices[None, :] == query_indices[:, None]
    same[torch.arange(count), torch.arange(count)] = False
    scores = scores.masked_fill(same, float("-inf"))
    right = torch.arange(count, device=scores.device)
    return (F.cross_entropy(scores, right) + F.cross_entropy(scores[:, :count].T, right)) / 2


def mask_words(ids, step, vocab):
    """(ids with 15% of the tokens hidden, what to guess there and -100 elsewhere): of those hidden
    80% are [MASK], 10% another piece, 10% themselves."""
    chance = torch.Generator().manual_seed(step)
    hidden = (torch.rand(ids.shape, generator=chance) < 0.15) & (ids >= len(SPECIAL))
    how = torch.rand(ids.shape, generator=chance)
    other = torch.randint(len(SPECIAL), vocab, ids.shape, generator=chance)
    shown = torch.where(hidden & (how < 0.8), torch.full_like(ids, MASK), ids)
    shown = torch.where(hidden & (how >= 0.9), other, shown)
    return shown, torch.where(hidden, ids, torch.full_like(ids, -100))

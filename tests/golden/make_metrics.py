#!/usr/bin/env python3
"""Writes data/metrics.json: the metrics of include/roars/metrics on random numbers, by definition and not by formula.

pass@k and coverage are counted over all subsets of k samples in exact fractions. Usage: make_metrics.py > data/metrics.json
"""
import json
import math
import random
from fractions import Fraction
from itertools import combinations

draw = random.Random(7)
cases = []


def case(name, doc, inputs, expected):
    cases.append({"method": "metrics", "stage": "metric", "case": name, "doc": doc, "inputs": inputs,
                  "expected": expected, "tolerance": 1e-9})


def subsets(samples, k, worth):
    every = list(combinations(range(samples), k))
    return float(sum(Fraction(worth(each)) for each in every) / len(every))


def answers(groups, right, k):
    entropy, distinct, coverage, offsets, flat = [], [], [], [0], []
    for group in groups:
        shares = [group.count(a) / len(group) for a in sorted(set(group))]
        entropy.append(-math.fsum(p * math.log(p) for p in shares))
        distinct.append(len(shares))
        met = lambda each: Fraction(len({group[i] for i in each} & set(right)), len(right)) if right else 0
        coverage.append(subsets(len(group), k, met))
        flat += group
        offsets.append(len(flat))
    case("answers", "of each group: -sum p ln p over the shares of equal answers; how many differ; the expected share of "
         "`right` (different answers) that k of the group's answers, drawn without replacement, contain; 0 of no right one",
         {"group_offsets": offsets, "answer": flat, "right": right, "k": k},
         {"answer_entropy": entropy, "distinct_answers": distinct, "coverage": coverage})


def outcomes(groups, k):
    flat, offsets = [], [0]
    for group in groups:
        flat += group
        offsets.append(len(flat))
    present = [g for g in groups if g]
    share = lambda test: sum(map(test, present)) / len(present) if present else 0.0
    enough = [g for g in groups if len(g) >= k and g]
    passes = [subsets(len(g), k, lambda each: any(g[i] > 0.5 for i in each)) for g in enough]
    case("groups", "of the groups that are not empty: the share with an outcome above 0.5, with all above 0.5, with outcomes "
         "that are not all equal; and the mean of the chance that k members drawn without replacement hold one above 0.5, "
         "over the groups of k or more members",
         {"group_offsets": offsets, "outcome": flat, "k": k},
         {"solved": share(lambda g: max(g) > 0.5), "all_right": share(lambda g: min(g) > 0.5),
          "effective": share(lambda g: min(g) != max(g)), "groups": len(present),
          "pass_at_k": math.fsum(passes) / len(passes) if passes else 0.0, "pass_groups": len(enough)})


def clip(tokens, low, high):
    rows = [(draw.gauss(-1, 0.4), draw.gauss(-1, 0.4), draw.choice([-1.5, -0.2, 0.0, 0.7]), draw.choice([1, 1, 1, 0]))
            for _ in range(tokens)]
    seen = [(math.exp(new - old), a) for new, old, a, mask in rows if mask]
    outside = sum(r < 1 - low or r > 1 + high for r, _ in seen)
    held = sum((a > 0 and r > 1 + high) or (a < 0 and r < 1 - low) for r, a in seen)
    # What stands at a masked token is never seen.
    spoilt = [("nan" if not mask else new) for new, _, _, mask in rows]
    case("clip", "of the tokens with mask 1, ratio = exp(logp - logp_old): the share outside [1 - low, 1 + high]; the share "
         "above it with advantage > 0 or below it with advantage < 0; 0 of none",
         {"logp": spoilt, "logp_old": [r[1] for r in rows], "advantage": [r[2] for r in rows],
          "mask": [r[3] for r in rows], "clip_low": low, "clip_high": high},
         {"outside": outside / len(seen) if seen else 0.0, "held": held / len(seen) if seen else 0.0,
          "count": len(seen)})


answers([[3, 3, 1, 2, 3, 9], [5], [1, 2, 1, 2]], [1, 2], 1)
answers([[draw.randrange(6) for _ in range(10)] for _ in range(3)], [0, 2, 5], 4)
answers([[7, 7, 7, 7]], [], 2)
outcomes([[1, 0, 0, 1], [0, 0, 0], [1, 1], [], [0.4, 0.4, 0.4, 0.6, 0.5]], 2)
outcomes([[float(draw.random() < 0.3) for _ in range(draw.randrange(0, 9))] for _ in range(12)], 4)
outcomes([[], []], 1)
clip(40, 0.2, 0.28)
clip(25, 0.1, 0.1)
clip(0, 0.2, 0.2)
print(json.dumps(cases))

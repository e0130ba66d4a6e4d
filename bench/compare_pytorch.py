#!/usr/bin/env python3
"""The library against PyTorch eager: the same numbers, the same run, the same number of threads, taking turns.

Usage: compare_pytorch.py BENCH_COMPARE_PYTORCH [--threads N] [--rounds N] [--json FILE]

Every case is computed by both sides; the results must agree before any time is printed. A time is the shortest of all
rounds, and what is printed is a ratio: PyTorch's time over the library's.
"""
import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy
import torch

GAMMA, LAMBDA = 0.99, 0.95


def wave(count, number, low, high):
    """Numbers between low and high that look like noise and are the same everywhere."""
    x = numpy.arange(count, dtype=numpy.float64) * 0.6180339887498949 + 0.7548776662466927 * number
    x = numpy.modf(x * (1 + numpy.modf(x * 0.5698402909980532)[0]))[0]
    return (low + (high - low) * x).astype(numpy.float32)


def flags(count, number, share):
    return (wave(count, number, 0, 1) < share).astype(numpy.float32)


def segments(count, length):
    return numpy.arange(count + 1, dtype=numpy.int64) * length


class TokenObjective:
    """Clipped surrogate + 0.04 k3 over the trainable tokens: loss, gradient, metrics. [1024 sequences x 1024 tokens]"""

    name, title = "token_objective", "clip + k3: loss, gradient, metrics"
    shape = (1024, 1024)
    tolerance = 2e-5
    repetitions = 5

    def data(self):
        rows, length = self.shape
        n = rows * length
        near = wave(n, 1, -3, 0)
        old = near + wave(n, 2, -0.4, 0.4)
        # At a bound itself either slope is right: no token stands within a rounding of one.
        for bound in (0.8, 1.28):
            old = numpy.where(numpy.abs(numpy.exp(near - old) - bound) < 1e-5, near, old)
        return {"offsets": segments(rows, length), "logp": near, "logp_old": old,
                "logp_ref": near + wave(n, 3, -0.4, 0.4), "advantage": wave(n, 4, -2, 2), "mask": flags(n, 5, 0.9)}

    def load(self, data):
        x = {key: torch.from_numpy(value).reshape(self.shape) for key, value in data.items() if key != "offsets"}
        self.logp = x["logp"].clone().requires_grad_()
        self.x = x

    def eager(self):
        x, logp, mask = self.x, self.logp, self.x["mask"]
        logp.grad = None
        tokens = mask.sum()
        log_ratio = logp - x["logp_old"]
        ratio = torch.exp(log_ratio)
        plain = -x["advantage"] * ratio
        clipped = -x["advantage"] * torch.clamp(ratio, 0.8, 1.28)
        distance = x["logp_ref"] - logp
        kl = torch.exp(distance) - distance - 1
        loss = ((torch.max(plain, clipped) + 0.04 * kl) * mask).sum() / tokens
        loss.backward()
        with torch.no_grad():
            metrics = [((ratio * mask).sum() / tokens).item(),
                       (((clipped > plain) * mask).sum() / tokens).item(),
                       ((-log_ratio * mask).sum() / tokens).item(),
                       ((kl * mask).sum() / tokens).item()]
        self.result = [loss.item(), *metrics]

    def results(self):
        return numpy.concatenate([numpy.array(self.result, dtype=numpy.float32), self.logp.grad.numpy().ravel()])

    # the gradient of a token is of the order of 1 / tokens
    def scale(self, expected):
        scale = numpy.full(expected.shape, numpy.abs(expected[5:]).max())
        scale[:5] = 1
        return scale


class Gae:
    """Advantages and returns of [256 streams x 1024 steps]; the loop over time that CleanRL and TRL have."""

    name = "gae"
    title = "GAE, the usual loop over time"
    shape = (256, 1024)
    tolerance = 1e-4
    repetitions = 5

    def data(self):
        rows, length = self.shape
        n = rows * length
        value = wave(n, 1, -1, 1)
        following = numpy.append(value[1:], value[:1])
        terminated = flags(n, 3, 0.005)
        return {"offsets": segments(rows, length), "value": value, "next_value": following,
                "token_reward": wave(n, 2, -1, 1), "terminated": terminated,
                "done": numpy.maximum(terminated, flags(n, 4, 0.005))}

    def load(self, data):
        self.x = {key: torch.from_numpy(value).reshape(self.shape) for key, value in data.items() if key != "offsets"}

    def eager(self):
        x = self.x
        reward, value, following = x["token_reward"], x["value"], x["next_value"]
        with torch.no_grad():
            last, reversed_advantages = 0.0, []
            for t in reversed(range(self.shape[1])):
                delta = reward[:, t] + GAMMA * following[:, t] * (1.0 - x["terminated"][:, t]) - value[:, t]
                last = delta + GAMMA * LAMBDA * (1.0 - x["done"][:, t]) * last
                reversed_advantages.append(last)
            self.advantages = torch.stack(reversed_advantages[::-1], dim=1)
            self.returns = self.advantages + value

    def results(self):
        return numpy.concatenate([self.advantages.numpy().ravel(), self.returns.numpy().ravel()])

    def scale(self, expected):
        return 1.0


class VectorisedGae(Gae):
    """The same without a loop over time: log2(1024) passes over [streams x steps], each composing affine maps."""

    title = "GAE, vectorised over time"

    def eager(self):
        x = self.x
        with torch.no_grad():
            b = x["token_reward"] + GAMMA * x["next_value"] * (1.0 - x["terminated"]) - x["value"]
            a = GAMMA * LAMBDA * (1.0 - x["done"])
            step, length = 1, self.shape[1]
            while step < length:
                b = torch.cat([torch.addcmul(b[:, :-step], a[:, :-step], b[:, step:]), b[:, -step:]], dim=1)
                a = torch.cat([a[:, :-step] * a[:, step:], torch.zeros_like(a[:, -step:])], dim=1)
                step *= 2
            self.advantages, self.returns = b, b + x["value"]


class GroupZScore:
    """Rewards of [512 groups x 16 answers], normalised, for each of 256 tokens of an answer."""

    name, title = "group_z_score", "group z-score"
    tolerance = 1e-5
    repetitions = 10

    def data(self):
        return {"offsets": segments(8192, 256), "groups": segments(512, 16), "reward": wave(8192, 1, -1, 1)}

    def load(self, data):
        self.reward = torch.from_numpy(data["reward"])

    def eager(self):
        groups = self.reward.view(512, 16)
        advantage = (groups - groups.mean(dim=1, keepdim=True)) / (groups.std(dim=1, keepdim=True) + 1e-6)
        self.advantage = advantage.reshape(-1, 1).expand(-1, 256).contiguous()

    def results(self):
        return self.advantage.numpy().ravel()

    def scale(self, expected):
        return 1.0


class FromLogits:
    """DAPO's loss from logits: log-softmax, the token's log-probability, clipped surrogate, d loss / d logits."""

    tolerance = 1e-4
    repetitions = 2

    def __init__(self, rows, vocabulary):
        self.rows, self.vocabulary = rows, vocabulary
        self.name = f"logits_{vocabulary}"
        self.title = f"from logits, {rows} x {vocabulary}"

    def data(self):
        n, v = self.rows, self.vocabulary
        return {"offsets": segments(n // 8, 8), "logits": wave(n * v, 1, -4, 4),
                "token": (wave(n, 2, 0, 1) * (v - 1)).astype(numpy.int32),
                "logp_old": -numpy.log(v).astype(numpy.float32) - 2 + wave(n, 3, -3, 3),
                "advantage": wave(n, 4, -2, 2), "mask": flags(n, 5, 0.9)}

    def load(self, data):
        self.x = {key: torch.from_numpy(value) for key, value in data.items()}
        self.logits = self.x["logits"].reshape(self.rows, self.vocabulary).requires_grad_()
        self.token = self.x["token"].long()

    def eager(self):
        x, logits, mask = self.x, self.logits, self.x["mask"]
        logits.grad = None
        logp = torch.log_softmax(logits, dim=-1).gather(1, self.token[:, None]).squeeze(1)
        log_ratio = logp - x["logp_old"]
        ratio = torch.exp(log_ratio)
        plain = -x["advantage"] * ratio
        clipped = -x["advantage"] * torch.clamp(ratio, 0.8, 1.28)
        tokens = mask.sum()
        loss = (torch.max(plain, clipped) * mask).sum() / tokens
        loss.backward()
        with torch.no_grad():
            metrics = [((ratio * mask).sum() / tokens).item(), (((clipped > plain) * mask).sum() / tokens).item(),
                       ((-log_ratio * mask).sum() / tokens).item()]
        self.loss = loss.item()
        del metrics

    def results(self):
        return numpy.concatenate([numpy.array([self.loss], dtype=numpy.float32), self.logits.grad.numpy().ravel()])

    def scale(self, expected):
        scale = numpy.full(expected.shape, numpy.abs(expected[1:]).max())
        scale[0] = 1
        return scale


class Library:
    """The library's program, kept running: case and repetitions in, seconds out."""

    def __init__(self, program, folder, threads):
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
        self.process = subprocess.Popen([program, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=environment)

    def time(self, name, repetitions):
        self.process.stdin.write(f"{name} {repetitions}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"{name}: the library's program stopped")
        return float(answer)


def eager_time(case):
    start = time.perf_counter()
    case.eager()
    return time.perf_counter() - start


def agree(case, folder):
    """Largest difference of the two results, in units of what such a result is like."""
    expected = case.results()
    ours = numpy.fromfile(folder / f"{case.name}.out", dtype=numpy.float32)
    if ours.shape != expected.shape:
        sys.exit(f"{case.title}: {ours.size} numbers, PyTorch has {expected.size}")
    difference = float((numpy.abs(ours - expected) / case.scale(expected)).max())
    if not difference <= case.tolerance:
        sys.exit(f"{case.title}: the results differ by {difference:.2g}, expected at most {case.tolerance:.2g}")
    return difference


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cases = [TokenObjective(), Gae(), VectorisedGae(), GroupZScore(), FromLogits(256, 32000), FromLogits(64, 151936)]
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for case in cases:
            data = case.data()
            for column, values in data.items():
                values.tofile(folder / f"{case.name}.{column}")
            case.load(data)
        library = Library(arguments.program, folder, arguments.threads)
        for case in cases:
            ours = theirs = float("inf")
            for _ in range(arguments.rounds):
                ours = min(ours, library.time(case.name, case.repetitions))
                theirs = min([theirs] + [eager_time(case) for _ in range(case.repetitions)])
            rows.append({"case": case.title, "pytorch_over_roars": theirs / ours, "difference": agree(case, folder)})
            print(f"{case.title:40} {theirs / ours:8.1f} x    (PyTorch {theirs * 1e3:.2f} ms, ours {ours * 1e3:.2f} ms)", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps({"pytorch": torch.__version__, "python": platform.python_version(),
                                              "threads": arguments.threads, "cases": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()

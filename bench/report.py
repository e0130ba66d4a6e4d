#!/usr/bin/env python3
"""Writes docs/benchmarks/cpu.md from what the benchmarks measured.

Usage: report.py FOLDER COMPILER FLAGS PAGE; FOLDER holds parts.json, critics.json, logits.json, linear.json, composition.json (Google
Benchmark) and, where PyTorch was there, pytorch.json.
"""
import json
import os
import platform
import sys
from datetime import date
from pathlib import Path


def measured(folder, name):
    file = folder / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else None


def runs(report):
    """Name without what the library of benchmarks adds -> counters."""
    return {run["name"].removesuffix("/manual_time"): run for run in report["benchmarks"] if "error_message" not in run}


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def shares(found):
    return table(["part", "share of the copy"],
                 [[f"`{name}`", f"{run['share_of_copy']:.2f}"] for name, run in found.items()])


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def instructions():
    """The widest lanes that the processor has."""
    flags = Path("/proc/cpuinfo").read_text().split()
    return next((name for name, flag in (("AVX-512", "avx512f"), ("AVX2", "avx2"), ("NEON", "asimd")) if flag in flags),
                "SSE2")


def main():
    folder, compiler, flags, page = Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4])
    parts, logits = runs(measured(folder, "parts")), runs(measured(folder, "logits"))
    critics = runs(measured(folder, "critics"))
    composition = runs(measured(folder, "composition"))
    linear = runs(measured(folder, "linear"))
    context = measured(folder, "parts")["context"]
    pytorch = measured(folder, "pytorch")
    samplers = {name: run for name, run in parts.items() if name.startswith("sampler/")}
    products = {name: run for name, run in (parts | critics).items() if name.startswith("products/")}
    others = {name: run for name, run in parts.items() if name not in samplers and name not in products}
    rules = {name: run for name, run in critics.items() if name not in products}

    text = f"""# Speed on the CPU

Written by `scripts/bench` on {date.today()}; every number was measured in that run. All but the last table
are ratios of two times taken in turns in the same run with the same number of threads, each the shortest of many.

Machine: {processor()}, {context['num_cpus']} cores, {instructions()}; threads: {os.environ['OMP_NUM_THREADS']}. Compiler: {compiler},
`{flags}`; no `-ffast-math`.

"""
    if pytorch:
        text += f"""## Against PyTorch eager

PyTorch {pytorch['pytorch']}, threads on both sides: {pytorch['threads']}, the same numbers in; the results agree, and the
largest difference stands beside. PyTorch's time over ours:

""" + table(["case", "times faster", "largest difference"],
            [[row["case"], f"{row['pytorch_over_roars']:.1f}", f"{row['difference']:.0e}"] for row in pytorch["cases"]]) + "\n"
    text += """## The cost of composition

The composed objective over the same loop written by hand with the same SIMD library (`bench/composition.cpp`):

""" + table(["objective / tokens", "composed over by hand"],
            [[f"`{name}`", f"{run['composed_over_by_hand']:.2f}"] for name, run in composition.items()]) + """
## Against the limit of the memory

Time of a copy that reads and writes as many bytes as the part does, over the time of the part: 1 is a copy's speed. A part
that works in place, or that only writes, can be faster than a copy to another place. ClipCov, KlCov and TopEntropy choose
among all tokens of a batch and so look at it several times. `collect/` is what a sampler does beside rolling out, against a copy of the rollouts.

""" + shares(others) + """
Targets and losses of critics, and losses of whole rows, 131,072 rows (a batch of control has some hundreds: what counts there is the
networks, below). 8 actions of which one is taken, or actions of 6 numbers, 10 samples, 51 atoms, 32 quantiles; two rows of quantiles are 1,024
pairs:

""" + shares(rules) + """
From logits, by the size of the vocabulary. The objective's copy reads the logits and writes as many gradients; that of a
divergence reads those of both policies:

""" + shares(logits) + """
Over a fused last linear layer, 2,048 tokens: against its three matrix products alone, which hold all logits; and the
memory that the objective holds beside its inputs and gradients, as a share of the logits:

""" + table(["objective", "share of the products", "memory over logits"],
            [[f"`{name}`", f"{run['share_of_products']:.2f}", f"{run['extra_over_logits']:.3f}"]
             for name, run in linear.items()]) + """
What is made of matrix products, against those products alone by Eigen: Muon of a matrix of 512 x 1,024; a step of two critics of 2 x 256
units at 256 rows, and what CriticWeight asks them. Above 1 it is our product that is the faster one:

""" + table(["part", "share of the products"],
            [[f"`{name.removeprefix('products/')}`", f"{run['share_of_products']:.2f}"]
             for name, run in products.items()]) + """
## Samplers

One token a row of 32,000 or 151,936 logits. Rows a second, the only numbers here that are no ratio:

""" + table(["sampler", "rows a second"],
            [[f"`{name.removeprefix('sampler/')}`", f"{run['M/s'] * 1e6:,.0f}"] for name, run in samplers.items()])
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text)


if __name__ == "__main__":
    main()

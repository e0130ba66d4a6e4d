#!/usr/bin/env python3
"""Writes data/trl.json: what TRL's own losses of pairs say of random numbers, in double. (Its alpha divergence takes
exponentials in single precision and has no case.)

Usage, where TRL is installed (pip install trl), and XPO's trainer, which left TRL after 0.24, lies in a file
(pip download trl==0.24.0 --no-deps, unzip): make_trl.py trl/trainer/xpo_trainer.py > data/trl.json
"""
import ast
import collections
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
import trl
from trl.trainer.dpo_trainer import DPOTrainer

torch.set_default_dtype(torch.float64)
draw = np.random.default_rng(31)
cases = []


def case(name, doc, inputs, expected):
    plain = lambda x: x.detach().numpy().tolist() if isinstance(x, torch.Tensor) else np.asarray(x).tolist()
    cases.append({"method": "trl", "stage": "loss", "case": name, "doc": doc, "inputs": {k: plain(v) for k, v in inputs.items()},
                  "expected": {k: plain(v) for k, v in expected.items()}, "tolerance": 1e-9})


def answers(count, longest):
    """Lengths, and a table of log-probabilities of the policy and of the reference, 0 behind an answer's end."""
    length = draw.integers(1, longest + 1, size=count)
    mask = torch.tensor((np.arange(longest) < length[:, None]).astype(float))
    table = lambda: torch.tensor(np.round(-np.abs(draw.normal(size=(count, longest))), 3)) * mask
    return length, mask, table(), table()


def side_by_side(table, mask, pairs):
    """Tokens of chosen and rejected answers, pair after pair; the table has all chosen ones first."""
    order = [i for k in range(pairs) for i in (k, pairs + k)]
    return torch.cat([table[i][mask[i] > 0] for i in order])


def offsets_of(length, pairs):
    return np.cumsum([0] + [length[i] for k in range(pairs) for i in (k, pairs + k)])


def dpo(name, doc, pairs, beta, loss="sigmoid", divergence="reverse_kl", smoothing=0.0, weighting=False):
    length, mask, logp, reference = answers(2 * pairs, 4)
    logp.requires_grad_()
    # Not above 1, the sum of squares of a distribution that gives a token exp(logp); a weight stays below 1.
    squares = torch.tensor(np.round(draw.uniform(0.7, 1.0, size=logp.shape), 3))
    said = lambda table: SimpleNamespace(log_probs=table, log_sum_sq_probs=torch.log(squares), entropy=table, mean_logits=table,
                                         is_top1=table > 0)
    model = lambda **_: said(logp)
    model.training = True
    gather = lambda x: x
    own = SimpleNamespace(model=model, ref_model=lambda **_: said(reference), beta=beta, ld_alpha=None, precompute_ref_logps=False,
                          accelerator=SimpleNamespace(device="cpu", gather=gather, gather_for_metrics=gather), aux_loss_enabled=False,
                          f_divergence_type=divergence, loss_types=[loss], loss_weights=[1.0], label_smoothing=smoothing,
                          use_weighting=weighting, _metrics=collections.defaultdict(lambda: collections.defaultdict(list)),
                          _total_train_tokens=0, _tp_size=1, args=SimpleNamespace(gradient_checkpointing_kwargs=None))
    model.is_gradient_checkpointing = False
    completion = torch.cat([torch.zeros(2 * pairs, 1), mask], dim=1).long()
    value = DPOTrainer._compute_loss(own, model, {"input_ids": completion, "attention_mask": completion, "completion_mask": completion}, False)
    value.backward()
    inputs = {"token_offsets": offsets_of(length, pairs), "logp": side_by_side(logp, mask, pairs),
              "logp_ref": side_by_side(reference, mask, pairs), "beta": beta, "label_smoothing": smoothing}
    if weighting:
        inputs["sum_pi_squared"] = side_by_side(squares, mask, pairs)
    case(name, f"TRL {trl.__version__}, DPOTrainer._compute_loss: {doc}; chosen first in each pair", inputs,
         {"loss": value, "grad_logp": side_by_side(logp.grad, mask, pairs)})


def xpo(path, pairs, beta, alpha):
    """XPOTrainer._compute_losses, taken out of its file."""
    tree = ast.parse(Path(path).read_text())
    trainer = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "XPOTrainer")
    method = next(n for n in trainer.body if isinstance(n, ast.FunctionDef) and n.name == "_compute_losses")
    scope = {"torch": torch, "F": F}
    exec(compile(ast.Module([method], []), path, "exec"), scope)
    # Rows of the table: the policy's answers, then the reference's.
    length, mask, logp, reference = answers(2 * pairs, 4)
    logp.requires_grad_()
    preferred = torch.tensor(draw.random(pairs) < 0.5)
    own = SimpleNamespace(beta=beta, alpha=alpha, args=SimpleNamespace(loss_type="sigmoid"))
    value, _, _ = scope["_compute_losses"](own, logp[:pairs], logp[pairs:], reference[pairs:], reference[:pairs], preferred)
    value.backward()
    reward = torch.stack([preferred.double(), 1.0 - preferred.double()], dim=1).reshape(-1)
    external = side_by_side(torch.cat([torch.zeros(pairs, 4), torch.ones(pairs, 4)]), mask, pairs)
    case("xpo", "TRL 0.24.0, XPOTrainer._compute_losses: the policy's answer first in each pair; the reward says which was chosen",
         {"token_offsets": offsets_of(length, pairs), "logp": side_by_side(logp, mask, pairs),
          "logp_ref": side_by_side(reference, mask, pairs), "external": external, "reward": reward, "beta": beta, "alpha": alpha},
         {"loss": value, "grad_logp": side_by_side(logp.grad, mask, pairs)})


for smoothing in (0.0, 0.1):
    dpo("aot", "aot", 5, 0.3, loss="aot", smoothing=smoothing)
    dpo("aot_unpaired", "aot_unpaired", 4, 0.5, loss="aot_unpaired", smoothing=smoothing)
for beta in (0.1, 0.8):
    dpo("forward_kl", "f_divergence_type forward_kl", 4, beta, divergence="forward_kl")
    dpo("js_divergence", "f_divergence_type js_divergence", 3, beta, divergence="js_divergence")
    dpo("wpo", "use_weighting", 4, beta, weighting=True)
    xpo(sys.argv[1], 4, beta, 0.05)
sys.stdout.write("[" + ",\n".join(json.dumps(c) for c in cases) + "]\n")

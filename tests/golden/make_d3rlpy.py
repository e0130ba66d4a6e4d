#!/usr/bin/env python3
"""Writes data/d3rlpy.json: what d3rlpy's own functions say of random numbers, in double. Networks are stood in for by
smooth functions whose values (and slopes) are among the inputs; what d3rlpy draws is given to it. Its decoder squashes where it is asked not to
and does not where it is asked to: no case goes through it.

Usage, where d3rlpy is installed (pip install d3rlpy): make_d3rlpy.py > data/d3rlpy.json
"""
import json
import sys
from types import SimpleNamespace
from unittest import mock

import d3rlpy
import numpy as np
import torch
from d3rlpy.algos.qlearning.torch import bcq_impl, bear_impl, cal_ql_impl, crr_impl, plas_impl, rebrac_impl
from d3rlpy.algos.transformer.torch import decision_transformer_impl
from d3rlpy.models.torch import ActionOutput, ContinuousEnsembleQFunctionForwarder, compute_max_with_n_actions, compute_vae_error
from d3rlpy.models.torch.parameters import Parameter
from d3rlpy.models.torch.policies import DeterministicResidualPolicy
from d3rlpy.models.torch.q_functions.base import QFunctionOutput
from d3rlpy.models.torch.q_functions.mean_q_function import ContinuousMeanQFunctionForwarder
from torch.distributions import Normal

torch.set_default_dtype(torch.float64)
draw = np.random.default_rng(23)
cases = []


def case(stage, name, doc, inputs, expected):
    plain = lambda x: x.detach().numpy().tolist() if isinstance(x, torch.Tensor) else np.asarray(x).tolist()
    cases.append({"method": "d3rlpy", "stage": stage, "case": name, "doc": f"d3rlpy {d3rlpy.__version__}: {doc}",
                  "inputs": {k: plain(v) for k, v in inputs.items()},
                  "expected": {k: plain(v) for k, v in expected.items()}, "tolerance": 1e-9})


def rounded(*shape, scale=1.0):
    return torch.tensor(np.round(scale * draw.normal(size=shape), 3))


def ended(rows):
    return torch.tensor((draw.random((rows, 1)) < 0.3).astype(float))


class Critics:
    """Smooth functions of (state, action) in d3rlpy's own ensemble."""

    def __init__(self, members, states, actions):
        weights = [rounded(states + actions, 3) for _ in range(members)]
        self.forwarder = ContinuousEnsembleQFunctionForwarder(
            [ContinuousMeanQFunctionForwarder(self.function(w)) for w in weights], actions)

    @staticmethod
    def function(weight):
        return lambda x, a: QFunctionOutput(q_value=torch.sin(torch.cat([x, a], dim=1) @ weight).sum(1, keepdim=True),
                                            quantiles=None, taus=None)

    def values(self, x, a):
        return self.forwarder.compute_expected_q(x, a, "none")[:, :, 0]


def acting(action):
    return lambda *_: ActionOutput(mu=action, squashed_mu=action, logstd=None)


def target_of(reward, terminal, gamma, value):
    """ContinuousMeanQFunctionForwarder's y."""
    return (reward + gamma * value * (1 - terminal))[:, 0]


def rebrac(rows, width, beta, sigma, clip, actor_beta):
    critics, gamma = Critics(2, 3, width), 0.97
    state, action, noise, taken = rounded(rows, 3), torch.tanh(rounded(rows, width)), rounded(rows, width), torch.tanh(rounded(rows, width))
    reward, terminal = rounded(rows, 1), ended(rows)
    own = SimpleNamespace(_modules=SimpleNamespace(targ_policy=acting(action)), _targ_q_func_forwarder=critics.forwarder,
                          _q_func_forwarder=critics.forwarder, _critic_beta=beta, _actor_beta=actor_beta,
                          _target_smoothing_sigma=sigma, _target_smoothing_clip=clip)
    batch = SimpleNamespace(next_observations=state, next_actions=taken, device="cpu", observations=state, actions=taken)
    with mock.patch("torch.randn", return_value=noise):
        value = rebrac_impl.ReBRACImpl.compute_target(own, batch)
    smoothed = (action + (sigma * noise).clamp(-clip, clip)).clamp(-1, 1)
    q = critics.values(state, smoothed)
    case("target", "rebrac", "ReBRACImpl.compute_target, and y; next_q at the smoothed action",
         {"policy_action": action, "noise": noise, "sigma": sigma, "noise_clip": clip, "next_action": taken, "beta": beta,
          "gamma": gamma, "reward": reward[:, 0], "terminated": terminal[:, 0], "next_q": q},
         {"action": smoothed, "target": target_of(reward, terminal, gamma, value)})
    moved = action.clone().requires_grad_()
    loss = rebrac_impl.ReBRACImpl.compute_actor_loss(own, batch, acting(moved)()).actor_loss
    loss.backward()
    asked = action.clone().requires_grad_()
    least = critics.values(state, asked).min(dim=0).values
    least.sum().backward()
    case("loss", "rebrac", "ReBRACImpl.compute_actor_loss; q the least of the critics, q_gradient its slope",
         {"policy_action": action, "action": taken, "q": least, "q_gradient": asked.grad, "beta": actor_beta},
         {"loss": loss, "grad_policy_action": moved.grad})


def crr(rows, width, samples, kind, weight, beta, cap):
    critics = Critics(2, 3, width)
    state, action, drawn = rounded(rows, 3), rounded(rows, width), rounded(rows, samples, width)
    own = SimpleNamespace(_modules=SimpleNamespace(policy=lambda _: None), _q_func_forwarder=critics.forwarder, _beta=beta,
                          _n_action_samples=samples, _advantage_type=kind, _weight_type=weight, _max_weight=cap, _action_size=width)
    own._compute_advantage = lambda x, a: crr_impl.CRRImpl._compute_advantage(own, x, a)
    with mock.patch.object(crr_impl, "build_gaussian_distribution", return_value=SimpleNamespace(sample_n=lambda _: drawn)):
        weights = crr_impl.CRRImpl._compute_weight(own, state, action)
        advantage = own._compute_advantage(state, action)
    q = critics.forwarder.compute_expected_q(state, action)
    own_q = critics.values(state.repeat_interleave(samples, dim=0), drawn.reshape(-1, width)).view(2, rows * samples)
    case("advantage", "crr_" + weight, f"CRRImpl._compute_weight, value the {kind} over {samples} actions of the policy",
         {"q": critics.values(state, action), "policy_q": own_q, "samples": samples, "kind": kind, "beta": beta, "cap": cap},
         {"q": q[:, 0], "value": (q - advantage)[:, 0], "weight": weights[:, 0]})


def cal_ql(rows, width, samples, scale):
    critics = Critics(2, 3, width)
    state, following, action, returns = rounded(rows, 3), rounded(rows, 3), torch.tanh(rounded(rows, width)), rounded(rows, 1)
    uniform = torch.tensor(draw.uniform(-1, 1, size=(rows * samples, width)))
    drawn = [(torch.tanh(rounded(rows, samples, width)), rounded(rows, samples)) for _ in range(2)]
    turn = iter(drawn)
    own = cal_ql_impl.CalQLImpl.__new__(cal_ql_impl.CalQLImpl)
    torch.nn.Module.__init__(own) if isinstance(own, torch.nn.Module) else None
    for name, value in {"_q_func_forwarder": critics.forwarder, "_n_action_samples": samples, "_conservative_weight": scale,
                        "_alpha_threshold": 0.4, "_action_size": width, "_device": "cpu",
                        "_modules": SimpleNamespace(policy=lambda _: None)}.items():
        own.__dict__[name] = value
    import d3rlpy.algos.qlearning.torch.utility as utility
    distribution = lambda _: SimpleNamespace(sample_n_with_log_prob=lambda n: next(turn))
    with mock.patch.object(utility, "build_squashed_gaussian_distribution", distribution), \
            mock.patch.object(torch.Tensor, "uniform_", lambda self, *_: uniform):
        losses = own._compute_conservative_loss(state, action, following, returns)
    # Actions of the state, of the next state, uniform ones; the floor stands under the policy's alone.
    actions = torch.cat([drawn[0][0], drawn[1][0], uniform.view(rows, samples, width)], dim=1)
    repeated = state.repeat_interleave(3 * samples, dim=0)
    q = critics.values(repeated, actions.reshape(-1, width)).view(2, rows, 3 * samples)
    density = torch.cat([drawn[0][1], drawn[1][1], torch.full((rows, samples), float(np.log(0.5 ** width)))], dim=1)
    data = critics.values(state, action)
    for k in range(2):
        given = q[k].clone().requires_grad_()
        floor = torch.cat([returns.expand(rows, 2 * samples), torch.full((rows, samples), -torch.inf)], dim=1)
        case("regularizer", "cal_ql", "CalQLImpl._compute_conservative_loss of one critic",
             {"q": q[k], "returns": returns[:, 0], "log_density": density, "q_data": data[k], "policy_samples": 2 * samples,
              "weight": scale, "threshold": 0.4}, {"loss": losses[k]})


def model(rows, width, code, beta):
    action, mean = torch.tanh(rounded(rows, width)), rounded(rows, code).requires_grad_()
    deviation = torch.exp(0.3 * rounded(rows, code)).requires_grad_()
    made = torch.tanh(rounded(rows, width)).requires_grad_()
    loss = compute_vae_error(lambda *_: Normal(mean, deviation), lambda *_: made, None, action, beta)
    loss.backward()
    case("loss", "model", "compute_vae_error of what encoder and decoder said",
         {"reconstruction": made, "action": action, "latent_mean": mean, "latent_deviation": deviation, "beta": beta},
         {"loss": loss, "grad_reconstruction": made.grad, "grad_latent_mean": mean.grad, "grad_latent_deviation": deviation.grad})


def bcq(rows, width, samples, critics_count, lam):
    critics, gamma = Critics(critics_count, 3, width), 0.95
    state, action, reward, terminal = rounded(rows, 3), rounded(rows, samples, width), rounded(rows, 1), ended(rows)
    own = SimpleNamespace(_repeat_observation=lambda x: None, _sample_repeated_action=lambda x, target: action,
                          _targ_q_func_forwarder=critics.forwarder, _lam=lam)
    value = bcq_impl.BCQImpl.compute_target(own, SimpleNamespace(next_observations=state))
    q = critics.values(state.repeat_interleave(samples, dim=0), action.reshape(-1, width))
    case("target", "bcq", "BCQImpl.compute_target, and y; next_q of every critic, the samples of a row side by side",
         {"next_q": q, "pessimism": lam, "gamma": gamma, "reward": reward[:, 0], "terminated": terminal[:, 0]},
         {"target": target_of(reward, terminal, gamma, value)})


def moved(rows, width, scale):
    drawn, wish, critics, state = rounded(rows, width, scale=0.8).clamp(-1, 1), rounded(rows, width).requires_grad_(), Critics(2, 3, width), rounded(rows, 3)
    policy = SimpleNamespace(_scale=scale, _encoder=lambda x, a: None, _fc=lambda h: wish)
    said = DeterministicResidualPolicy.forward(policy, state, drawn)
    own = SimpleNamespace(_q_func_forwarder=critics.forwarder)
    loss = bcq_impl.BCQImpl.compute_actor_loss(own, SimpleNamespace(observations=state), said).actor_loss
    loss.backward()
    u = torch.tanh(wish.detach()).requires_grad_()
    at = said.squashed_mu.detach().clone().requires_grad_()
    first = critics.values(state, at)[0]
    first.sum().backward()
    case("loss", "bcq", "DeterministicResidualPolicy and BCQImpl.compute_actor_loss; u the network's tanh, q and q_gradient at the moved action",
         {"drawn": drawn, "u": u, "range": scale, "q": first, "q_gradient": at.grad},
         {"action": at, "loss": loss, "grad_u": wish.grad / (1 - u.detach() ** 2)})


def plas(rows, width, lam):
    critics, gamma = Critics(2, 3, width), 0.98
    state, said, reward, terminal = rounded(rows, 3), torch.tanh(rounded(rows, 2 * width)), rounded(rows, 1), ended(rows)
    weight = rounded(3 + 2 * width, width)
    decoder = lambda x, z: torch.tanh(torch.cat([x, z], dim=1) @ weight)
    own = SimpleNamespace(_modules=SimpleNamespace(targ_policy=acting(said), vae_decoder=decoder),
                          _targ_q_func_forwarder=critics.forwarder, _q_func_forwarder=critics.forwarder, _lam=lam)
    value = plas_impl.PLASImpl.compute_target(own, SimpleNamespace(next_observations=state))
    action = decoder(state, 2 * said)
    case("target", "plas", "PLASImpl.compute_target, and y; a decoder without hidden layers: tanh([state, code] weight)",
         {"said": said, "state": state, "weight": weight, "next_q": critics.values(state, action), "pessimism": lam,
          "gamma": gamma, "reward": reward[:, 0], "terminated": terminal[:, 0]},
         {"action": action, "target": target_of(reward, terminal, gamma, value)})
    wish = said.clone().requires_grad_()
    loss = plas_impl.PLASImpl.compute_actor_loss(own, SimpleNamespace(observations=state), acting(wish)()).actor_loss
    loss.backward()
    at = action.detach().clone().requires_grad_()
    first = critics.values(state, at)[0]
    first.sum().backward()
    case("loss", "plas", "PLASImpl.compute_actor_loss through the same decoder; q and q_gradient at the decoded action",
         {"said": said, "state": state, "weight": weight, "q": first, "q_gradient": at.grad},
         {"loss": loss, "grad_said": wish.grad})


def bear(rows, width, samples, kernel, sigma, alpha, threshold):
    policy, data = rounded(rows, samples, width).requires_grad_(), rounded(rows, samples, width)
    log_alpha = Parameter(torch.full((1, 1), float(np.log(alpha))))
    own = SimpleNamespace(_modules=SimpleNamespace(policy=lambda _: None, vae_decoder=None, log_alpha=log_alpha), _action_size=width,
                          action_size=width, _n_mmd_action_samples=samples, _mmd_kernel=kernel, _mmd_sigma=sigma, _alpha_threshold=threshold)
    own._compute_mmd = lambda x: bear_impl.BEARImpl._compute_mmd(own, x)
    with mock.patch.object(bear_impl, "forward_vae_sample_n", lambda **_: data), \
            mock.patch.object(bear_impl, "build_squashed_gaussian_distribution",
                              lambda _: SimpleNamespace(sample_n_without_squash=lambda n: policy)):
        distance = own._compute_mmd(rounded(rows, 3))
        loss = bear_impl.BEARImpl._compute_mmd_loss(own, rounded(rows, 3))
    loss.backward()
    case("regularizer", "bear_" + kernel, "BEARImpl._compute_mmd and _compute_mmd_loss with alpha; log_alpha learns by -loss",
         {"policy_samples": policy.reshape(rows, -1), "model_samples": data.reshape(rows, -1), "width": width, "sigma": sigma,
          "alpha": alpha, "threshold": threshold},
         {"discrepancy": distance.mean(), "loss": loss, "grad_policy_samples": policy.grad.reshape(rows, -1),
          "log_alpha_slope": -next(iter(log_alpha.parameters())).grad[0, 0]})


def bear_target(rows, width, samples, lam):
    critics, gamma = Critics(2, 3, width), 0.96
    state, action, reward, terminal = rounded(rows, 3), rounded(rows, samples, width), rounded(rows, 1), ended(rows)
    # exp(log_temp) of a temperature of 0: the paper's target has no entropy.
    own = SimpleNamespace(_modules=SimpleNamespace(policy=lambda _: None, log_temp=Parameter(torch.full((1, 1), -torch.inf))),
                          _n_target_samples=samples, _targ_q_func_forwarder=critics.forwarder, _lam=lam)
    own_batch = SimpleNamespace(next_observations=state, observations=state)
    with mock.patch.object(bear_impl, "build_squashed_gaussian_distribution",
                           lambda _: SimpleNamespace(sample_n_with_log_prob=lambda n: (action, torch.zeros(rows, samples, 1)))), \
            mock.patch.object(bear_impl, "get_parameter", lambda p: next(iter(p.parameters()))):
        value = bear_impl.BEARImpl.compute_target(own, own_batch)
    q = critics.values(state.repeat_interleave(samples, dim=0), action.reshape(-1, width))
    case("target", "bcq", "BEARImpl.compute_target without a temperature, and y",
         {"next_q": q, "pessimism": lam, "gamma": gamma, "reward": reward[:, 0], "terminated": terminal[:, 0]},
         {"target": target_of(reward, terminal, gamma, value)})


def decision_transformer(windows, steps, width, actions):
    said, taken = torch.tanh(rounded(windows, steps, width)).requires_grad_(), torch.tanh(rounded(windows, steps, width))
    batch = SimpleNamespace(observations=None, actions=taken, returns_to_go=None, timesteps=None, masks=torch.ones(windows, steps))
    own = SimpleNamespace(_modules=SimpleNamespace(transformer=lambda *_: said))
    loss = decision_transformer_impl.DecisionTransformerImpl.compute_loss(own, batch)
    loss.backward()
    flat = lambda x: x.reshape(windows * steps, -1)
    case("loss", "decision_transformer", "DecisionTransformerImpl.compute_loss of what the model said, windows without padding",
         {"policy_action": flat(said), "action": flat(taken)}, {"loss": loss, "grad_policy_action": flat(said.grad)})
    logits, token = rounded(windows, steps, actions).requires_grad_(), torch.tensor(draw.integers(actions, size=(windows, steps)))
    batch.actions = token
    own = SimpleNamespace(_modules=SimpleNamespace(transformer=lambda *_: (None, logits)), _action_size=actions)
    loss = decision_transformer_impl.DiscreteDecisionTransformerImpl.compute_loss(own, batch)
    loss.backward()
    case("loss", "discrete_decision_transformer", "DiscreteDecisionTransformerImpl.compute_loss of its logits",
         {"logits": flat(logits), "action": token.reshape(-1)}, {"loss": loss, "grad_logits": flat(logits.grad)})


rebrac(5, 2, 0.3, 0.2, 0.5, 0.05)
rebrac(4, 3, 0.01, 0.8, 0.4, 1.0)
for weight in ("binary", "exp"):
    crr(5, 2, 4, "mean", weight, 0.7, 20.0)
    crr(4, 1, 3, "max", weight, 0.2, 2.0)
cal_ql(4, 2, 3, 5.0)
cal_ql(3, 1, 2, 1.0)
model(4, 2, 4, 0.5)
model(3, 3, 6, 0.1)
bcq(4, 2, 5, 2, 0.75)
bcq(3, 1, 3, 4, 0.4)
moved(5, 2, 0.05)
moved(4, 3, 0.6)
plas(4, 2, 0.75)
plas(3, 1, 1.0)
for kernel, sigma in (("gaussian", 2.0), ("laplacian", 1.5)):
    bear(3, 2, 4, kernel, sigma, 1.7, 0.05)
    bear(4, 1, 3, kernel, sigma, 0.4, 2.0)
bear_target(4, 2, 4, 0.75)
decision_transformer(2, 3, 2, 4)
sys.stdout.write("[" + ",\n".join(json.dumps(c) for c in cases) + "]\n")

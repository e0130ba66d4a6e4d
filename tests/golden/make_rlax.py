#!/usr/bin/env python3
"""Writes data/rlax.json: what rlax itself says of random numbers, in double. (Its two-hot distribution adds 1e-5 to a
denominator and has no case.)

Usage, where rlax is installed (pip install rlax): make_rlax.py > data/rlax.json
"""
import json
import sys

import jax
import numpy as np

jax.config.update("jax_enable_x64", True)
import rlax  # noqa: E402  (the precision comes first)

draw = np.random.default_rng(11)
cases = []


def case(name, doc, inputs, expected):
    plain = lambda x: np.asarray(x).tolist()
    cases.append({"method": "rlax", "stage": "critic", "case": name, "doc": f"rlax {rlax.__version__}: {doc}",
                  "inputs": {k: plain(v) for k, v in inputs.items()},
                  "expected": {k: plain(v) for k, v in expected.items()}, "tolerance": 1e-9})


def rounded(*shape):
    return np.round(draw.normal(size=shape), 3)


def probabilities(*shape):
    return np.asarray(jax.nn.softmax(rounded(*shape)))


def leaky_v_trace(steps, hard, gamma, lam):
    reward, value, next_value, log_rho = rounded(steps), rounded(steps), rounded(steps), rounded(steps)
    terminated = (draw.random(steps) < 0.2).astype(float)
    errors = rlax.leaky_vtrace(value, next_value, reward, gamma * (1 - terminated), np.exp(log_rho), alpha_=hard, lambda_=lam)
    case("leaky_vtrace", "errors of one stream; hard is alpha_, both clips 1, done where terminated",
         {"reward": reward, "value": value, "next_value": next_value, "terminated": terminated, "log_rho": log_rho,
          "hard": hard, "gamma": gamma, "lambda": lam}, {"error": errors})


def off_policy(steps, actions, gamma, lam):
    # q_t, pi_t, a_t of the states behind steps 0 .. steps - 1; the trace of the last one is not used.
    reward, q, pi = rounded(steps), rounded(steps, actions), probabilities(steps, actions)
    action = draw.integers(actions, size=steps)
    taken = pi[np.arange(steps), action]
    for name, trace in (("tree_backup", lam * taken), ("q_lambda_off_policy", np.full(steps, lam))):
        target = rlax.general_off_policy_returns_from_action_values(q, action, reward, np.full(steps, gamma), trace, pi)
        case(name, "general_off_policy_returns_from_action_values of one stream; q, pi, action belong to the state behind a step",
             {"reward": reward, "q": q, "pi": pi, "action": action, "gamma": gamma, "lambda": lam}, {"target": target})


def one_step(actions, gamma, scale):
    q, q_next, pi = rounded(actions), rounded(actions), probabilities(actions)
    action, reward = int(draw.integers(actions)), float(rounded())
    zero = np.zeros(actions)
    case("expected_sarsa", "the target: the error where q of the action is 0",
         {"reward": reward, "next_q": q_next, "next_probability": pi, "gamma": gamma},
         {"target": rlax.expected_sarsa(zero, action, reward, gamma, q_next, pi)})
    case("persistent_q_learning", "the target: the error where q of the action is 0",
         {"reward": reward, "next_q": q_next, "action": action, "gamma": gamma, "persistence": scale},
         {"target": rlax.persistent_q_learning(zero, action, reward, gamma, q_next, scale)})


def peng(steps, gamma, lam):
    reward, q_next = rounded(steps), rounded(steps, 3)
    zero = np.zeros((steps, 3))
    case("q_lambda", "the targets of one stream: the errors where every q is 0",
         {"reward": reward, "next_value": q_next.max(axis=1), "gamma": gamma, "lambda": lam},
         {"target": rlax.q_lambda(zero, np.zeros(steps, dtype=int), reward, np.full(steps, gamma), q_next, np.full(steps, lam))})


def popart(outputs, inputs, updates):
    open_, update = rlax.popart(outputs, step_size=0.05, scale_lb=0.1, scale_ub=5.0)
    params, state = {"w": rounded(inputs, outputs), "b": rounded(outputs)}, open_()
    given = {"weight": params["w"], "bias": params["b"], "step": 0.05, "least": 0.1, "largest": 5.0, "target": [], "output": []}
    for _ in range(updates):
        target, output = 3 * rounded(6) + 1, draw.integers(outputs, size=6)
        given["target"].append(target)
        given["output"].append(output)
        params, state = update(params, state, target, output)
    case("popart", "several updates of 6 targets each", given,
         {"weight": params["w"], "bias": params["b"], "shift": state.shift, "scale": state.scale,
          "second_moment": state.second_moment})


def squeeze(eps):
    x = np.concatenate([100 * rounded(5), [0.0, 1e-6, -1e-6]])
    case("signed_hyperbolic", "and its inverse, signed_parabolic, of the result", {"x": x, "eps": eps},
         {"squeezed": rlax.signed_hyperbolic(x, eps), "restored": rlax.signed_parabolic(rlax.signed_hyperbolic(x, eps), eps)})


def mpo(states, samples, temperature, epsilon):
    q = rounded(states, samples)
    penalty = rlax.LagrangePenalty(np.asarray(temperature), np.asarray(epsilon), False)
    loss, weights, _ = rlax._src.mpo_ops.mpo_compute_weights_and_temperature_loss(q, penalty, lambda x: x, sample_axis=1)
    slope = jax.grad(lambda t: rlax._src.mpo_ops.mpo_compute_weights_and_temperature_loss(
        q, rlax.LagrangePenalty(t, np.asarray(epsilon), False), lambda x: x, sample_axis=1)[0].mean())(temperature)
    case("mpo", "weights of drawn actions by state; the temperature's loss, mean over states, and its derivative",
         {"q": q, "temperature": temperature, "epsilon": epsilon},
         {"weight": weights, "loss": loss.mean(), "slope": slope})


def vmpo(tokens, share, temperature, epsilon):
    advantage = rounded(tokens)
    ones = np.ones(tokens)
    say = lambda t: rlax._src.mpo_ops.vmpo_compute_weights_and_temperature_loss(
        advantage, ones, ones, rlax.LagrangePenalty(t, np.asarray(epsilon), False), lambda x: x, share)
    loss, weights, _ = say(np.asarray(temperature))
    case("vmpo", "weights of the largest advantages; the temperature's loss and its derivative",
         {"advantage": advantage, "share": share, "temperature": temperature, "epsilon": epsilon},
         {"weight": weights, "loss": loss, "slope": jax.grad(lambda t: say(t)[0])(temperature)})


leaky_v_trace(9, 0.7, 0.95, 0.9)
leaky_v_trace(6, 0.0, 0.9, 1.0)
off_policy(8, 3, 0.9, 0.8)
for _ in range(2):
    one_step(4, 0.97, 0.3)
peng(7, 0.9, 0.6)
popart(2, 3, 5)
squeeze(1e-3)
squeeze(0.1)
mpo(3, 5, 0.7, 0.1)
vmpo(12, 0.5, 0.8, 0.02)
sys.stdout.write("[" + ",\n".join(json.dumps(c) for c in cases) + "]\n")

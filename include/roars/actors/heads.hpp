#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "roars/networks/perceptron.hpp"
#include "roars/primitives/tanh_normal.hpp"

/// What the outputs of a network mean as a policy. A head works on whole batches: `out` [rows x outputs] is what the
/// network gave, `free` [free_parameters] are parameters that no input reaches. The functions named d_... ADD
/// derivatives of a loss to grad_out and grad_free, from its derivatives by what the function of that name gives; an
/// empty span stands for zeros. Actions of continuous heads are scaled: [-1, 1] is the environment's range.
namespace roars::actor {

namespace detail {

template <class Real>
inline constexpr Real half_log_two_pi = static_cast<Real>(0.9189385332046727);

template <class Real>
Real at(std::span<const Real> values, std::size_t i) {
    return values.empty() ? Real(0) : values[i];
}

}  // namespace detail

/// a = tanh(u), u = mean + e^s noise; mean and s [rows x 2 width] from the network, s held within [lowest, highest]:
///     log pi(a) = sum_j -((u_j - mean_j) / e^s_j)^2 / 2 - s_j - log(2 pi) / 2 - log(1 - a_j^2).
/// Of a given action u = atanh(a), a held within +-(1 - 1e-6). Source: SAC, arXiv 1801.01290, appendix C.
struct SquashedGaussian {
    std::int64_t width = 1;

    static constexpr bool continuous = true;
    static constexpr network::Activation output = network::Activation::identity;
    static constexpr double lowest = -20, highest = 2;
    std::int64_t outputs() const { return 2 * width; }
    std::int64_t free_parameters() const { return 0; }

    /// Shapes: noise, action [rows x width], logp [rows].
    template <class Real>
    void sample(std::span<const Real> out, std::span<const Real>, std::span<const Real> noise, std::span<Real> action,
                std::span<Real> logp) const {
        const auto n = static_cast<std::size_t>(width);
        for (std::size_t r = 0; r < logp.size(); ++r) {
            logp[r] = 0;
            for (std::size_t j = 0; j < n; ++j) {
                Real eps = noise[r * n + j], s = held(out[(2 * r + 1) * n + j]);
                Real u = out[2 * r * n + j] + std::exp(s) * eps;
                action[r * n + j] = std::tanh(u);
                logp[r] -= Real(0.5) * eps * eps + s + detail::half_log_two_pi<Real> + log_tanh_slope(u);
            }
        }
    }
    /// With g = grad_action (1 - a^2) + 2 a grad_logp: d mean = g, d s = g e^s noise - grad_logp.
    template <class Real>
    void d_sample(std::span<const Real> out, std::span<const Real>, std::span<const Real> noise,
                  std::span<const Real> action, std::span<const Real> grad_action, std::span<const Real> grad_logp,
                  std::span<Real> grad_out, std::span<Real>) const {
        const auto n = static_cast<std::size_t>(width);
        for (std::size_t r = 0; r * n < action.size(); ++r) {
            Real by_logp = detail::at(grad_logp, r);
            for (std::size_t j = 0; j < n; ++j) {
                Real a = action[r * n + j], s = out[(2 * r + 1) * n + j];
                Real g = detail::at(grad_action, r * n + j) * (Real(1) - a * a) + Real(2) * a * by_logp;
                grad_out[2 * r * n + j] += g;
                if (inside(s)) grad_out[(2 * r + 1) * n + j] += g * std::exp(s) * noise[r * n + j] - by_logp;
            }
        }
    }

    /// Shapes: action [rows x width], logp [rows]; entropy: none, it has no closed form.
    template <class Real>
    void log_probability(std::span<const Real> out, std::span<const Real>, std::span<const Real> action,
                         std::span<Real> logp, std::span<Real>) const {
        const auto n = static_cast<std::size_t>(width);
        for (std::size_t r = 0; r < logp.size(); ++r) {
            logp[r] = 0;
            for (std::size_t j = 0; j < n; ++j) {
                Real s = held(out[(2 * r + 1) * n + j]), u = unsquashed(action[r * n + j]);
                Real eps = (u - out[2 * r * n + j]) * std::exp(-s);
                logp[r] -= Real(0.5) * eps * eps + s + detail::half_log_two_pi<Real> + log_tanh_slope(u);
            }
        }
    }
    template <class Real>
    void d_log_probability(std::span<const Real> out, std::span<const Real>, std::span<const Real> action,
                           std::span<const Real> grad_logp, std::span<const Real>, std::span<Real> grad_out,
                           std::span<Real>) const {
        const auto n = static_cast<std::size_t>(width);
        for (std::size_t r = 0; r < grad_logp.size(); ++r)
            for (std::size_t j = 0; j < n; ++j) {
                Real s = out[(2 * r + 1) * n + j], inverse = std::exp(-held(s));
                Real eps = (unsquashed(action[r * n + j]) - out[2 * r * n + j]) * inverse;
                grad_out[2 * r * n + j] += grad_logp[r] * eps * inverse;
                if (inside(s)) grad_out[(2 * r + 1) * n + j] += grad_logp[r] * (eps * eps - Real(1));
            }
    }

    /// tanh(mean).
    template <class Real>
    void mode(std::span<const Real> out, std::span<Real> action) const {
        const auto n = static_cast<std::size_t>(width);
        for (std::size_t i = 0; i < action.size(); ++i) action[i] = std::tanh(out[2 * (i / n) * n + i % n]);
    }

private:
    template <class Real>
    static Real held(Real s) {
        return std::clamp(s, Real(lowest), Real(highest));
    }
    template <class Real>
    static bool inside(Real s) {
        return s >= Real(lowest) && s <= Real(highest);
    }
    template <class Real>
    static Real unsquashed(Real a) {
        constexpr Real edge = static_cast<Real>(1 - 1e-6);
        return std::atanh(std::clamp(a, -edge, edge));
    }
};

/// a = mean + e^s noise with one free s a dimension; the environment clips a. `bounded`: the mean is tanh of the
/// network.
///     log pi(a) = sum_j -((a_j - mean_j) / e^s_j)^2 / 2 - s_j - log(2 pi) / 2;   entropy = sum_j s_j + log(2 pi e)
///     / 2.
/// s is held within [lowest, highest]. Sources: PPO, arXiv 1707.06347; IQL, arXiv 2110.06169 (bounded).
template <bool bounded>
struct DiagonalGaussian {
    std::int64_t width = 1;

    static constexpr bool continuous = true;
    static constexpr network::Activation output = bounded ? network::Activation::tanh : network::Activation::identity;
    static constexpr double lowest = -5, highest = 2;
    std::int64_t outputs() const { return width; }
    std::int64_t free_parameters() const { return width; }

    template <class Real>
    void sample(std::span<const Real> out, std::span<const Real> free, std::span<const Real> noise,
                std::span<Real> action, std::span<Real> logp) const {
        const auto n = static_cast<std::size_t>(width);
        for (std::size_t i = 0; i < action.size(); ++i) action[i] = out[i] + std::exp(held(free[i % n])) * noise[i];
        log_probability(out, free, std::span<const Real>(action), logp, std::span<Real>());
    }
    template <class Real>
    void log_probability(std::span<const Real> out, std::span<const Real> free, std::span<const Real> action,
                         std::span<Real> logp, std::span<Real> entropy) const {
        const auto n = static_cast<std::size_t>(width);
        Real spread = 0;
        for (std::size_t j = 0; j < n; ++j) spread += held(free[j]) + detail::half_log_two_pi<Real>;
        for (std::size_t r = 0; r < logp.size(); ++r) {
            logp[r] = -spread;
            for (std::size_t j = 0; j < n; ++j) {
                Real eps = (action[r * n + j] - out[r * n + j]) * std::exp(-held(free[j]));
                logp[r] -= Real(0.5) * eps * eps;
            }
        }
        std::fill(entropy.begin(), entropy.end(), spread + Real(0.5) * static_cast<Real>(width));
    }
    template <class Real>
    void d_log_probability(std::span<const Real> out, std::span<const Real> free, std::span<const Real> action,
                           std::span<const Real> grad_logp, std::span<const Real> grad_entropy,
                           std::span<Real> grad_out, std::span<Real> grad_free) const {
        const auto n = static_cast<std::size_t>(width);
        for (std::size_t i = 0; i < action.size(); ++i) {
            std::size_t j = i % n;
            Real inverse = std::exp(-held(free[j])), eps = (action[i] - out[i]) * inverse;
            Real by_logp = detail::at(grad_logp, i / n);
            grad_out[i] += by_logp * eps * inverse;
            if (inside(free[j])) grad_free[j] += by_logp * (eps * eps - Real(1)) + detail::at(grad_entropy, i / n);
        }
    }
    template <class Real>
    void mode(std::span<const Real> out, std::span<Real> action) const {
        std::copy(out.begin(), out.end(), action.begin());
    }

private:
    template <class Real>
    static Real held(Real s) {
        return std::clamp(s, Real(lowest), Real(highest));
    }
    template <class Real>
    static bool inside(Real s) {
        return s >= Real(lowest) && s <= Real(highest);
    }
};

/// a = tanh of the network.
struct DeterministicAction {
    std::int64_t width = 1;

    static constexpr bool continuous = true;
    static constexpr network::Activation output = network::Activation::tanh;
    std::int64_t outputs() const { return width; }
    std::int64_t free_parameters() const { return 0; }

    template <class Real>
    void mode(std::span<const Real> out, std::span<Real> action) const {
        std::copy(out.begin(), out.end(), action.begin());
    }
};

/// Policies whose sayings become actions by a model of the data, which the advantage owns: critic::carried says how.
/// They act by the best of several sayings, by the advantage. Their targets say several things of the next state.

/// Draws several actions. Source: BEAR, arXiv 1906.00949.
struct BestOfDraws : SquashedGaussian {
    static constexpr bool carried = true;
};
/// Moves an action that the model proposes, which it reads beside the state. Source: BCQ, arXiv 1812.02900.
struct MovedProposal : DeterministicAction {
    static constexpr bool carried = true;
};
/// Says a code of the model. Source: PLAS, arXiv 2011.07213.
struct ChosenCode : DeterministicAction {
    static constexpr bool carried = true;
    std::int64_t outputs() const { return 2 * width; }
};

/// The same policy for every balance b of improvement and constraint: its network reads an encoding of b beside the
/// state. Source: FamO2O, arXiv 2310.17966, section 4.1.
template <class Head>
struct Balanced : Head {};

/// The same policy for every task z: its network reads z beside the state. Source: zero-shot RL, arXiv 2508.16496.
template <class Head>
struct ForTask : Head {};

/// A policy for states that are seen in part: what it is shown of a state is its context, the last steps of the episode
/// (sampler::Past), and its network reads it through a recurrent one. Source: arXiv 2506.15446.
template <class Head>
struct Remembering : Head {};

/// softmax of the network's logits, `width` actions; in the reals' own precision around the largest logit.
struct Categorical {
    std::int64_t width = 2;

    static constexpr bool continuous = false;
    static constexpr network::Activation output = network::Activation::identity;
    std::int64_t outputs() const { return width; }
    std::int64_t free_parameters() const { return 0; }

    /// The first action whose cumulated probability exceeds u in [0, 1).
    template <class Real>
    std::int32_t draw(std::span<const Real> logits, double u) const {
        Real normaliser = log_sum_exp(logits);
        double mass = 0;
        for (std::size_t a = 0; a + 1 < logits.size(); ++a)
            if ((mass += double(std::exp(logits[a] - normaliser))) > u) return static_cast<std::int32_t>(a);
        return static_cast<std::int32_t>(logits.size()) - 1;
    }
    /// Shapes: action, logp, entropy [rows].
    template <class Real>
    void log_probability(std::span<const Real> out, std::span<const Real>, std::span<const std::int32_t> action,
                         std::span<Real> logp, std::span<Real> entropy) const {
        for (std::size_t r = 0; r < action.size(); ++r) {
            auto logits = row(out, r);
            Real normaliser = log_sum_exp(logits);
            logp[r] = logits[static_cast<std::size_t>(action[r])] - normaliser;
            if (!entropy.empty()) entropy[r] = entropy_of(logits, normaliser);
        }
    }
    /// By logit j: grad_logp ([j = a] - p_j) - grad_entropy p_j (log p_j + H).
    template <class Real>
    void d_log_probability(std::span<const Real> out, std::span<const Real>, std::span<const std::int32_t> action,
                           std::span<const Real> grad_logp, std::span<const Real> grad_entropy,
                           std::span<Real> grad_out, std::span<Real>) const {
        for (std::size_t r = 0; r < action.size(); ++r) {
            auto logits = row(out, r);
            Real normaliser = log_sum_exp(logits), entropy = entropy_of(logits, normaliser);
            for (std::size_t j = 0; j < logits.size(); ++j) {
                Real logp = logits[j] - normaliser, p = std::exp(logp);
                Real taken = Real(j == static_cast<std::size_t>(action[r]));
                grad_out[r * logits.size() + j] +=
                    detail::at(grad_logp, r) * (taken - p) - detail::at(grad_entropy, r) * p * (logp + entropy);
            }
        }
    }
    template <class Real>
    std::int32_t best(std::span<const Real> logits) const {
        return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
    }

private:
    template <class Real>
    std::span<const Real> row(std::span<const Real> out, std::size_t r) const {
        return out.subspan(r * static_cast<std::size_t>(width), static_cast<std::size_t>(width));
    }
    template <class Real>
    static Real log_sum_exp(std::span<const Real> logits) {
        Real largest = *std::max_element(logits.begin(), logits.end()), sum = 0;
        for (Real logit : logits) sum += std::exp(logit - largest);
        return largest + std::log(sum);
    }
    template <class Real>
    static Real entropy_of(std::span<const Real> logits, Real normaliser) {
        Real entropy = 0;
        for (Real logit : logits) entropy -= std::exp(logit - normaliser) * (logit - normaliser);
        return entropy;
    }
};

/// Action values of `width` actions, each by `quantiles` quantiles of its return whose mean it is (1: itself).
/// `dueling`: the network gives a value and advantages, q(s, a) = v(s) + A(s, a) - mean A(s, .), quantile by quantile.
/// Acts greedily but for a share epsilon. Sources: DQN, doi 10.1038/nature14236; dueling networks, arXiv 1511.06581;
/// QR-DQN, arXiv 1710.10044.
struct ActionValues {
    std::int64_t width = 2;
    std::int64_t quantiles = 1;
    bool dueling = false;

    static constexpr bool continuous = false;
    static constexpr network::Activation output = network::Activation::identity;
    std::int64_t outputs() const { return (width + dueling) * quantiles; }
    std::int64_t free_parameters() const { return 0; }

    /// Shapes: out [rows x outputs], values [rows x width x quantiles].
    template <class Real>
    void values(std::span<const Real> out, std::span<Real> values) const {
        if (!dueling) {
            std::copy(out.begin(), out.end(), values.begin());
        } else {
            const auto actions = static_cast<std::size_t>(width), count = static_cast<std::size_t>(quantiles);
            for (std::size_t r = 0; r * actions * count < values.size(); ++r)
                for (std::size_t i = 0; i < count; ++i) {
                    const Real* from = out.data() + r * (actions + 1) * count + i;
                    Real mean = 0;
                    for (std::size_t a = 1; a <= actions; ++a) mean += from[a * count] / static_cast<Real>(actions);
                    for (std::size_t a = 0; a < actions; ++a)
                        values[(r * actions + a) * count + i] = from[0] + from[(a + 1) * count] - mean;
                }
        }
    }
    /// From the derivative by the values of the actions taken. Shapes: action [rows], grad [rows x quantiles].
    template <class Real>
    void d_values(std::span<const std::int32_t> action, std::span<const Real> grad, std::span<Real> grad_out) const {
        const auto actions = static_cast<std::size_t>(width), count = static_cast<std::size_t>(quantiles);
        const std::size_t first = dueling ? 1 : 0;
        for (std::size_t r = 0; r < action.size(); ++r)
            for (std::size_t i = 0; i < count; ++i) {
                Real g = grad[r * count + i];
                Real* to = grad_out.data() + r * (actions + first) * count + i;
                to[(static_cast<std::size_t>(action[r]) + first) * count] += g;
                if (dueling) {
                    to[0] += g;
                    for (std::size_t a = 1; a <= actions; ++a) to[a * count] -= g / static_cast<Real>(actions);
                }
            }
    }
    /// The action of the largest mean; of equal ones the first. Shapes: values [width x quantiles].
    template <class Real>
    std::int32_t best(std::span<const Real> values) const {
        const auto actions = static_cast<std::size_t>(width), count = static_cast<std::size_t>(quantiles);
        std::size_t best = 0;
        Real most = 0;
        for (std::size_t a = 0; a < actions; ++a) {
            Real sum = 0;
            for (std::size_t i = 0; i < count; ++i) sum += values[a * count + i];
            if (a == 0 || sum > most) {
                best = a;
                most = sum;
            }
        }
        return static_cast<std::int32_t>(best);
    }
};

/// Action values that a critic says, for a task that may change: no network of its own. The learner is guided by the
/// advantage (advantage::... with `values` and `representations`).
struct TaskValues : ActionValues {};

}  // namespace roars::actor

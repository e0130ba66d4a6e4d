#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <tuple>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/critic/steps.hpp"
#include "roars/critic/value_loss.hpp"
#include "roars/primitives/segmented_scan.hpp"

namespace roars {
namespace trace {

/// lambda for every sequence.
struct Constant {
    double lambda = 0.95;
    ROARS_FN double operator()(std::int64_t) const { return lambda; }
};
/// lambda = max(0, 1 - 1 / (alpha L)), L = trainable tokens: long sequences carry the reward as far as short ones.
/// VAPO, arXiv 2504.05118, eq. 5.
struct LengthAdaptive {
    double alpha = 0.05;
    ROARS_FN double operator()(std::int64_t length) const {
        double reach = alpha * static_cast<double>(length);
        return reach > 1.0 ? 1.0 - 1.0 / reach : 0.0;
    }
};
ROARS_FIELDS(Constant, lambda)
ROARS_FIELDS(LengthAdaptive, alpha)

}  // namespace trace

namespace detail {

/// GAE over the trainable tokens: store(t, A_t) for each of them, store(t, 0) for the others, which neither discount,
/// nor bootstrap, nor carry a reward. lambda: token -> the lambda of its sequence.
template <class BatchType, class Lambda, class Store>
void trainable_gae(backend::Host& backend, const BatchType& batch, double gamma, Lambda&& lambda, Store&& store) {
    Offsets offsets = batch.token_offsets();
    std::vector<char> last = critic::last_of_segment(backend, offsets);
    auto reward = batch[col::token_reward{}];
    auto value = batch[col::value{}];
    auto next_value = [&](std::int64_t t) {
        while (!last[static_cast<std::size_t>(t)])
            if (trainable<col::mask>(batch, ++t)) return double(value[static_cast<std::size_t>(t)]);
        return 0.0;
    };
    segmented_affine_backward(
        backend, offsets,
        [&](std::int64_t t) {
            if (!trainable<col::mask>(batch, t)) return Affine<double>{};
            auto i = static_cast<std::size_t>(t);
            return Affine<double>{gamma * lambda(t), double(reward[i]) + gamma * next_value(t) - double(value[i])};
        },
        [&](std::int64_t t, double sum) { store(t, trainable<col::mask>(batch, t) ? sum : 0.0); });
}

/// returns_t = A_t + value_t on trainable tokens, 0 elsewhere.
template <class BatchType>
void store_returns(BatchType& batch, std::int64_t t, double advantage) {
    auto i = static_cast<std::size_t>(t);
    bool counts = trainable<col::mask>(batch, t);
    batch[col::returns{}][i] =
        static_cast<typename BatchType::Real>(counts ? advantage + double(batch[col::value{}][i]) : 0.0);
}

}  // namespace detail

namespace advantage {

/// GAE over the trainable tokens of a sequence alone; tokens with mask 0 (a tool's output) are skipped:
///     delta = r_t + gamma V_next - V_t,   A_t = delta + gamma lambda A_next,   returns = A + V,
/// V_next and A_next of the next trainable token, 0 behind the last. Masked tokens get 0. PPO whitens the advantage and
/// not the returns: Whiten<GaeTokens<critic::ClippedValue>>. Shapes: all [tokens].
template <class Critic = critic::None>
struct GaeTokens {
    double gamma = 1.0;
    double lambda = 0.95;
    Critic critic{};

    using needs = columns<col::token_reward, col::value>;
    using gives = columns<col::advantage, col::returns>;

    template <class RunType, BatchWith<col::token_reward, col::value, col::advantage, col::returns> BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        roars::detail::trainable_gae(
            run.backend, batch, gamma, [this](std::int64_t) { return lambda; },
            [&](std::int64_t t, double sum) {
                batch[col::advantage{}][static_cast<std::size_t>(t)] = static_cast<typename BatchType::Real>(sum);
                roars::detail::store_returns(batch, t, sum);
            });
    }
    std::tuple<Critic> terms(const NoState&) const requires TokenTerm<Critic> { return {critic}; }
};
template <class Critic>
ROARS_FIELDS_OF((GaeTokens<Critic>), gamma, lambda, critic)

/// The same with one lambda for the policy's advantage, by sequence, and another for the critic's target, which is
/// exact (the rewards to come) at critic_lambda = 1. Sources: VC-PPO, arXiv 2503.01491; VAPO, arXiv 2504.05118.
template <class Trace, class Critic = critic::None>
struct DecoupledGae {
    double gamma = 1.0;
    double critic_lambda = 1.0;
    Trace trace{};
    Critic critic{};

    using needs = columns<col::token_reward, col::value>;
    using gives = columns<col::advantage, col::returns>;

    template <class RunType, BatchWith<col::token_reward, col::value, col::advantage, col::returns> BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        using Real = typename BatchType::Real;
        auto lengths = roars::detail::trainable_lengths<col::mask>(run.backend, batch);
        std::vector<double> lambda(static_cast<std::size_t>(batch.tokens()));
        segmented_transform(run.backend, batch.token_offsets(), std::span(lambda),
                            [&](std::int64_t i, std::int64_t) { return trace(lengths[static_cast<std::size_t>(i)]); });
        roars::detail::trainable_gae(
            run.backend, batch, gamma, [&](std::int64_t t) { return lambda[static_cast<std::size_t>(t)]; },
            [&](std::int64_t t, double sum) {
                batch[col::advantage{}][static_cast<std::size_t>(t)] = static_cast<Real>(sum);
            });
        roars::detail::trainable_gae(
            run.backend, batch, gamma, [this](std::int64_t) { return critic_lambda; },
            [&](std::int64_t t, double sum) { roars::detail::store_returns(batch, t, sum); });
    }
    std::tuple<Critic> terms(const NoState&) const requires TokenTerm<Critic> { return {critic}; }
};
template <class Trace, class Critic>
ROARS_FIELDS_OF((DecoupledGae<Trace, Critic>), gamma, critic_lambda, trace, critic)

/// VAPO, arXiv 2504.05118: lambda grows with the answer, the critic learns the rewards to come.
template <class Critic = critic::None>
using LengthAdaptiveGae = DecoupledGae<trace::LengthAdaptive, Critic>;

}  // namespace advantage
}  // namespace roars

#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "roars/advantage/gae.hpp"
#include "roars/advantage/gae_tokens.hpp"
#include "roars/advantage/normalise.hpp"
#include "roars/advantage/reward_to_go.hpp"
#include "roars/advantage/v_trace.hpp"
#include "roars/advantage/whiten.hpp"
#include "roars/cuda/objective.hpp"
#include "roars/cuda/on_host.hpp"
#include "roars/cuda/scan.hpp"

/// The advantages of the library on a device: the same types with the same settings, their formulas the host's.
namespace roars::gpu {

/// How an advantage is estimated on a device: it runs everywhere, and so does that which it stands around, or it has
/// kernels of its own (the specialisations below), or it is estimated on the host.
template <class Part>
struct Estimate {
    static constexpr bool on_device = [] {
        if constexpr (!runs_everywhere<Part>)
            return false;
        else if constexpr (requires { typename Part::Inner; })
            return Estimate<typename Part::Inner>::on_device;
        else
            return true;
    }();

    template <class D, class State, class BatchType>
    static void run(const Part& part, Run<D>& run, State& state, BatchType& batch) {
        if constexpr (on_device)
            roars::detail::estimate_here(part, run, state, batch);
        else
            detail::on_host<needs_of<Part>, gives_of<Part>>(run, batch, [&](auto& host_run, auto& host) {
                roars::detail::call_estimate(part, host_run, state, host);
            });
    }
};

template <class A>
concept WholeAlgorithm = requires {
    typename A::Advantage;
    typename A::Optimizer;
};

/// Numbers -> a signal per token, as advantage.estimate does on the host. `state` is the advantage's.
template <class Part, class D, class State, class BatchType>
requires(!WholeAlgorithm<Part>) void estimate(const Part& part, Run<D>& run, State& state, BatchType& batch) {
    Estimate<Part>::run(part, run, state, batch);
}

namespace detail {

template <class Center, class Scale, class Real>
struct NormaliseOne {
    Center center;
    Scale scale;
    const Real* reward;
    const Moments *group, *batch;
    Real* signal;

    ROARS_FN void operator()(std::int64_t owner, std::int64_t i) const {
        double own = static_cast<double>(reward[i]);
        NormaliserView view{own, group[owner], *batch, i, owner};
        signal[i] = static_cast<Real>(center.degenerate(view) ? 0.0 : (own - center(view)) / scale(view));
    }
};

}  // namespace detail

template <class Center, class Scale>
struct Estimate<advantage::Normalise<Center, Scale>> {
    static constexpr bool on_device = true;

    template <class D, class State, class BatchType>
    static void run(const advantage::Normalise<Center, Scale>& part, Run<D>& run, State&, BatchType& batch) {
        using Real = typename BatchType::Real;
        D& device = run.backend;
        Frame<D> frame(device);
        auto* group = frame.template take<Moments>(batch.groups());
        auto* all = frame.template take<Moments>(1);
        auto* ends = frame.template take<std::int64_t>(2);
        auto* signal = frame.template take<Real>(batch.sequences());
        const Real* reward = batch[col::reward{}];
        segmented_moments(device, groups_of(batch), reward, group);
        segmented_moments(device, whole(device, batch.sequences(), ends), reward, all);
        auto bound_center = roars::detail::bound_to(part.center, run, batch);
        auto bound_scale = roars::detail::bound_to(part.scale, run, batch);
        const auto from = roars::detail::reader_of(bound_center);
        const auto by = roars::detail::reader_of(bound_scale);
        using One = detail::NormaliseOne<std::remove_const_t<decltype(from)>, std::remove_const_t<decltype(by)>, Real>;
        segmented_for_each(device, groups_of(batch), One{from, by, reward, group, all, signal});
        segmented_broadcast(device, sequences_of(batch), signal, batch[col::advantage{}]);
    }
};

namespace detail {

/// Both the step and the store of a scan, over the columns that it touches.
template <class Real>
struct GaeScan {
    double gamma, lambda;
    const Real *reward, *value, *next_value, *terminated, *done;
    Real *advantage, *returns;

    ROARS_FN Affine<double> operator()(std::int64_t t) const {
        double target = critic::one_step_target(static_cast<double>(reward[t]), gamma, terminated[t] != Real(0),
                                                static_cast<double>(next_value[t]));
        return {done[t] != Real(0) ? 0.0 : gamma * lambda, target - static_cast<double>(value[t])};
    }
    ROARS_FN void operator()(std::int64_t t, double sum) const {
        advantage[t] = static_cast<Real>(sum);
        returns[t] = static_cast<Real>(sum + static_cast<double>(value[t]));
    }
};

template <class Real>
struct RewardToGoScan {
    double gamma;
    const Real *reward, *mask;
    Real* advantage;

    ROARS_FN Affine<double> operator()(std::int64_t t) const {
        if (!is_selected(mask, t)) return {};
        return {gamma, static_cast<double>(reward[t])};
    }
    ROARS_FN void operator()(std::int64_t t, double sum) const {
        advantage[t] = static_cast<Real>(is_selected(mask, t) ? sum : 0.0);
    }
};

/// The value of the next trainable token of a sequence, 0 behind the last: the step of a trainable one forgets what
/// comes in and leaves its own value, and what is stored is the value before the step.
template <class Real>
struct NextValueScan {
    const Real *value, *mask;
    double* next;
    ROARS_FN Affine<double> operator()(std::int64_t t) const {
        if (!is_selected(mask, t)) return {};
        return {0.0, static_cast<double>(value[t])};
    }
    ROARS_FN void operator()(std::int64_t t, double before) const { next[t] = before; }
};
/// GAE over trainable tokens; lambda of every token where it is not null, else `constant`. What is not wanted is null.
template <class Real>
struct GaeTokensScan {
    double gamma, constant;
    const double *lambda, *next;
    const Real *reward, *value, *mask;
    Real *advantage, *returns;

    ROARS_FN Affine<double> operator()(std::int64_t t) const {
        if (!is_selected(mask, t)) return {};
        return {gamma * (lambda ? lambda[t] : constant),
                static_cast<double>(reward[t]) + gamma * next[t] - static_cast<double>(value[t])};
    }
    ROARS_FN void operator()(std::int64_t t, double sum) const {
        bool counts = is_selected(mask, t);
        if (advantage) advantage[t] = static_cast<Real>(counts ? sum : 0.0);
        if (returns) returns[t] = static_cast<Real>(counts ? sum + static_cast<double>(value[t]) : 0.0);
    }
};
template <class D, class BatchType>
const double* next_values(D& device, Frame<D>& frame, const BatchType& batch) {
    using Real = typename BatchType::Real;
    auto* next = frame.template take<double>(batch.tokens());
    NextValueScan<Real> scan{batch[col::value{}], mask_or_null<col::mask>(batch), next};
    scan_segments<BackwardScan, KeepBefore>(device, sequences_of(batch), scan, scan);
    return next;
}
template <class Trace>
struct LambdaOfTokens {
    Trace trace;
    const std::int64_t* length;
    double* lambda;
    ROARS_FN void operator()(std::int64_t i, std::int64_t t) const { lambda[t] = trace(length[i]); }
};

template <class Real, class Truncation>
struct VTraceScan {
    double gamma, lambda, rho_clip, c_clip;
    Truncation truncation;
    const Real *reward, *value, *next_value, *terminated, *done, *logp, *logp_old;
    double* target;
    Real* returns;

    ROARS_FN double ratio(std::int64_t t) const { return static_cast<double>(math::exp(logp[t] - logp_old[t])); }
    ROARS_FN double one_step(std::int64_t t, double next) const {
        return critic::one_step_target(static_cast<double>(reward[t]), gamma, terminated[t] != Real(0), next) -
               static_cast<double>(value[t]);
    }
    ROARS_FN Affine<double> operator()(std::int64_t t) const {
        double rho = ratio(t), delta = one_step(t, static_cast<double>(next_value[t]));
        return {done[t] != Real(0) ? 0.0 : gamma * lambda * truncation.of(rho, c_clip),
                truncation.of(rho, rho_clip) * delta};
    }
    ROARS_FN void operator()(std::int64_t t, double error) const {
        target[t] = static_cast<double>(value[t]) + error;
        returns[t] = static_cast<Real>(target[t]);
    }
};
template <class Real, class Truncation>
struct VTraceAdvantage {
    VTraceScan<Real, Truncation> scan;
    double policy_rho_clip;
    const std::int64_t* offsets;
    Real* advantage;

    ROARS_FN void operator()(std::int64_t owner, std::int64_t t) const {
        bool ends = scan.terminated[t] != Real(0), cut = scan.done[t] != Real(0) || t + 1 == offsets[owner + 1];
        double own = ends ? 0.0 : static_cast<double>(scan.next_value[t]);
        double q = cut || ends ? own : scan.lambda * scan.target[t + 1] + (1.0 - scan.lambda) * own;
        advantage[t] = static_cast<Real>(scan.truncation.of(scan.ratio(t), policy_rho_clip) * scan.one_step(t, q));
    }
};

template <class Real>
struct WhitenOne {
    const Moments* all;
    double eps;
    int ddof;
    bool alone;  ///< whether a lone token is whitened
    const Real* mask;
    Real* advantage;

    ROARS_FN void operator()(std::int64_t t) const {
        if (!is_selected(mask, t)) {
            advantage[t] = Real(0);
            return;
        }
        bool whitened = all->count > 1 || alone;
        double center = whitened ? all->mean : 0.0, scale = whitened ? 1.0 / std::sqrt(all->variance(ddof) + eps) : 1.0;
        advantage[t] = static_cast<Real>((static_cast<double>(advantage[t]) - center) * scale);
    }
};

}  // namespace detail

template <class Critic>
struct Estimate<advantage::Gae<Critic>> {
    static constexpr bool on_device = true;
    template <class D, class State, class BatchType>
    static void run(const advantage::Gae<Critic>& part, Run<D>& run, State&, BatchType& batch) {
        detail::GaeScan<typename BatchType::Real> scan{part.gamma,
                                                       part.lambda,
                                                       batch[col::token_reward{}],
                                                       batch[col::value{}],
                                                       batch[col::next_value{}],
                                                       batch[col::terminated{}],
                                                       batch[col::done{}],
                                                       batch[col::advantage{}],
                                                       batch[col::returns{}]};
        segmented_affine_backward(run.backend, sequences_of(batch), scan, scan);
    }
};

template <>
struct Estimate<advantage::RewardToGo> {
    static constexpr bool on_device = true;
    template <class D, class State, class BatchType>
    static void run(const advantage::RewardToGo& part, Run<D>& run, State&, BatchType& batch) {
        detail::RewardToGoScan<typename BatchType::Real> scan{
            part.gamma, batch[col::token_reward{}], detail::mask_or_null<col::mask>(batch), batch[col::advantage{}]};
        segmented_affine_backward(run.backend, sequences_of(batch), scan, scan);
    }
};

template <class Critic>
struct Estimate<advantage::GaeTokens<Critic>> {
    static constexpr bool on_device = true;
    template <class D, class State, class BatchType>
    static void run(const advantage::GaeTokens<Critic>& part, Run<D>& run, State&, BatchType& batch) {
        Frame<D> frame(run.backend);
        detail::GaeTokensScan<typename BatchType::Real> scan{part.gamma,
                                                             part.lambda,
                                                             nullptr,
                                                             detail::next_values(run.backend, frame, batch),
                                                             batch[col::token_reward{}],
                                                             batch[col::value{}],
                                                             detail::mask_or_null<col::mask>(batch),
                                                             batch[col::advantage{}],
                                                             batch[col::returns{}]};
        segmented_affine_backward(run.backend, sequences_of(batch), scan, scan);
    }
};

template <class Trace, class Critic>
struct Estimate<advantage::DecoupledGae<Trace, Critic>> {
    static constexpr bool on_device = true;
    template <class D, class State, class BatchType>
    static void run(const advantage::DecoupledGae<Trace, Critic>& part, Run<D>& run, State&, BatchType& batch) {
        D& device = run.backend;
        Frame<D> frame(device);
        auto* length = frame.template take<std::int64_t>(batch.sequences());
        auto* lambda = frame.template take<double>(batch.tokens());
        trainable_lengths(device, batch, length);
        segmented_for_each(device, sequences_of(batch), detail::LambdaOfTokens<Trace>{part.trace, length, lambda});
        detail::GaeTokensScan<typename BatchType::Real> scan{part.gamma,
                                                             part.critic_lambda,
                                                             lambda,
                                                             detail::next_values(device, frame, batch),
                                                             batch[col::token_reward{}],
                                                             batch[col::value{}],
                                                             detail::mask_or_null<col::mask>(batch),
                                                             batch[col::advantage{}],
                                                             nullptr};
        segmented_affine_backward(device, sequences_of(batch), scan, scan);
        scan.lambda = nullptr;
        scan.advantage = nullptr;
        scan.returns = batch[col::returns{}];
        segmented_affine_backward(device, sequences_of(batch), scan, scan);
    }
};

template <class Critic, class Truncation>
struct Estimate<advantage::VTrace<Critic, Truncation>> {
    static constexpr bool on_device = true;
    template <class D, class State, class BatchType>
    static void run(const advantage::VTrace<Critic, Truncation>& part, Run<D>& run, State&, BatchType& batch) {
        using Real = typename BatchType::Real;
        D& device = run.backend;
        Frame<D> frame(device);
        detail::VTraceScan<Real, Truncation> scan{part.gamma,
                                                  part.lambda,
                                                  part.rho_clip,
                                                  part.c_clip,
                                                  part.truncation,
                                                  batch[col::token_reward{}],
                                                  batch[col::value{}],
                                                  batch[col::next_value{}],
                                                  batch[col::terminated{}],
                                                  batch[col::done{}],
                                                  batch[col::logp{}],
                                                  batch[col::logp_old{}],
                                                  frame.template take<double>(batch.tokens()),
                                                  batch[col::returns{}]};
        segmented_affine_backward(device, sequences_of(batch), scan, scan);
        segmented_for_each(device, sequences_of(batch),
                           detail::VTraceAdvantage<Real, Truncation>{scan, part.policy_rho_clip, batch.token_offsets(),
                                                                     batch[col::advantage{}]});
    }
};

template <class Base, class Lone>
struct Estimate<advantage::Whiten<Base, Lone>> {
    static constexpr bool on_device = Estimate<Base>::on_device;
    template <class D, class State, class BatchType>
    static void run(const advantage::Whiten<Base, Lone>& part, Run<D>& run, State& state, BatchType& batch) {
        using Real = typename BatchType::Real;
        D& device = run.backend;
        estimate(part.base, run, state, batch);
        Frame<D> frame(device);
        auto* all = frame.template take<Moments>(1);
        auto* ends = frame.template take<std::int64_t>(2);
        const Real* mask = detail::mask_or_null<col::mask>(batch);
        Real* advantage = batch[col::advantage{}];
        segmented_moments(device, whole(device, batch.tokens(), ends), static_cast<const Real*>(advantage), all, mask);
        for_each(device, batch.tokens(),
                 detail::WhitenOne<Real>{all, part.eps, part.ddof, Lone::whitened, mask, advantage});
    }
};

}  // namespace roars::gpu

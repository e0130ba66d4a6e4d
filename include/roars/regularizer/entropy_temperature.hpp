#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <string_view>
#include <tuple>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/critic/soft_actor_critic.hpp"
#include "roars/everywhere.hpp"
#include "roars/optimizer/step/adamw.hpp"

namespace roars::regularizer {

/// alpha policy_logp: the entropy term at a temperature that is known.
struct EntropyTerm {
    double alpha = 0.2;

    static constexpr std::string_view name = "entropy_loss";
    using needs = columns<col::policy_logp>;
    using differentiates = columns<col::policy_logp>;
    static constexpr std::array<std::string_view, 2> metrics{"policy_logp", "temperature"};

    template <class X>
    ROARS_FN Loss<value_t<X>, 1, 2> token(const X& x) const {
        using V = value_t<X>;
        V scale(static_cast<math::Scalar<V>>(alpha));
        return {scale * x[col::policy_logp{}], {scale}, {x[col::policy_logp{}], scale}};
    }
};
ROARS_FIELDS(EntropyTerm, alpha)

/// Maximum entropy with a learned temperature. In the loss alpha log pi(a|s), a = policy_action; for the critics the
/// bonus -alpha log pi(a'|s') of the next state; alpha = e^x learns from
///     d/dx of -x (mean log pi + H),   H = entropy_per_dimension * dimensions of the action,
/// one step behind every step of the policy. learning_rate = 0 keeps it where it begins. Shapes: next_logp ->
/// next_bonus [rows]. Metrics: mean log pi, alpha. Source: SAC, arXiv 1812.05905, eqs. 5, 7 and 18.
struct EntropyTemperature {
    double initial = 1.0;
    double entropy_per_dimension = -1.0;
    step::AdamW step{.learning_rate = 3e-4};

    using needs = columns<col::next_policy_action, col::next_logp>;
    using gives = columns<col::next_bonus>;
    static constexpr bool everywhere = true;

    struct State {
        std::vector<float> log_alpha;  ///< one number; none before the first batch
        step::AdamW::State moments;
        std::int64_t dimensions = 1;

        ROARS_MEMBERS(State, log_alpha, moments, dimensions)
    };

    double alpha(const State& state) const {
        return state.log_alpha.empty() ? initial : std::exp(double(state.log_alpha[0]));
    }

    template <class X>
    struct Bonus {
        X x;
        double alpha;
        ROARS_FN void operator()(std::int64_t t) const {
            using Real = typename X::Real;
            x[col::next_bonus{}][t] = static_cast<Real>(-alpha) * x[col::next_logp{}][t];
        }
    };
    template <class RunType, class BatchType>
    void shape(RunType& run, State& state, BatchType& batch) const {
        if (state.log_alpha.empty()) state.log_alpha.assign(1, static_cast<float>(std::log(initial)));
        state.dimensions = batch.width(col::next_policy_action{});
        auto x = view_of<columns<col::next_logp, col::next_bonus>>(run, batch);
        roars::detail::EverywhereOf<RunType>::for_each(run.backend, batch.tokens(),
                                                       Bonus<decltype(x)>{x, alpha(state)});
    }
    std::tuple<EntropyTerm> terms(const State& state) const { return {EntropyTerm{alpha(state)}}; }

    template <class RunType, class ResultType>
    void observe(RunType& run, State& state, const ResultType& result) const {
        if (step.learning_rate == 0.0 || result.tokens == 0 || state.log_alpha.empty()) return;
        const double mean = result.metric("policy_logp");
        critic::SoftActorCritic rule{.target_entropy = entropy_per_dimension * double(state.dimensions)};
        float slope = static_cast<float>(rule.temperature_slope(run.backend, std::span<const double>(&mean, 1)));
        step.step(state.moments, std::span<float>(state.log_alpha), std::span<float>(&slope, 1));
    }
};
ROARS_FIELDS(EntropyTemperature, initial, entropy_per_dimension, step)

}  // namespace roars::regularizer

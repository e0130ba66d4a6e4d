#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <tuple>

#include "roars/fields.hpp"
#include "roars/optimizer/step/adamw.hpp"

namespace roars::regularizer {

/// The weight of a penalty, tuned so that the penalty stays near a target: alpha = clamp(e^u, 0, largest), and u goes
/// down the gradient of -1/2 alpha (penalty - target) with a constant penalty, so that alpha grows while the penalty is
/// above its target. Where the clamp is active the gradient is 0. The loss then takes alpha * penalty, alpha a
/// constant. Sources: CQL, arXiv 2006.04779, eq. 31; arXiv 2508.16496, eq. 7.
struct TunedWeight {
    double target = 50.0;
    double largest = 1e6;
    step::AdamW step{.learning_rate = 1e-4};

    struct State {
        double log_weight = 0.0;
        step::AdamW::StateOf<double> moments{};
        ROARS_MEMBERS(State, log_weight, moments)
    };

    double weight(const State& state) const { return std::clamp(std::exp(state.log_weight), 0.0, largest); }
    /// Of u.
    double loss(const State& state, double penalty) const { return -0.5 * weight(state) * (penalty - target); }
    /// d loss / du.
    double slope(const State& state, double penalty) const {
        return std::exp(state.log_weight) > largest ? 0.0 : loss(state, penalty);
    }
    /// One step of u; the new weight.
    double tune(State& state, double penalty) const {
        double gradient = slope(state, penalty);
        step.step(state.moments, std::span(&state.log_weight, 1), std::span(&gradient, 1));
        return weight(state);
    }
};
ROARS_FIELDS(TunedWeight, target, largest, step)

/// A penalty that is held near a bound by its multiplier: alpha Term, alpha learned as TunedWeight says from the term's
/// first metric, its value without the coefficient, after every update. With Kl it is the constraint of MPO and V-MPO,
/// arXiv 1812.02256, section 4.2: KL <= target. An update without a counted token changes nothing.
template <class Term>
struct LearnedMultiplier {
    Term term{};  ///< its coefficient is alpha
    TunedWeight weight{.target = 0.01, .step = {.learning_rate = 1e-2}};

    using State = TunedWeight::State;

    std::tuple<Term> terms(const State& state) const {
        Term weighed = term;
        weighed.coefficient = weight.weight(state);
        return {weighed};
    }
    template <class RunType, class ResultType>
    void observe(RunType&, State& state, const ResultType& result) const {
        if (result.count(Term::metrics[0]) > 0) weight.tune(state, result.metric(Term::metrics[0]));
    }
};
template <class Term>
ROARS_FIELDS_OF((LearnedMultiplier<Term>), term, weight)

}  // namespace roars::regularizer

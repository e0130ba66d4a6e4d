#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include "roars/concepts.hpp"

namespace roars::surrogate {

/// softmax(logits) of one state, action by action.
template <class Real>
struct Probabilities {
    std::span<const Real> logits;
    double largest = -std::numeric_limits<double>::infinity(), sum = 0.0;

    ROARS_FN explicit Probabilities(std::span<const Real> of) : logits(of) {
        for (Real each : logits) largest = double(each) > largest ? double(each) : largest;
        for (Real each : logits) sum += std::exp(double(each) - largest);
    }
    ROARS_FN double operator[](std::size_t a) const { return std::exp(double(logits[a]) - largest) / sum; }
};

/// A loss of all action values q and the policy's probabilities p in one state, v = sum p q; writes d loss / d p of
/// each action. Source: arXiv 1810.09026, section 3.
namespace all_actions {

/// -v: the policy gradient without the noise of a drawn action (QPG).
struct Value {
    template <class Real>
    ROARS_FN double of(const Probabilities<Real>&, std::span<const Real> q, double v, std::span<Real> by_p) const {
        for (std::size_t a = 0; a < q.size(); ++a) by_p[a] = -q[a];
        return -v;
    }
};
/// -sum p max(q - v, 0), the regrets constants: actions better than the policy alone are raised (regret matching,
/// RMPG).
struct RegretMatching {
    template <class Real>
    ROARS_FN double of(const Probabilities<Real>& p, std::span<const Real> q, double v, std::span<Real> by_p) const {
        double loss = 0.0;
        for (std::size_t a = 0; a < q.size(); ++a) {
            const double regret = std::max(double(q[a]) - v, 0.0);
            by_p[a] = static_cast<Real>(-regret);
            loss -= p[a] * regret;
        }
        return loss;
    }
};
/// sum max(q - v, 0): the policy's regret for every action (RPG); the slope of max is 0 at 0.
struct Regret {
    template <class Real>
    ROARS_FN double of(const Probabilities<Real>&, std::span<const Real> q, double v, std::span<Real> by_p) const {
        double loss = 0.0, better = 0.0;
        for (Real each : q) {
            loss += std::max(double(each) - v, 0.0);
            better += double(double(each) > v);
        }
        for (std::size_t a = 0; a < q.size(); ++a) by_p[a] = static_cast<Real>(-better * double(q[a]));
        return loss;
    }
};
ROARS_FIELDS(Value)
ROARS_FIELDS(RegretMatching)
ROARS_FIELDS(Regret)

}  // namespace all_actions

/// The policy's term from all its actions, p = softmax(logits): Rule of p and of the critic's values, constants. Slope
/// by a logit: p_a (d / dp_a - sum p d / dp). An action whose p is 0 (a logit far below the others) has no slope.
/// Shapes: logits, action_values [rows, actions]. Metric: the policy's mean value v. Errors: not as many of each.
template <class Rule = all_actions::Value>
struct AllActions {
    Rule rule{};

    static constexpr std::string_view name = "policy_loss";
    using rows = columns<col::logits, col::action_values>;
    using needs = columns<col::logits, col::action_values>;
    using differentiates = columns<col::logits>;
    static constexpr std::array<std::string_view, 1> metrics{"policy_value"};
    static constexpr bool everywhere = true;

    template <class RunType, class BatchType>
    void prepare(RunType&, const BatchType& batch) const {
        expect(batch.width(col::logits{}) == batch.width(col::action_values{}), [&] {
            return "all actions: " + std::to_string(batch.width(col::logits{})) + " logits and " +
                   std::to_string(batch.width(col::action_values{})) + " action values, expected as many of each";
        });
    }
    template <class X, class Slope>
    ROARS_FN RowLoss<1> row(const X& x, const Slope& slope) const {
        using Real = typename X::value_type;
        const Probabilities<Real> p(x[col::logits{}]);
        std::span<const Real> q = x[col::action_values{}];
        std::span<Real> to = slope[col::logits{}];
        double v = 0.0, along = 0.0;
        for (std::size_t a = 0; a < q.size(); ++a) v += p[a] * double(q[a]);
        double loss = rule.of(p, q, v, to);
        for (std::size_t a = 0; a < q.size(); ++a) along += p[a] * double(to[a]);
        for (std::size_t a = 0; a < q.size(); ++a) to[a] = static_cast<Real>(p[a] * (double(to[a]) - along));
        return {loss, {v}};
    }
};
template <class Rule>
ROARS_FIELDS_OF((AllActions<Rule>), rule)

}  // namespace roars::surrogate

#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "roars/concepts.hpp"

namespace roars::surrogate {

/// A loss of all action values q and the policy's probabilities p in one state, v = sum p q; writes d loss / d p of
/// each action. Source: arXiv 1810.09026, section 3.
namespace all_actions {

/// -v: the policy gradient without the noise of a drawn action (QPG).
struct Value {
    double of(std::span<const double>, std::span<const double> q, double v, std::span<double> by_p) const {
        for (std::size_t a = 0; a < q.size(); ++a) by_p[a] = -q[a];
        return -v;
    }
};
/// -sum p max(q - v, 0), the regrets constants: actions better than the policy alone are raised (regret matching,
/// RMPG).
struct RegretMatching {
    double of(std::span<const double> p, std::span<const double> q, double v, std::span<double> by_p) const {
        double loss = 0.0;
        for (std::size_t a = 0; a < q.size(); ++a) {
            by_p[a] = -std::max(q[a] - v, 0.0);
            loss += p[a] * by_p[a];
        }
        return loss;
    }
};
/// sum max(q - v, 0): the policy's regret for every action (RPG); the slope of max is 0 at 0.
struct Regret {
    double of(std::span<const double>, std::span<const double> q, double v, std::span<double> by_p) const {
        double loss = 0.0, better = 0.0;
        for (double each : q) {
            loss += std::max(each - v, 0.0);
            better += double(each > v);
        }
        for (std::size_t a = 0; a < q.size(); ++a) by_p[a] = -better * q[a];
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

    template <class RunType, class BatchType>
    void prepare(RunType&, const BatchType& batch) const {
        expect(batch.width(col::logits{}) == batch.width(col::action_values{}), [&] {
            return "all actions: " + std::to_string(batch.width(col::logits{})) + " logits and " +
                   std::to_string(batch.width(col::action_values{})) + " action values, expected as many of each";
        });
    }
    template <class X, class Slope>
    RowLoss<1> row(const X& x, const Slope& slope) const {
        using Real = typename X::value_type;
        auto logits = x[col::logits{}], values = x[col::action_values{}];
        auto to = slope[col::logits{}];
        std::vector<double> p(logits.begin(), logits.end()), q(values.begin(), values.end()), by_p(p.size());
        double largest = *std::max_element(p.begin(), p.end()), sum = 0.0, v = 0.0, along = 0.0;
        for (double& each : p) sum += each = std::exp(each - largest);
        for (std::size_t a = 0; a < p.size(); ++a) v += (p[a] /= sum) * q[a];
        double loss = rule.of(p, q, v, by_p);
        for (std::size_t a = 0; a < p.size(); ++a) along += p[a] * by_p[a];
        for (std::size_t a = 0; a < p.size(); ++a) to[a] = static_cast<Real>(p[a] * (by_p[a] - along));
        return {loss, {v}};
    }
};
template <class Rule>
ROARS_FIELDS_OF((AllActions<Rule>), rule)

}  // namespace roars::surrogate

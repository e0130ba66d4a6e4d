#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>

#include "roars/actors/parameters.hpp"
#include "roars/error.hpp"

namespace roars::actor {

/// A softmax policy of one logit a row (state, context, position) and action: p(a | row) = softmax(logits[row])_a.
/// A logit of -infinity forbids its action: probability 0, no gradient. With a value head there are values too, behind
/// the logits, 0 at first: one of every row, or `value_rows` of them. A value type: a copy is a frozen policy.
template <class Real = float>
class Tabular {
public:
    Tabular(std::int64_t rows, std::int64_t actions, Real start_logit = Real(0), bool value_head = false,
            std::int64_t value_rows = 0)
        : rows_(rows), actions_(actions) {
        expect(rows > 0 && actions > 0, [&] {
            return "tabular: " + std::to_string(rows) + " rows of " + std::to_string(actions) +
                   " actions, expected at least 1 of each";
        });
        parameters_.add("logits", {rows, actions});
        std::fill(parameters_.values().begin(), parameters_.values().end(), start_logit);
        if (value_head) parameters_.add("values", {value_rows > 0 ? value_rows : rows});
    }

    std::int64_t rows() const { return rows_; }
    std::int64_t actions() const { return actions_; }
    Parameters<Real>& parameters() { return parameters_; }
    const Parameters<Real>& parameters() const { return parameters_; }
    Tabular snapshot() const { return *this; }

    /// The logits of one row, [actions].
    std::span<Real> logits(std::int64_t row) { return row_of(parameters_.values(), row); }
    std::span<const Real> logits(std::int64_t row) const { return row_of(parameters_.values(), row); }

    /// All logits, [rows x actions].
    std::span<const Real> logits() const {
        return parameters_.values().first(static_cast<std::size_t>(rows_ * actions_));
    }
    /// The values, [rows or value_rows]; empty without a value head.
    std::span<const Real> values() const { return parameters_.values().subspan(logits().size()); }
    std::span<Real> value_gradients() { return parameters_.gradients().subspan(logits().size()); }

    /// Start logits of the whole table, [rows x actions].
    void set_logits(std::span<const Real> table) {
        expect(static_cast<std::int64_t>(table.size()) == rows_ * actions_, [&] {
            return "tabular: " + std::to_string(table.size()) + " logits, expected " + std::to_string(rows_) +
                   " rows of " + std::to_string(actions_);
        });
        std::copy(table.begin(), table.end(), parameters_.values().begin());
    }

    void probabilities(std::int64_t row, std::span<Real> result) const {
        expect(static_cast<std::int64_t>(result.size()) == actions_, [&] {
            return "tabular: room for " + std::to_string(result.size()) + " probabilities, expected " +
                   std::to_string(actions_);
        });
        std::span<const Real> logit = logits(row);
        Real normaliser = log_sum_exp(logit);
        for (std::size_t a = 0; a < logit.size(); ++a) result[a] = std::exp(logit[a] - normaliser);
    }

    Real log_probability(std::int64_t row, std::int64_t action) const {
        std::span<const Real> logit = logits(row);
        return logit[checked(action)] - log_sum_exp(logit);
    }

    /// For each token t: result[t] = log p(actions[t] | rows[t]).
    void log_probabilities(std::span<const std::int64_t> rows, std::span<const std::int64_t> actions,
                           std::span<Real> result) const {
        check_lengths(rows.size(), actions.size(), result.size());
        for (std::size_t t = 0; t < rows.size(); ++t) result[t] = log_probability(rows[t], actions[t]);
    }

    /// H = -sum_a p_a log p_a; forbidden actions count 0.
    Real entropy(std::int64_t row) const {
        std::span<const Real> logit = logits(row);
        Real normaliser = log_sum_exp(logit), sum = 0;
        for (Real l : logit) sum -= surprise(l - normaliser);
        return sum;
    }

    /// Adds to the gradients, for each token t of row r and action a with g = grad_log_probability[t], h =
    /// grad_entropy[t]:
    ///     d loss/d logits[r]_k += g (1{k = a} - p_k) - h p_k (log p_k + H)
    /// grad_entropy may be empty. Tokens are added in their order.
    void backward(std::span<const std::int64_t> rows, std::span<const std::int64_t> actions,
                  std::span<const Real> grad_log_probability, std::span<const Real> grad_entropy = {}) {
        check_lengths(rows.size(), actions.size(), grad_log_probability.size());
        if (!grad_entropy.empty()) check_lengths(rows.size(), actions.size(), grad_entropy.size());
        for (std::size_t t = 0; t < rows.size(); ++t) {
            std::span<const Real> logit = logits(rows[t]);
            std::span<Real> grad = row_of(parameters_.gradients(), rows[t]);
            Real normaliser = log_sum_exp(logit);
            grad[checked(actions[t])] += grad_log_probability[t];
            for (std::size_t k = 0; k < logit.size(); ++k)
                grad[k] -= grad_log_probability[t] * std::exp(logit[k] - normaliser);
            if (!grad_entropy.empty()) entropy_backward(logit, normaliser, entropy(rows[t]), grad_entropy[t], grad);
        }
    }

private:
    template <class Element>
    std::span<Element> row_of(std::span<Element> table, std::int64_t row) const {
        expect(row >= 0 && row < rows_,
               [&] { return "tabular: row " + std::to_string(row) + ", expected 0 to " + std::to_string(rows_ - 1); });
        return table.subspan(static_cast<std::size_t>(row * actions_), static_cast<std::size_t>(actions_));
    }

    std::size_t checked(std::int64_t action) const {
        expect(action >= 0 && action < actions_, [&] {
            return "tabular: action " + std::to_string(action) + ", expected 0 to " + std::to_string(actions_ - 1);
        });
        return static_cast<std::size_t>(action);
    }

    static void check_lengths(std::size_t rows, std::size_t actions, std::size_t numbers) {
        expect(rows == actions && rows == numbers, [&] {
            return "tabular: " + std::to_string(rows) + " rows, " + std::to_string(actions) + " actions and " +
                   std::to_string(numbers) + " numbers, expected as many of each";
        });
    }

    static Real log_sum_exp(std::span<const Real> logit) {
        Real largest = *std::max_element(logit.begin(), logit.end());
        expect(largest > -std::numeric_limits<Real>::infinity(),
               "tabular: a row forbids every action, expected a finite logit");
        Real sum = 0;
        for (Real l : logit) sum += std::exp(l - largest);
        return largest + std::log(sum);
    }

    /// p log p from log p, with 0 log 0 = 0.
    static Real surprise(Real log_probability) {
        Real probability = std::exp(log_probability);
        return probability > Real(0) ? probability * log_probability : Real(0);
    }

    static void entropy_backward(std::span<const Real> logit, Real normaliser, Real entropy, Real grad_entropy,
                                 std::span<Real> grad) {
        for (std::size_t k = 0; k < logit.size(); ++k) {
            Real log_probability = logit[k] - normaliser;
            grad[k] -= grad_entropy * (surprise(log_probability) + std::exp(log_probability) * entropy);
        }
    }

    std::int64_t rows_, actions_;
    Parameters<Real> parameters_;
};

}  // namespace roars::actor

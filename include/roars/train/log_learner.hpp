#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roars/actors/tabular.hpp"
#include "roars/algorithm.hpp"
#include "roars/tasks/sessions.hpp"

namespace roars::train {

/// A table of logits and values that learns from a log with several responses a step, and from nothing else. Policies
/// that were learnt before may be frozen: log-probabilities under them are logp_ref, a row of as many a step. logp_old
/// is of the policy that drew the log. A row of the log is a sequence of one step.
class LogLearner {
public:
    using Real = float;
    using gives = columns<col::token, col::mask, col::state, col::next_state, col::step_reward, col::terminated,
                          col::done, col::external, col::logp, col::logp_old, col::logp_behaviour, col::logp_ref,
                          col::value, col::next_value>;
    using keeps = columns<col::token, col::mask, col::state, col::next_state>;
    using minibatches_of_tokens = void;

    explicit LogLearner(const tasks::Sessions& task)
        : task_(&task), policy_(task.settings().users, task.settings().items, Real(0), true) {}

    actor::Parameters<Real>& parameters() { return policy_.parameters(); }
    const actor::Tabular<Real>& policy() const { return policy_; }
    const std::vector<actor::Tabular<Real>>& frozen() const { return frozen_; }

    /// Rows drawn so far, saved in the checkpoint.
    struct Position {
        std::int64_t rows = 0;
    };
    ROARS_MEMBERS(Position, rows)
    Position position;

    /// The policy becomes one of the references: it stays as it is beside the others that were frozen, and a new one
    /// begins, without preference or values.
    void set_reference() {
        frozen_.push_back(policy_);
        policy_ = actor::Tabular<Real>(policy_.rows(), policy_.actions(), Real(0), true);
    }

    /// `count` rows of the log, each drawn with the same probability.
    template <class RunType, class BatchType>
    void demonstrate(RunType& run, BatchType& batch, std::int64_t count) {
        std::vector<std::int64_t> offsets(static_cast<std::size_t>(count) + 1);
        for (std::int64_t k = 0; k <= count; ++k) offsets[static_cast<std::size_t>(k)] = k;
        batch.reshape(offsets);
        std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), Real(1));
        if constexpr (BatchType::template has<col::step_reward>)
            batch.set_width(col::step_reward{}, tasks::Sessions::responses);
        RandomStream random(run.random.of(Purpose::resample).at(0), static_cast<std::uint64_t>(position.rows));
        for (std::size_t t = 0; t < static_cast<std::size_t>(count); ++t, ++position.rows) {
            const auto& row = task_->log()[static_cast<std::size_t>(random.below(std::ssize(task_->log())))];
            batch[col::token{}][t] = row.item;
            batch[col::state{}][t] = Real(row.user);
            batch[col::next_state{}][t] = Real(row.next_user);
            put<col::terminated>(batch, t, row.terminated);
            put<col::done>(batch, t, row.terminated);
            put<col::external>(batch, t, 1.0);
            put<col::logp_behaviour>(batch, t, row.logp);
            put<col::logp_old>(batch, t, row.logp);
            if constexpr (BatchType::template has<col::step_reward>)
                std::copy(row.response.begin(), row.response.end(),
                          batch.row(col::step_reward{}, std::int64_t(t)).begin());
        }
    }
    template <class RunType, class BatchType>
    void refresh(RunType&, BatchType& batch) {
        say(batch);
        if constexpr (BatchType::template has<col::logp_ref>) {
            const std::int64_t count = std::ssize(frozen_);
            expect(count > 0, "log: logp_ref is asked for, but no policy is frozen");
            batch.set_width(col::logp_ref{}, count);
            for (std::int64_t t = 0; t < batch.tokens(); ++t)
                for (std::int64_t k = 0; k < count; ++k)
                    batch.row(col::logp_ref{}, t)[static_cast<std::size_t>(k)] =
                        frozen_[static_cast<std::size_t>(k)].log_probability(user(batch, t), item(batch, t));
        }
    }
    /// Adds d loss / d logits and values of an algorithm's objective to the gradients.
    template <class A, class RunType, class BatchType>
    auto accumulate(const A& algorithm, RunType& run, const typename A::State& state, BatchType& batch) {
        say(batch);
        auto result = algorithm.objective(run, state, batch);
        const auto& read = std::as_const(batch);
        rows_.clear();
        items_.clear();
        for (std::int64_t t = 0; t < batch.tokens(); ++t) {
            rows_.push_back(user(batch, t));
            items_.push_back(item(batch, t));
        }
        if constexpr (BatchType::template has<col::grad<col::logp>>)
            policy_.backward(rows_, items_, read[col::grad<col::logp>{}]);
        if constexpr (BatchType::template has<col::grad<col::value>>)
            for (std::size_t t = 0; t < rows_.size(); ++t)
                policy_.value_gradients()[static_cast<std::size_t>(rows_[t])] += read[col::grad<col::value>{}][t];
        return result;
    }

    /// What a step brings in the mean, by response, exactly: the table's, or that of any other of its shape.
    std::array<double, 5> worth() const { return worth(policy_); }
    std::array<double, 5> worth(const actor::Tabular<Real>& policy) const {
        std::vector<Real> row(static_cast<std::size_t>(policy.actions()));
        return task_->worth([&](std::int64_t u) {
            policy.probabilities(u, row);
            return std::span<const Real>(row);
        });
    }

    template <class File>
    void write(File& file) const {
        policy_.parameters().write(file, "policy.");
        for (std::size_t k = 0; k < frozen_.size(); ++k)
            frozen_[k].parameters().write(file, "frozen." + std::to_string(k) + ".");
    }
    template <class File>
    void read(const File& file) {
        policy_.parameters().read(file, "policy.");
        frozen_.clear();
        for (std::size_t k = 0; file.contains("frozen." + std::to_string(k) + ".logits"); ++k) {
            frozen_.push_back(actor::Tabular<Real>(policy_.rows(), policy_.actions(), Real(0), true));
            frozen_[k].parameters().read(file, "frozen." + std::to_string(k) + ".");
        }
    }

private:
    template <class BatchType>
    static std::int64_t user(const BatchType& batch, std::int64_t t) {
        return static_cast<std::int64_t>(batch[col::state{}][static_cast<std::size_t>(t)]);
    }
    template <class BatchType>
    static std::int64_t item(const BatchType& batch, std::int64_t t) {
        return batch[col::token{}][static_cast<std::size_t>(t)];
    }
    template <class Column, class BatchType>
    static void put(BatchType& batch, std::size_t t, double value) {
        if constexpr (BatchType::template has<Column>) batch[Column{}][t] = static_cast<Real>(value);
    }
    /// What the table says of the batch now.
    template <class BatchType>
    void say(BatchType& batch) const {
        for (std::int64_t t = 0; t < batch.tokens(); ++t) {
            const auto at = static_cast<std::size_t>(t);
            if constexpr (BatchType::template has<col::logp>)
                batch[col::logp{}][at] = policy_.log_probability(user(batch, t), item(batch, t));
            put<col::value>(batch, at, policy_.values()[static_cast<std::size_t>(user(batch, t))]);
            put<col::next_value>(
                batch, at, policy_.values()[static_cast<std::size_t>(std::as_const(batch)[col::next_state{}][at])]);
        }
    }

    const tasks::Sessions* task_;
    actor::Tabular<Real> policy_;
    std::vector<actor::Tabular<Real>> frozen_;
    std::vector<std::int64_t> rows_, items_;
};

}  // namespace roars::train

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/primitives/nearest.hpp"
#include "roars/regularizer/near_action.hpp"

namespace roars::detail {

/// [beta state_i, action_i], row by row.
template <class State, class Action>
std::vector<double> joint_rows(std::span<State> state, std::span<Action> action, std::int64_t rows, double beta) {
    auto count = static_cast<std::size_t>(rows);
    std::size_t of_state = count ? state.size() / count : 0, of_action = count ? action.size() / count : 0;
    std::vector<double> joint;
    joint.reserve(state.size() + action.size());
    for (std::size_t i = 0; i < count; ++i) {
        for (std::size_t j = 0; j < of_state; ++j) joint.push_back(beta * double(state[i * of_state + j]));
        for (std::size_t j = 0; j < of_action; ++j) joint.push_back(double(action[i * of_action + j]));
    }
    return joint;
}

}  // namespace roars::detail

namespace roars::regularizer {

/// The rows [beta state, action] of a data set, ready to be searched, and the actions once more.
struct DataRows {
    NearestSearch search;
    std::vector<double> action;
    std::int64_t action_width = 0;
};
/// Nothing to save: it is made of the data set again.
ROARS_FIELDS(DataRows)

/// NearAction of the row of the data that is nearest to the policy's action in that state: prepare() looks it up.
struct NearData : NearAction<col::neighbour_action> {
    double beta = 2.0;
    std::int64_t k = 1;
    const DataRows* data = nullptr;

    using prepare_needs = columns<col::state, col::policy_action>;
    using gives = columns<col::neighbour_action>;

    template <class RunType, BatchWith<col::state, col::policy_action, col::neighbour_action> BatchType>
    void prepare(RunType& run, BatchType& batch) const {
        using Real = typename BatchType::Real;
        std::vector<Neighbour> found = neighbours(run, batch);
        auto width = static_cast<std::size_t>(data->action_width);
        batch.set_width(col::neighbour_action{}, data->action_width);
        auto to = batch[col::neighbour_action{}];
        parallel_for(run.backend, batch.tokens(), [&](std::int64_t row) {
            auto i = static_cast<std::size_t>(row), from = static_cast<std::size_t>(found[i].index);
            for (std::size_t j = 0; j < width; ++j)
                to[i * width + j] = static_cast<Real>(data->action[from * width + j]);
        });
    }

    /// Of each token: the row of the data, and its distance.
    template <class RunType, class BatchType>
    std::vector<Neighbour> neighbours(RunType& run, const BatchType& batch) const {
        std::vector<double> query =
            roars::detail::joint_rows(batch[col::state{}], batch[col::policy_action{}], batch.tokens(), beta);
        std::int64_t width = batch.width(col::state{}) + batch.width(col::policy_action{});
        for (std::int64_t t = 0; t < batch.tokens(); ++t)
            if (!roars::detail::trainable<col::mask>(batch, t)) std::fill_n(query.begin() + t * width, width, 0.0);
        std::vector<Neighbour> found(static_cast<std::size_t>(batch.tokens()));
        if (!found.empty()) nearest_rows(run.backend, data->search, query, k, std::span(found));
        return found;
    }
};

/// The policy's action stays near the action of that row of the data set which is nearest to it:
///     coefficient * mean over dimensions of (policy_action - action_j)^2,
///     j = arg min_j || [beta state, policy_action] - [beta state_j, action_j] ||  (the k-th nearest for k > 1),
/// of equal distances the lowest row. The neighbour is a constant of the gradient. With a large beta it is an action of
/// the row's own state (TD3+BC), with beta = 0 any action of the data. States are those that the networks see. The
/// distance is the paper's d_beta. Shapes: state [rows, state width], policy_action [rows, action width]. Errors: no
/// data, k above its rows, a number that is not finite. Source: PRDC, arXiv 2306.06569; the square, without the state's
/// part, is its code's.
struct DatasetConstraint {
    double coefficient = 1.0;
    double beta = 2.0;
    std::int64_t k = 1;

    using State = DataRows;

    /// Shapes: state [rows, state width], action [rows, action width].
    template <class Real>
    DataRows rows_of(std::span<const Real> state, std::int64_t state_width, std::span<const Real> action,
                     std::int64_t action_width) const {
        std::int64_t rows = action_width > 0 ? std::ssize(action) / action_width : 0;
        expect(rows > 0 && std::ssize(action) == rows * action_width && std::ssize(state) == rows * state_width, [&] {
            return "dataset constraint: " + std::to_string(state.size()) + " numbers of states of " +
                   std::to_string(state_width) + " and " + std::to_string(action.size()) + " of actions of " +
                   std::to_string(action_width) + ", expected one row of each or more, and as many of both";
        });
        return {NearestSearch(roars::detail::joint_rows(state, action, rows, beta), state_width + action_width),
                std::vector<double>(action.begin(), action.end()), action_width};
    }
    template <class RunType, BatchWith<col::state, col::action> BatchType>
    void on_dataset(RunType&, State& state, const BatchType& data) const {
        using Real = const typename BatchType::Real;
        state = rows_of(std::span<Real>(data[col::state{}]), data.width(col::state{}),
                        std::span<Real>(data[col::action{}]), data.width(col::action{}));
    }
    std::tuple<NearData> terms(const State& state) const { return {{{coefficient}, beta, k, &state}}; }
};
ROARS_FIELDS(DatasetConstraint, coefficient, beta, k)

}  // namespace roars::regularizer

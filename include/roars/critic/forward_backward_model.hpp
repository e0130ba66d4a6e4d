#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/critic/ensemble.hpp"
#include "roars/critic/forward_backward.hpp"
#include "roars/primitives/sphere.hpp"
#include "roars/sampler/task_vectors.hpp"

/// What a forward-backward model adds to its loss for actions that the data does not hold. Candidates are all actions.
namespace roars::critic::doubt {

/// FB: nothing.
struct None {
    static constexpr double weight = 0.0;
};
ROARS_FIELDS(None)

/// VC-FB: their values for the row's task are pushed down.
struct OfValues {
    double weight = 0.1;

    template <class Real>
    double add(backend::Host& backend, Rows<const Real> samples, Rows<const Real> forward, Rows<const Real> task,
               Rows<const Real>, Rows<Real> grad_samples, Rows<Real> grad_forward, Rows<Real> grad_backward) const {
        std::fill(grad_backward.values.begin(), grad_backward.values.end(), Real(0));
        return conservative_values(backend, samples, forward, task, grad_samples, grad_forward);
    }
};
ROARS_FIELDS(OfValues, weight)

/// MC-FB: their measures of every state are pushed down.
struct OfMeasures {
    double weight = 1.0;

    template <class Real>
    double add(backend::Host& backend, Rows<const Real> samples, Rows<const Real> forward, Rows<const Real>,
               Rows<const Real> backward, Rows<Real> grad_samples, Rows<Real> grad_forward,
               Rows<Real> grad_backward) const {
        return conservative_measures(backend, samples, forward, backward, grad_samples, grad_forward, grad_backward);
    }
};
ROARS_FIELDS(OfMeasures, weight)

}  // namespace roars::critic::doubt

namespace roars::critic {

/// Networks F_1, F_2, ...: [state, task] -> [actions, d], and B: state -> [d], which is brought to the sphere of norm
/// sqrt(d); targets, moments, and memory between two batches, which is not saved.
template <class Real>
struct ForwardBackwardState {
    Ensemble<Real> forward, backward;
    double loss = 0.0;  ///< of the last step

    ROARS_MEMBERS(ForwardBackwardState, forward, backward, loss)

    std::vector<Real> task, joined, raw, states, target_states, measure, grad_states, doubt_states;
    std::vector<std::vector<Real>> all, taken, target, grad_all, grad_taken;
};

/// A forward-backward model for a number of actions, learnt from steps without a reward:
///     ForwardBackward + Doubt::weight * what Doubt says,
/// tasks by TaskVectors, the target's action by SoftChoice of min_k F'_k^T z. Elements of the gradient are held within
/// [-1, 1]. Shapes: state, next_state [rows, width], token (the action), terminated [rows]. Source: arXiv 2508.16496.
template <class Doubt = doubt::None>
struct ForwardBackwardModel {
    std::int64_t actions = 2;
    std::int64_t dimensions = 50;  ///< d
    std::int64_t members = 2;      ///< forward networks, of which the least counts
    NetworkSettings forward{.width = 1024, .layers = 2};
    NetworkSettings backward{.width = 256, .layers = 3};
    ForwardBackward loss{};
    Doubt doubt{};
    sampler::TaskVectors tasks{};
    SoftChoice choice{};
    step::AdamW step{.learning_rate = 1e-4};
    Polyak polyak{.tau = 0.01};

    using needs = columns<col::state, col::token, col::next_state, col::terminated>;
    template <class Real>
    using StateOf = ForwardBackwardState<Real>;
    using State = StateOf<float>;

    template <class RunType, class Real, class BatchType>
    void learn(RunType& run, ForwardBackwardState<Real>& own, const BatchType& batch) const {
        const std::int64_t rows = batch.tokens();
        if (rows == 0) return;
        open(run.random.seed(), own, batch.width(col::state{}));
        check_actions(batch[col::token{}]);
        represent(own.backward.forward(0, batch[col::state{}]), own, own.states);
        own.task.resize(own.states.size());
        tasks.draw(run, at(std::as_const(own.states)), at(own.task));
        find_target(own, batch);
        step_on(run, own, batch);
    }

    /// No signal for a policy: the greedy action of the values is one.
    template <class RunType, class Real, class BatchType>
    void estimate(RunType&, ForwardBackwardState<Real>&, BatchType&) const {}

    /// q_a = min_k F_k(state, a, task)^T task of every state. Shapes: state [rows, width], task [d], q [rows, actions].
    template <class Real>
    void values(ForwardBackwardState<Real>& own, std::uint64_t seed, Rows<const Real> state, std::span<const Real> task,
                Rows<Real> q) const {
        open(seed, own, state.width);
        own.task.clear();
        for (std::int64_t i = 0; i < state.count(); ++i) own.task.insert(own.task.end(), task.begin(), task.end());
        run_forward<false>(own, state.values, state.width, own.all);
        for (std::int64_t i = 0; i < state.count(); ++i) task_values<Real>(of_row(own.all, i), task, q[i]);
    }
    /// B of every state. Shapes: state [rows, width] -> [rows, d], valid until the next call.
    template <class Real>
    Rows<const Real> representations(ForwardBackwardState<Real>& own, std::uint64_t seed,
                                     Rows<const Real> state) const {
        open(seed, own, state.width);
        represent(own.backward.forward(0, state.values), own, own.states);
        return at(std::as_const(own.states));
    }

private:
    template <class Vector>
    auto at(Vector& values) const {
        using Value = std::remove_reference_t<decltype(*values.data())>;
        return Rows<Value>{std::span<Value>(values), dimensions};
    }
    template <class Real>
    void open(std::uint64_t seed, ForwardBackwardState<Real>& own, std::int64_t width) const {
        own.forward.open(forward, members, width + dimensions, actions * dimensions, seed, 4000);
        own.backward.open(backward, 1, width, dimensions, seed, 5000);
        const auto count = static_cast<std::size_t>(members);
        for (auto* each : {&own.all, &own.taken, &own.target, &own.grad_all, &own.grad_taken}) each->resize(count);
    }
    void check_actions(std::span<const std::int32_t> action) const {
        for (std::size_t i = 0; i < action.size(); ++i)
            expect(action[i] >= 0 && action[i] < actions, [&] {
                return "forward-backward model: row " + std::to_string(i) + " has action " + std::to_string(action[i]) +
                       ", expected 0 to " + std::to_string(actions - 1);
            });
    }
    template <class Real>
    void represent(std::span<const Real> raw, ForwardBackwardState<Real>& own, std::vector<Real>& to) const {
        own.raw.assign(raw.begin(), raw.end());
        to.resize(raw.size());
        for (std::int64_t i = 0; i < std::ssize(raw) / dimensions; ++i)
            to_sphere(at(std::as_const(own.raw))[i], at(to)[i]);
    }
    template <class Real>
    void represent(std::span<Real> raw, ForwardBackwardState<Real>& own, std::vector<Real>& to) const {
        represent(std::span<const Real>(raw), own, to);
    }
    /// F_k of all actions, [rows, actions d], by the target networks or the networks themselves.
    template <bool of_target, class Real>
    void run_forward(ForwardBackwardState<Real>& own, std::span<const Real> states, std::int64_t width,
                     std::vector<std::vector<Real>>& all) const {
        auto joined = join_rows<Real>(states, width, own.task, dimensions, own.joined);
        for (std::int64_t k = 0; k < members; ++k) {
            auto said = of_target ? own.forward.forward_target(k, joined) : own.forward.forward(k, joined);
            all[static_cast<std::size_t>(k)].assign(said.begin(), said.end());
        }
    }
    /// F_k of the actions of one row, [actions, d] each.
    template <class Real>
    std::vector<Rows<const Real>> of_row(const std::vector<std::vector<Real>>& all, std::int64_t i) const {
        std::vector<Rows<const Real>> rows;
        const auto width = static_cast<std::size_t>(actions * dimensions);
        for (const auto& each : all)
            rows.push_back({std::span(each).subspan(static_cast<std::size_t>(i) * width, width), dimensions});
        return rows;
    }
    template <class Real>
    std::vector<Rows<const Real>> read(const std::vector<std::vector<Real>>& all) const {
        std::vector<Rows<const Real>> rows;
        for (const auto& each : all) rows.push_back(at(each));
        return rows;
    }

    template <class Real, class BatchType>
    void find_target(ForwardBackwardState<Real>& own, const BatchType& batch) const {
        const std::int64_t rows = batch.tokens();
        run_forward<true>(own, std::span<const Real>(batch[col::next_state{}]), batch.width(col::next_state{}),
                          own.all);
        std::vector<Real> q(static_cast<std::size_t>(actions)), share(q.size());
        for (auto& each : own.target) each.assign(own.task.size(), Real(0));
        for (std::int64_t i = 0; i < rows; ++i) {
            auto of_actions = of_row(own.all, i);
            task_values<Real>(of_actions, at(std::as_const(own.task))[i], q);
            choice(std::span<const Real>(q), std::span(share));
            for (std::size_t k = 0; k < of_actions.size(); ++k)
                for (std::size_t a = 0; a < share.size(); ++a) {
                    if (share[a] == Real(0)) continue;
                    auto to = at(own.target[k])[i];
                    for (std::size_t j = 0; j < to.size(); ++j) to[j] += share[a] * of_actions[k][std::int64_t(a)][j];
                }
        }
        represent(own.backward.forward_target(0, batch[col::next_state{}]), own, own.target_states);
        own.measure.resize(static_cast<std::size_t>(rows * rows));
        loss.template target<Real>(read(own.target), at(std::as_const(own.target_states)),
                                   Rows<Real>{own.measure, rows});
    }

    template <class RunType, class Real, class BatchType>
    void step_on(RunType& run, ForwardBackwardState<Real>& own, const BatchType& batch) const {
        const std::int64_t rows = batch.tokens();
        run_forward<false>(own, std::span<const Real>(batch[col::state{}]), batch.width(col::state{}), own.all);
        represent(own.backward.forward(0, batch[col::next_state{}]), own, own.states);
        std::vector<Rows<Real>> gradients;
        for (std::size_t k = 0; k < own.all.size(); ++k) {
            own.taken[k].resize(own.task.size());
            own.grad_taken[k].resize(own.task.size());
            own.grad_all[k].assign(own.all[k].size(), Real(0));
            for (std::int64_t i = 0; i < rows; ++i) {
                auto from = of_row(own.all, i)[k][batch[col::token{}][static_cast<std::size_t>(i)]];
                std::copy(from.begin(), from.end(), at(own.taken[k])[i].begin());
            }
            gradients.push_back(at(own.grad_taken[k]));
        }
        own.grad_states.resize(own.states.size());
        const auto states = at(std::as_const(own.states));
        own.loss = loss.template loss<Real>(run.backend, read(own.taken), states, Rows<const Real>{own.measure, rows},
                                            batch[col::terminated{}], gradients, at(own.grad_states))
                       .total();
        for (std::size_t k = 0; k < own.all.size(); ++k) {
            add_taken(own, batch, k, Real(1));
            if constexpr (!std::is_same_v<Doubt, doubt::None>) add_doubt(run, own, batch, k);
        }
        for (std::int64_t i = 0; i < rows; ++i)
            to_sphere_backward(at(std::as_const(own.raw))[i], at(own.grad_states)[i], at(own.grad_states)[i]);
        own.forward.zero_gradients();
        own.backward.zero_gradients();
        for (std::int64_t k = 0; k < members; ++k) own.forward.backward(k, own.grad_all[static_cast<std::size_t>(k)]);
        own.backward.backward(0, own.grad_states);
        own.forward.hold_gradients(Real(1));
        own.backward.hold_gradients(Real(1));
        own.forward.step(step);
        own.backward.step(step);
        own.forward.follow(run.backend, polyak);
        own.backward.follow(run.backend, polyak);
    }
    /// Slopes by F of the actions taken go to their places among all actions.
    template <class Real, class BatchType>
    void add_taken(ForwardBackwardState<Real>& own, const BatchType& batch, std::size_t k, Real factor) const {
        for (std::int64_t i = 0; i < batch.tokens(); ++i) {
            const std::int64_t taken = i * actions + batch[col::token{}][static_cast<std::size_t>(i)];
            auto from = at(own.grad_taken[k])[i], to = at(own.grad_all[k])[taken];
            for (std::size_t j = 0; j < to.size(); ++j) to[j] += factor * from[j];
        }
    }
    template <class RunType, class Real, class BatchType>
    void add_doubt(RunType& run, ForwardBackwardState<Real>& own, const BatchType& batch, std::size_t k) const {
        const std::int64_t rows = batch.tokens();
        // Candidate by candidate, as the penalties take them.
        std::vector<Real> samples(own.all[k].size()), grad_samples(samples.size());
        auto each = [&](auto&& visit) {
            for (std::int64_t i = 0; i < rows; ++i)
                for (std::int64_t a = 0; a < actions; ++a) visit(i * actions + a, a * rows + i);
        };
        each([&](std::int64_t here, std::int64_t there) {
            auto from = at(std::as_const(own.all[k]))[here];
            std::copy(from.begin(), from.end(), at(samples)[there].begin());
        });
        own.doubt_states.resize(own.states.size());
        own.loss += doubt.weight *
                    doubt.template add<Real>(run.backend, at(std::as_const(samples)), at(std::as_const(own.taken[k])),
                                             at(std::as_const(own.task)), at(std::as_const(own.states)),
                                             at(grad_samples), at(own.grad_taken[k]), at(own.doubt_states));
        const Real weight = static_cast<Real>(doubt.weight);
        each([&](std::int64_t here, std::int64_t there) {
            auto from = at(grad_samples)[there], to = at(own.grad_all[k])[here];
            for (std::size_t j = 0; j < to.size(); ++j) to[j] += weight * from[j];
        });
        add_taken(own, batch, k, weight);
        for (std::size_t c = 0; c < own.grad_states.size(); ++c) own.grad_states[c] += weight * own.doubt_states[c];
    }
};
template <class Doubt>
ROARS_FIELDS_OF((ForwardBackwardModel<Doubt>), actions, dimensions, members, forward, backward, loss, doubt, tasks,
                choice, step, polyak)

}  // namespace roars::critic

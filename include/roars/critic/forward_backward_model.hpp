#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/critic/ensemble.hpp"
#include "roars/critic/forward_backward.hpp"
#include "roars/critic/forward_backward_acts.hpp"
#include "roars/networks/recurrent.hpp"
#include "roars/primitives/sphere.hpp"
#include "roars/sampler/task_vectors.hpp"

/// What a forward-backward model adds to its loss for actions that the data does not hold: of candidates, which Acts
/// names.
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

/// What a forward-backward model remembers of the steps before a state.
namespace roars::critic::memory {

/// Nothing: the state says all.
struct None {
    template <class Real>
    using Network = network::Perceptron<Real>;

    template <class Real>
    Network<Real> forward(const NetworkSettings& rest, std::int64_t states, std::int64_t beside,
                          std::int64_t outputs) const {
        return Network<Real>(rest.shape(states + beside, outputs));
    }
    template <class Real>
    Network<Real> backward(const NetworkSettings& rest, std::int64_t states, std::int64_t outputs) const {
        return forward<Real>(rest, states, 0, outputs);
    }
};
ROARS_FIELDS(None)

/// States are contexts of `length` steps, the newest without its action (sampler::Past). F reads them through a
/// recurrent network, the action and the task beside what it remembers; B reads the last `backward_length` of them.
/// Source: arXiv 2506.15446, where the newest action goes into F's memory.
struct Recurrent {
    std::int64_t length = 32;
    std::int64_t backward_length = 8;
    std::int64_t units = 512;

    template <class Real>
    using Network = network::Recurrent<Real>;

    template <class Real>
    Network<Real> forward(const NetworkSettings& rest, std::int64_t states, std::int64_t beside,
                          std::int64_t outputs) const {
        return make<Real>(rest, states, length, beside, outputs);
    }
    template <class Real>
    Network<Real> backward(const NetworkSettings& rest, std::int64_t states, std::int64_t outputs) const {
        return make<Real>(rest, states, std::min(backward_length, length), 0, outputs);
    }

private:
    template <class Real>
    Network<Real> make(const NetworkSettings& rest, std::int64_t states, std::int64_t read, std::int64_t beside,
                       std::int64_t outputs) const {
        expect(length > 0 && states % length == 0, [&] {
            return "forward-backward memory: states of " + std::to_string(states) + " numbers, expected contexts of " +
                   std::to_string(length) + " steps";
        });
        return Network<Real>({.step_width = states / length,
                              .shown = length,
                              .read = read,
                              .units = units,
                              .rest = rest.shape(units + beside, outputs)});
    }
};
ROARS_FIELDS(Recurrent, length, backward_length, units)

}  // namespace roars::critic::memory

namespace roars::critic {

/// Networks F_1, F_2, ... and B: state -> [d], which is brought to the sphere of norm sqrt(d); targets, moments, and
/// memory between two batches, which is not saved.
template <class Real, class Network = network::Perceptron<Real>>
struct ForwardBackwardState {
    Ensemble<Real, Network> forward, backward;
    double loss = 0.0;  ///< of the last step

    ROARS_MEMBERS(ForwardBackwardState, forward, backward, loss)

    std::vector<Real> joined, action, raw, states, target_states, measure, grad, grad_rows, grad_states, doubt_forward,
        doubt_states;
    std::vector<std::vector<Real>> said, target, grad_said;
};

/// A forward-backward model, learnt from steps without a reward:
///     ForwardBackward + Doubt::weight * what Doubt says of the candidate actions.
/// How F sees actions is Acts', what of the past F and B see Memory's. It draws the task of every row where the sampler
/// asks (sampler::Chosen), by TaskVectors from its own B. Elements of the gradient are held within [-1, 1]. Shapes:
/// state, next_state [rows, width], task [rows, d], terminated [rows]. Source: arXiv 2508.16496.
template <class Doubt = doubt::None, class Acts = acts::Finite, class Memory = memory::None>
struct ForwardBackwardModel {
    std::int64_t dimensions = 50;  ///< d
    std::int64_t members = 2;      ///< forward networks, of which the least counts
    NetworkSettings forward{.width = 1024, .layers = 2};
    NetworkSettings backward{.width = 256, .layers = 3};
    ForwardBackward loss{};
    Doubt doubt{};
    Acts acts{};
    Memory memory{};
    sampler::TaskVectors tasks{};
    step::AdamW step{.learning_rate = 1e-4};
    Polyak polyak{.tau = 0.01};

    using needs = unite_t<columns<col::state, col::next_state, col::terminated, col::task>, needs_of<Acts>>;
    using gives = gives_of<Acts>;
    template <class Real>
    using StateOf = ForwardBackwardState<Real, typename Memory::template Network<Real>>;
    using State = StateOf<float>;

    template <class RunType, class Real, class BatchType>
    void learn(RunType& run, StateOf<Real>& own, const BatchType& batch) const {
        if (batch.tokens() == 0) return;
        open(run.random.seed(), own, batch.width(col::state{}), acts.beside(batch));
        find_target(run, own, batch);
        step_on(run, own, batch);
    }

    /// What a policy of continuous actions climbs; of finite ones the greedy action of the values is the policy.
    template <class RunType, class Real, class BatchType>
    void estimate([[maybe_unused]] RunType& run, [[maybe_unused]] StateOf<Real>& own,
                  [[maybe_unused]] BatchType& batch) const {
        if constexpr (contains_v<col::q_gradient, gives>) {
            batch.set_width(col::q_gradient{}, batch.width(col::policy_action{}));
            if (batch.tokens() == 0) return;
            open(run.random.seed(), own, batch.width(col::state{}), acts.beside(batch));
            acts.estimate(own, batch, dimensions, members);
        }
    }

    /// The task of each state of a batch, with the numbers of the run's iteration: asked twice, the same. Shapes: state
    /// [rows x width], to [rows x d].
    template <class RunType, class Real>
    void draw(RunType& run, StateOf<Real>& own, std::span<const Real> state, std::int64_t width,
              std::span<Real> to) const {
        tasks.draw(run, representations(own, run.random.seed(), Rows<const Real>{state, width}),
                   Rows<Real>{to, dimensions});
    }
    /// q_a = min_k F_k(state, a, task)^T task of every state. Shapes: state [rows, width], task [d], q [rows, actions].
    template <class Real>
    void values(StateOf<Real>& own, std::uint64_t seed, Rows<const Real> state, std::span<const Real> task,
                Rows<Real> q) const {
        open(seed, own, state.width, 0);
        std::vector<Real> repeated;
        auto joined =
            join_rows<Real>(state.values, state.width, repeat_rows<Real>(task, dimensions, state.count(), repeated),
                            dimensions, own.joined);
        for (std::int64_t k = 0; k < members; ++k) {
            auto said = own.forward.forward(k, joined);
            own.said[static_cast<std::size_t>(k)].assign(said.begin(), said.end());
        }
        for (std::int64_t i = 0; i < state.count(); ++i)
            task_values<Real>(acts.of_row(own.said, i, dimensions), task, q[i]);
    }
    /// B of every state. Shapes: state [rows, width] -> [rows, d], valid until the next call.
    template <class Real>
    Rows<const Real> representations(StateOf<Real>& own, std::uint64_t seed, Rows<const Real> state) const {
        open_backward(seed, own, state.width);
        represent(own.backward.forward(0, state.values), own, own.states);
        return at(std::as_const(own.states));
    }

private:
    static constexpr bool doubtful = !std::is_same_v<Doubt, doubt::None>;

    template <class Vector>
    auto at(Vector& values) const {
        using Value = std::remove_reference_t<decltype(*values.data())>;
        return Rows<Value>{std::span<Value>(values), dimensions};
    }
    template <class Real>
    void open_backward(std::uint64_t seed, StateOf<Real>& own, std::int64_t width) const {
        own.backward.open(1, width, seed, 5000,
                          [&] { return memory.template backward<Real>(backward, width, dimensions); });
    }
    template <class Real>
    void open(std::uint64_t seed, StateOf<Real>& own, std::int64_t width, std::int64_t beside) const {
        open_backward(seed, own, width);
        own.forward.open(members, width + beside + dimensions, seed, 4000, [&] {
            return memory.template forward<Real>(forward, width, beside + dimensions, acts.outputs(dimensions));
        });
        const auto count = static_cast<std::size_t>(members);
        for (auto* each : {&own.said, &own.target, &own.grad_said}) each->resize(count);
    }
    template <class Element, class Real>
    void represent(std::span<Element> raw, ForwardBackwardState<Real, typename Memory::template Network<Real>>& own,
                   std::vector<Real>& to) const {
        own.raw.assign(raw.begin(), raw.end());
        to.resize(raw.size());
        for (std::int64_t i = 0; i < std::ssize(raw) / dimensions; ++i)
            to_sphere(at(std::as_const(own.raw))[i], at(to)[i]);
    }
    /// The first rows of what F said: those of the data's actions.
    template <class Vectors>
    auto taken(Vectors& all, std::int64_t rows) const {
        std::vector<decltype(at(all.front()))> of_members;
        for (auto& each : all) {
            auto whole = at(each);
            of_members.push_back({whole.values.first(static_cast<std::size_t>(rows * dimensions)), dimensions});
        }
        return of_members;
    }

    template <class RunType, class Real, class BatchType>
    void find_target(RunType& run, StateOf<Real>& own, const BatchType& batch) const {
        const std::int64_t rows = batch.tokens();
        acts.next(run, own, batch, dimensions, members);
        represent(own.backward.forward_target(0, batch[col::next_state{}]), own, own.target_states);
        own.measure.resize(static_cast<std::size_t>(rows * rows));
        loss.template target<Real>(taken(std::as_const(own.target), rows), at(std::as_const(own.target_states)),
                                   Rows<Real>{own.measure, rows});
    }

    template <class RunType, class Real, class BatchType>
    void step_on(RunType& run, StateOf<Real>& own, const BatchType& batch) const {
        const std::int64_t rows = batch.tokens();
        const std::span<const Real> shown = acts.rows(run, own, batch, doubtful);
        for (std::int64_t k = 0; k < members; ++k) {
            auto& said = own.said[static_cast<std::size_t>(k)];
            acts.say(batch, dimensions, doubtful, std::span<const Real>(own.forward.forward(k, shown)), said);
            own.grad_said[static_cast<std::size_t>(k)].resize(said.size());
        }
        represent(own.backward.forward(0, batch[col::next_state{}]), own, own.states);
        own.grad_states.resize(own.states.size());
        const auto states = at(std::as_const(own.states));
        own.loss = loss.template loss<Real>(run.backend, taken(std::as_const(own.said), rows), states,
                                            Rows<const Real>{own.measure, rows}, batch[col::terminated{}],
                                            taken(own.grad_said, rows), at(own.grad_states))
                       .total();
        own.forward.zero_gradients();
        own.backward.zero_gradients();
        for (std::int64_t k = 0; k < members; ++k) {
            if constexpr (doubtful) add_doubt(run, own, batch, static_cast<std::size_t>(k));
            acts.unsay(batch, dimensions, doubtful, std::span<const Real>(own.grad_said[static_cast<std::size_t>(k)]),
                       own.grad);
            own.forward.backward(k, own.grad);
        }
        for (std::int64_t i = 0; i < rows; ++i)
            to_sphere_backward(at(std::as_const(own.raw))[i], at(own.grad_states)[i], at(own.grad_states)[i]);
        own.backward.backward(0, own.grad_states);
        own.forward.hold_gradients(Real(1));
        own.backward.hold_gradients(Real(1));
        own.forward.step(step);
        own.backward.step(step);
        own.forward.follow(run.backend, polyak);
        own.backward.follow(run.backend, polyak);
    }
    /// The candidates are what F said behind the rows of the data.
    template <class RunType, class Real, class BatchType>
    void add_doubt(RunType& run, StateOf<Real>& own, const BatchType& batch, std::size_t k) const {
        const auto own_rows = static_cast<std::size_t>(batch.tokens() * dimensions);
        const std::span<const Real> said(own.said[k]);
        const std::span<Real> slope(own.grad_said[k]);
        own.doubt_forward.resize(own_rows);
        own.doubt_states.resize(own_rows);
        own.loss += doubt.weight *
                    doubt.template add<Real>(run.backend, {said.subspan(own_rows), dimensions},
                                             {said.first(own_rows), dimensions}, {batch[col::task{}], dimensions},
                                             at(std::as_const(own.states)), {slope.subspan(own_rows), dimensions},
                                             at(own.doubt_forward), at(own.doubt_states));
        const Real weight = static_cast<Real>(doubt.weight);
        for (Real& each : slope.subspan(own_rows)) each *= weight;
        for (std::size_t c = 0; c < own_rows; ++c) {
            slope[c] += weight * own.doubt_forward[c];
            own.grad_states[c] += weight * own.doubt_states[c];
        }
    }
};
template <class Doubt, class Acts, class Memory>
ROARS_FIELDS_OF((ForwardBackwardModel<Doubt, Acts, Memory>), dimensions, members, forward, backward, loss, doubt, acts,
                memory, tasks, step, polyak)

}  // namespace roars::critic

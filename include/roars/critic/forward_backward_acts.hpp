#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roars/columns.hpp"
#include "roars/critic/ensemble.hpp"
#include "roars/critic/forward_backward.hpp"
#include "roars/critic/twin_delayed.hpp"
#include "roars/random.hpp"

/// How the forward networks of a ForwardBackwardModel see actions. Each says
///     beside(actions), outputs(d)                  the numbers beside the state and the task, and how many F gives
///     candidates()                                 how many actions doubt compares with the one of the data
///     rows(run, own, batch, doubtful)              what F is shown of a batch
///     say(batch, d, doubtful, out, said)           F of the data's action, [rows, d], and behind it, where `doubtful`,
///                                                  of every candidate, [rows, d] each
///     unsay(batch, d, doubtful, grad_said, grad)   from derivatives by that to those by what F gives
///     next(run, own, batch, d, members)            own.target[k] = F'_k(s', a', z), a' what the policy does there
namespace roars::critic::acts {

/// Rows [state | action | task] one batch below the other: what networks of continuous actions read.
template <class Real>
void append_rows(std::span<const Real> state, std::int64_t states, std::span<const Real> action, std::int64_t actions,
                 std::span<const Real> task, std::int64_t tasks, std::vector<Real>& rows) {
    const std::int64_t count = tasks > 0 ? std::ssize(task) / tasks : 0;
    rows.reserve(rows.size() + state.size() + action.size() + task.size());
    for (std::int64_t i = 0; i < count; ++i) {
        auto put = [&](std::span<const Real> from, std::int64_t width) {
            rows.insert(rows.end(), from.begin() + i * width, from.begin() + (i + 1) * width);
        };
        put(state, states), put(action, actions), put(task, tasks);
    }
}

/// A number of actions, of all of which F speaks at once. The target's action is SoftChoice of min_k F'_k^T z.
/// Candidates are all actions. Shapes: token (the action) [rows].
struct Finite {
    std::int64_t count = 2;
    SoftChoice choice{};

    using needs = columns<col::token>;
    using gives = columns<>;
    template <class BatchType>
    std::int64_t beside(const BatchType&) const {
        return 0;
    }
    std::int64_t outputs(std::int64_t d) const { return count * d; }
    std::int64_t candidates() const { return count; }

    template <class RunType, class Own, class BatchType>
    auto rows(RunType&, Own& own, const BatchType& batch, bool) const {
        check(batch);
        return join(own, batch, batch[col::state{}]);
    }
    template <class BatchType, class Real>
    void say(const BatchType& batch, std::int64_t d, bool doubtful, std::span<const Real> out,
             std::vector<Real>& said) const {
        said.resize(static_cast<std::size_t>(batch.tokens() * d * (doubtful ? 1 + count : 1)));
        each(batch, doubtful, [&](std::int64_t here, std::int64_t there) {
            std::copy_n(out.begin() + here * d, d, said.begin() + there * d);
        });
    }
    template <class BatchType, class Real>
    void unsay(const BatchType& batch, std::int64_t d, bool doubtful, std::span<const Real> grad_said,
               std::vector<Real>& grad) const {
        grad.assign(static_cast<std::size_t>(batch.tokens() * count * d), Real(0));
        each(batch, doubtful, [&](std::int64_t here, std::int64_t there) {
            for (std::int64_t j = 0; j < d; ++j)
                grad[static_cast<std::size_t>(here * d + j)] += grad_said[static_cast<std::size_t>(there * d + j)];
        });
    }
    template <class RunType, class Own, class BatchType>
    void next(RunType&, Own& own, const BatchType& batch, std::int64_t d, std::int64_t members) const {
        using Real = typename BatchType::Real;
        auto joined = join(own, batch, batch[col::next_state{}]);
        for (std::int64_t k = 0; k < members; ++k) {
            auto said = own.forward.forward_target(k, joined);
            own.said[static_cast<std::size_t>(k)].assign(said.begin(), said.end());
            own.target[static_cast<std::size_t>(k)].assign(batch[col::task{}].size(), Real(0));
        }
        std::vector<Real> q(static_cast<std::size_t>(count)), share(q.size());
        for (std::int64_t i = 0; i < batch.tokens(); ++i) {
            auto of_actions = of_row(own.said, i, d);
            task_values<Real>(of_actions, Rows<const Real>{batch[col::task{}], d}[i], q);
            choice(std::span<const Real>(q), std::span(share));
            for (std::size_t k = 0; k < of_actions.size(); ++k)
                for (std::size_t a = 0; a < share.size(); ++a) {
                    if (share[a] == Real(0)) continue;
                    Real* to = own.target[k].data() + i * d;
                    for (std::int64_t j = 0; j < d; ++j)
                        to[j] += share[a] * of_actions[k][std::int64_t(a)][static_cast<std::size_t>(j)];
                }
        }
    }
    /// F_k of the actions of row i, [actions, d] each.
    template <class Real>
    std::vector<Rows<const Real>> of_row(const std::vector<std::vector<Real>>& all, std::int64_t i,
                                         std::int64_t d) const {
        std::vector<Rows<const Real>> rows;
        const auto width = static_cast<std::size_t>(count * d);
        for (const auto& one : all)
            rows.push_back({std::span(one).subspan(static_cast<std::size_t>(i) * width, width), d});
        return rows;
    }

private:
    template <class BatchType>
    void check(const BatchType& batch) const {
        auto action = batch[col::token{}];
        for (std::size_t i = 0; i < action.size(); ++i)
            expect(action[i] >= 0 && action[i] < count, [&] {
                return "forward-backward model: row " + std::to_string(i) + " has action " + std::to_string(action[i]) +
                       ", expected 0 to " + std::to_string(count - 1);
            });
    }
    template <class Own, class BatchType, class States>
    auto join(Own& own, const BatchType& batch, States states) const {
        using Real = typename BatchType::Real;
        return join_rows<Real>(states, batch.width(col::state{}), batch[col::task{}], batch.width(col::task{}),
                               own.joined);
    }
    /// Calls visit(place in what F gives, place in what is said): the action taken, then every action by itself.
    template <class BatchType, class Visit>
    void each(const BatchType& batch, bool doubtful, Visit&& visit) const {
        const std::int64_t rows = batch.tokens();
        for (std::int64_t i = 0; i < rows; ++i) visit(i * count + batch[col::token{}][static_cast<std::size_t>(i)], i);
        for (std::int64_t a = 0; doubtful && a < count; ++a)
            for (std::int64_t i = 0; i < rows; ++i) visit(i * count + a, (1 + a) * rows + i);
    }
};
ROARS_FIELDS(Finite, count, choice)

/// Actions in [low, high]^width, which F reads between state and task; a policy beside the model climbs min_k F_k^T z.
/// The target's action is next_policy_action with clipped noise. Candidates: `uniform` ones, `policy` of policy_action
/// with that noise, `next_policy` of next_policy_action at the next state, `data` times the row's own. They ask for the
/// policy of this iteration: optimizer.every = 1. Shapes: action, policy_action, next_policy_action [rows, width].
struct Continuous {
    TwinDelayed rule{.sigma = 0.2, .noise_clip = 0.3};
    std::int64_t uniform = 6;
    std::int64_t policy = 2;
    std::int64_t next_policy = 2;
    std::int64_t data = 2;

    using needs = columns<col::action, col::policy_action, col::next_policy_action>;
    using gives = columns<col::q, col::q_gradient>;
    template <class BatchType>
    std::int64_t beside(const BatchType& batch) const {
        return batch.width(col::action{});
    }
    std::int64_t outputs(std::int64_t d) const { return d; }
    std::int64_t candidates() const { return uniform + policy + next_policy + data; }

    template <class RunType, class Own, class BatchType>
    auto rows(RunType& run, Own& own, const BatchType& batch, bool doubtful) const {
        using Real = typename BatchType::Real;
        own.joined.clear();
        auto append = [&](auto states, std::span<const Real> action) { append_to(own, batch, states, action); };
        append(batch[col::state{}], batch[col::action{}]);
        if (doubtful) {
            const Random random = run.random.of(Purpose::resample);
            std::uint32_t which = 1;
            for (std::int64_t m = 0; m < uniform; ++m) {
                own.action.resize(batch[col::action{}].size());
                for (std::size_t i = 0; i < own.action.size(); ++i)
                    own.action[i] = static_cast<Real>(
                        std::lerp(rule.low, rule.high, random.uniform(which << 24, static_cast<std::uint32_t>(i))));
                ++which;
                append(batch[col::state{}], own.action);
            }
            for (std::int64_t m = 0; m < policy; ++m)
                append(batch[col::state{}], smoothed(run, own, batch[col::policy_action{}], ++which));
            for (std::int64_t m = 0; m < next_policy; ++m)
                append(batch[col::next_state{}], smoothed(run, own, batch[col::next_policy_action{}], ++which));
            for (std::int64_t m = 0; m < data; ++m) append(batch[col::state{}], batch[col::action{}]);
        }
        return std::span<const Real>(own.joined);
    }
    template <class BatchType, class Real>
    void say(const BatchType&, std::int64_t, bool, std::span<const Real> out, std::vector<Real>& said) const {
        said.assign(out.begin(), out.end());
    }
    template <class BatchType, class Real>
    void unsay(const BatchType&, std::int64_t, bool, std::span<const Real> grad_said, std::vector<Real>& grad) const {
        grad.assign(grad_said.begin(), grad_said.end());
    }
    template <class RunType, class Own, class BatchType>
    void next(RunType& run, Own& own, const BatchType& batch, std::int64_t, std::int64_t members) const {
        own.joined.clear();
        append_to(own, batch, batch[col::next_state{}], smoothed(run, own, batch[col::next_policy_action{}], 0));
        for (std::int64_t k = 0; k < members; ++k) {
            auto said = own.forward.forward_target(k, own.joined);
            own.target[static_cast<std::size_t>(k)].assign(said.begin(), said.end());
        }
    }
    /// q = min_k F_k(s, policy_action, z)^T z and q_gradient = dq / d policy_action.
    template <class Own, class BatchType>
    void estimate(Own& own, BatchType& batch, std::int64_t d, std::int64_t members) const {
        using Real = typename BatchType::Real;
        const auto& read = std::as_const(batch);
        const std::int64_t states = read.width(col::state{}), width = read.width(col::policy_action{});
        own.joined.clear();
        append_to(own, read, read[col::state{}], read[col::policy_action{}]);
        std::vector<Rows<const Real>> said;
        for (std::int64_t k = 0; k < members; ++k) {
            auto& to = own.said[static_cast<std::size_t>(k)];
            auto out = own.forward.forward(k, own.joined);
            to.assign(out.begin(), out.end());
            said.push_back({to, d});
        }
        const Rows<const Real> task{read[col::task{}], d};
        auto slope = batch[col::q_gradient{}];
        std::fill(slope.begin(), slope.end(), Real(0));
        std::vector<std::size_t> least(static_cast<std::size_t>(batch.tokens()));
        for (std::int64_t i = 0; i < batch.tokens(); ++i) {
            auto [which, value] = ForwardBackward::least_value<Real>(said, task, i);
            least[static_cast<std::size_t>(i)] = which;
            batch[col::q{}][static_cast<std::size_t>(i)] = static_cast<Real>(value);
        }
        own.grad_rows.resize(own.joined.size());
        for (std::int64_t k = 0; k < members; ++k) {
            own.grad.assign(task.values.begin(), task.values.end());
            for (std::size_t c = 0; c < own.grad.size(); ++c)
                if (least[c / static_cast<std::size_t>(d)] != static_cast<std::size_t>(k)) own.grad[c] = Real(0);
            own.forward.backward_inputs(k, own.grad, own.grad_rows);
            const std::int64_t all = states + width + d;
            for (std::int64_t i = 0; i < batch.tokens(); ++i)
                for (std::int64_t j = 0; j < width; ++j)
                    slope[static_cast<std::size_t>(i * width + j)] +=
                        own.grad_rows[static_cast<std::size_t>(i * all + states + j)];
        }
    }

private:
    template <class Own, class BatchType, class States, class Actions>
    static void append_to(Own& own, const BatchType& batch, States states, Actions&& actions) {
        using Real = typename BatchType::Real;
        append_rows<Real>(states, batch.width(col::state{}), actions, batch.width(col::action{}), batch[col::task{}],
                          batch.width(col::task{}), own.joined);
    }
    template <class RunType, class Own, class Real>
    std::span<const Real> smoothed(RunType& run, Own& own, std::span<const Real> policy_action,
                                   std::uint32_t which) const {
        own.action.resize(policy_action.size());
        fill_normal(run.random.of(Purpose::user), 1 + which, std::span<Real>(own.action));
        rule.template smooth<Real>(run.backend, policy_action, own.action, own.action);
        return own.action;
    }
};
ROARS_FIELDS(Continuous, rule, uniform, policy, next_policy, data)

}  // namespace roars::critic::acts

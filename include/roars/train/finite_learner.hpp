#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/critic/soft_planning.hpp"
#include "roars/metrics/policy_evaluation.hpp"
#include "roars/primitives/finite_horizon.hpp"
#include "roars/sampler/widest_gap.hpp"

namespace roars::train {

/// What policies of a finite problem are worth from its first state, exactly.
struct FiniteReturns {
    double played = 0.0;  ///< of the policy that plays the episodes
    double output = 0.0;  ///< of the one that is put out in the end
};

/// A finite problem at work: plays episodes by a plan, shows an expert's, and evaluates exactly. It has no parameters;
/// what it plays is what the algorithm's advantage has planned. Problem: `shape`, `transition`, `reward`, and
/// next(h, s, a, random), as of tasks::Lock; episodes begin in state 0.
template <class Problem>
class FiniteLearner {
public:
    using Real = double;
    using gives = columns<col::state, col::token, col::next_state, col::step_reward, col::mask, col::problem_shape,
                          col::known_reward>;
    using keeps = columns<col::mask>;

    explicit FiniteLearner(const Problem& problem)
        : problem_(&problem),
          uniform_(problem.shape.step_actions(), 1.0 / double(std::max<std::int64_t>(1, problem.shape.actions))) {}

    const Problem& problem() const { return *problem_; }

    /// Episodes so far, saved in the checkpoint.
    struct Position {
        std::int64_t episodes = 0;
    };
    ROARS_MEMBERS(Position, episodes)
    Position position;

    /// `count` episodes of an expert, whose policy is a table [horizon, states, actions].
    void learn_from_demonstrations(std::span<const double> expert, std::int64_t count, RandomStream& random) {
        problem_->shape.check("expert's policy", expert.size(), problem_->shape.step_actions());
        for (std::int64_t i = 0; i < count; ++i) demonstrations_.push_back(episode(expert, random));
    }
    /// All of them.
    template <class BatchType>
    void all_rows(BatchType& batch) const {
        fill(batch, demonstrations_);
    }

    /// From now on it plays what the advantage has planned; before the first plan it does not play.
    template <class RunType, class Advantage, class State>
    void guided_by(RunType&, const Advantage& advantage, State& state) {
        plan_ = &state.plan;
        output_ = [&advantage, &state](backend::Host& backend) { return advantage.output(backend, state); };
    }
    /// `count` episodes; none before the first plan.
    template <class RunType, class BatchType>
    void play(RunType& run, BatchType& batch, std::int64_t count, bool explore) {
        std::vector<Steps> episodes;
        for (std::int64_t i = 0; has_plan() && i < count; ++i, ++position.episodes) {
            RandomStream random{run.random.of(Purpose::environment).at(std::uint32_t(position.episodes))};
            if (!explore) {
                episodes.push_back(episode(plan_->policy, random));
                continue;
            }
            const std::int64_t at = sampler::WidestGap::switch_step(problem_->shape.horizon, random.uniform());
            episodes.push_back(
                episode(sampler::WidestGap::policy(problem_->shape, plan_->q_upper, plan_->q_lower, plan_->policy, at),
                        random));
        }
        fill(batch, episodes);
    }
    template <class RunType, class BatchType>
    void refresh(RunType&, BatchType&) const {}

    /// Before the first plan every action is as likely.
    template <class RunType>
    FiniteReturns evaluate(RunType& run) const {
        if (!has_plan()) return {worth(uniform_), worth(uniform_)};
        return {worth(plan_->policy), worth(output_(run.backend))};
    }
    /// The value of a policy's table [horizon, states, actions].
    double worth(std::span<const double> policy) const {
        return metrics::evaluate_policy(problem_->shape, problem_->transition, problem_->reward, policy, uniform_)
            .value[0];
    }

private:
    struct Steps {
        std::vector<std::int64_t> state, action, next;
    };
    bool has_plan() const { return plan_ != nullptr && !plan_->policy.empty(); }

    Steps episode(std::span<const double> policy, RandomStream& random) const {
        const FiniteHorizon& shape = problem_->shape;
        Steps steps;
        std::int64_t s = 0;
        for (std::int64_t h = 0; h < shape.horizon; ++h) {
            auto row = policy.subspan(shape.at(h, s, 0), static_cast<std::size_t>(shape.actions));
            const std::int64_t a = Problem::draw(row, random.uniform()), to = problem_->next(h, s, a, random);
            steps.state.push_back(s), steps.action.push_back(a), steps.next.push_back(to);
            s = to;
        }
        return steps;
    }
    template <class BatchType>
    void fill(BatchType& batch, const std::vector<Steps>& episodes) const {
        const FiniteHorizon& shape = problem_->shape;
        std::vector<std::int64_t> offsets{0};
        for (const Steps& each : episodes) offsets.push_back(offsets.back() + std::ssize(each.state));
        batch.reshape(offsets);
        std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), Real(1));
        auto put = [&]<class Column>(Column column, std::size_t at, double value) {
            if constexpr (BatchType::template has<Column>)
                batch[column][at] = static_cast<value_of<Column, Real>>(value);
        };
        std::size_t at = 0;
        for (const Steps& each : episodes)
            for (std::size_t h = 0; h < each.state.size(); ++h, ++at) {
                put(col::state{}, at, double(each.state[h]));
                put(col::token{}, at, double(each.action[h]));
                put(col::next_state{}, at, double(each.next[h]));
                put(col::step_reward{}, at, problem_->reward[shape.at(std::int64_t(h), each.state[h], each.action[h])]);
            }
        if constexpr (BatchType::template has<col::problem_shape>) {
            batch.set_width(col::problem_shape{}, 3);
            std::size_t k = 0;
            for (std::int64_t size : {shape.horizon, shape.states, shape.actions})
                batch[col::problem_shape{}][k++] = static_cast<std::int32_t>(size);
        }
        if constexpr (BatchType::template has<col::known_reward>) {
            batch.set_width(col::known_reward{}, std::ssize(problem_->reward));
            std::copy(problem_->reward.begin(), problem_->reward.end(), batch[col::known_reward{}].begin());
        }
    }

    const Problem* problem_;
    std::vector<double> uniform_;
    std::vector<Steps> demonstrations_;
    const critic::OptimisticPlan* plan_ = nullptr;
    std::function<std::vector<double>(backend::Host&)> output_;
};

}  // namespace roars::train

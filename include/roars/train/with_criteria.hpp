#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "roars/sampler/scaffold.hpp"
#include "roars/train/tabular_learner.hpp"

namespace roars::train {

/// A table of logits at work on a task with criteria (tasks::ShowsCriteria), some of which it may be shown while it
/// answers: they change what a token is drawn from, logp_behaviour with it, and nothing else. For RuscaRL, arXiv
/// 2508.16949.
template <tasks::TabularTask Task, class Real_ = float, bool value_head = false>
requires tasks::ShowsCriteria<Task>
class WithCriteria : public TabularLearner<Task, Real_, value_head> {
    using Base = TabularLearner<Task, Real_, value_head>;

public:
    using Real = Real_;
    using Base::Base;

    /// `prompts` prompts, group_size answers to each; to the i-th of a group share[i] of its prompt's criteria are
    /// shown, whichever, each time others. Shapes: share [group_size].
    template <class RunType, class BatchType>
    void roll_out_shown(RunType& run, BatchType& batch, std::int64_t prompts, std::int64_t group_size,
                        const Generation& generation, std::span<const double> share) {
        const Task& task = this->task();
        const std::vector<std::int64_t> numbers = this->draw_prompts(run, prompts);
        const Random random = run.random.of(Purpose::resample);
        const auto copies = static_cast<std::size_t>(group_size);
        std::vector<std::vector<char>> shown;
        std::vector<double> key;
        for (std::size_t i = 0; i < numbers.size() * copies; ++i) {
            const std::uint64_t rollout = static_cast<std::uint64_t>(this->position.rollouts) + i;
            key.clear();
            for (std::int64_t c = 0; c < task.criteria(numbers[i / copies]); ++c)
                key.push_back(
                    random.at(std::uint32_t(rollout >> 32)).uniform(std::uint32_t(rollout), std::uint32_t(c)));
            shown.push_back(sampler::scaffold::chosen(share[i % copies], key));
        }
        auto answers = this->generate(
            run, this->policy(), run.random.of(Purpose::sample), static_cast<std::uint64_t>(this->position.rollouts),
            numbers, group_size, generation, {}, [&](std::size_t i, std::int64_t state, std::span<Real> logits) {
                task.show(numbers[i / copies], state, std::span<const char>(shown[i]), logits);
            });
        this->enter(run, batch, numbers, group_size, answers, generation);
    }
};

}  // namespace roars::train

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/sampler/continuation.hpp"
#include "roars/train/tabular_learner.hpp"

namespace roars::train {

/// A table of logits that goes on from any place of what it has rolled out: sampler/continuation.hpp. Of a continuation
/// only what lies behind its given tokens counts as spent. Says of each rollout where it branched from.
template <tasks::TabularTask Task, class Real_ = float, bool value_head = false>
class WithContinuations : public TabularLearner<Task, Real_, value_head> {
    using Base = TabularLearner<Task, Real_, value_head>;
    using typename Base::Answer;
    static constexpr bool has_hints = requires(const Task& task) {
        task.hint_tokens();
        task.hint_offsets();
    };

public:
    using Real = Real_;
    using gives = unite_t<typename Base::gives, columns<col::branch_parent, col::branch_token>>;
    using Base::Base;

    /// How many tokens there are: the largest entropy is the logarithm of that.
    double vocabulary() const { return double(this->task().actions()); }

    /// The pool of hints that the task has.
    std::span<const std::int32_t> hint_tokens() const requires has_hints { return this->task().hint_tokens(); }
    std::span<const std::int64_t> hint_offsets() const requires has_hints { return this->task().hint_offsets(); }

    /// As the plain learner's, with what the policy says of it; `prompts` are a number of prompts or themselves.
    template <class RunType, class BatchType, class Prompts>
    void roll_out(RunType& run, BatchType& batch, const Prompts& prompts, std::int64_t group_size,
                  const Generation& generation) {
        Base::roll_out(run, batch, prompts, group_size, generation);
        if constexpr (BatchType::template has<col::branch_parent>)
            std::fill(batch[col::branch_parent{}].begin(), batch[col::branch_parent{}].end(), -1);
        this->refresh(run, batch);
    }

    /// One sequence for each continuation, in no groups. Errors: one that goes on where its answer has ended.
    template <class RunType, class BatchType>
    void go_on(RunType& run, BatchType& batch, const BatchType& from,
               std::span<const sampler::Continuation> continuations, const Generation& generation) {
        std::vector<Answer> answers;
        std::vector<std::int64_t> prompts, states, known;
        for (const sampler::Continuation& each : continuations) {
            prompts.push_back(from[col::prompt{}][static_cast<std::size_t>(each.sequence)]);
            answers.push_back(given(from, each));
            states.push_back(answers.back().state);
            known.push_back(std::ssize(answers.back().actions));
            expect(this->task().row(prompts.back(), states.back()) >= 0, [&] {
                return "continuation of sequence " + std::to_string(each.sequence) + " behind token " +
                       std::to_string(each.tokens) + ": the answer has ended there, expected one that goes on";
            });
        }
        auto drawn =
            this->generate(run, this->policy(), run.random.of(Purpose::sample),
                           static_cast<std::uint64_t>(this->position.rollouts), prompts, 1, generation, states);
        for (std::size_t i = 0; i < answers.size(); ++i) {
            answers[i].actions.insert(answers[i].actions.end(), drawn[i].actions.begin(), drawn[i].actions.end());
            answers[i].logp.insert(answers[i].logp.end(), drawn[i].logp.begin(), drawn[i].logp.end());
            answers[i].state = drawn[i].state;
        }
        this->enter(run, batch, prompts, 1, answers, generation, known);
        for (std::size_t i = 0; i < answers.size(); ++i) {
            const sampler::Continuation& each = continuations[i];
            if constexpr (BatchType::template has<col::branch_parent>)
                batch[col::branch_parent{}][i] = static_cast<std::int32_t>(each.parent);
            if constexpr (BatchType::template has<col::branch_token>)
                batch[col::branch_token{}][i] = static_cast<std::int32_t>(each.parent < 0 ? 0 : each.tokens);
        }
        this->refresh(run, batch);
    }

private:
    /// The tokens that a continuation begins with, and where they lead: copied ones as they were drawn, inserted ones
    /// with what the policy thinks of them.
    template <class BatchType>
    Answer given(const BatchType& from, const sampler::Continuation& each) const {
        const auto sequence = static_cast<std::size_t>(each.sequence);
        const std::int64_t prompt = from[col::prompt{}][sequence];
        const auto first = static_cast<std::size_t>(from.token_offsets()[sequence]);
        Answer answer{{}, {}, this->task().start(prompt)};
        auto take = [&](std::int32_t action, Real logp) {
            answer.actions.push_back(action);
            answer.logp.push_back(logp);
            answer.state = this->task().next(prompt, answer.state, action);
        };
        for (std::size_t t = first; t < first + static_cast<std::size_t>(each.tokens); ++t) {
            Real logp = from[col::logp{}][t];
            if constexpr (BatchType::template has<col::logp_behaviour>) logp = from[col::logp_behaviour{}][t];
            take(from[col::token{}][t], logp);
        }
        for (std::int32_t action : each.inserted)
            take(action, this->policy().log_probability(this->task().row(prompt, answer.state), action));
        return answer;
    }
};

}  // namespace roars::train

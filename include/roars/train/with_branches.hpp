#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "roars/sampler/branches.hpp"
#include "roars/train/tabular_learner.hpp"

namespace roars::train {

/// A table of logits that can begin in the midst of an answer: completions of states within solutions, their first
/// steps as candidates, and a critic that counts. For direct advantage policy optimization (arXiv 2412.18279), whose
/// data set is drawn once from the reference policy and kept until the reference changes:
///     V(prompt, state) = (successes + 1/2) / (completions + 1) of the answers and completions that went through it.
/// counted over all prompts together where the task says that a state is worth the same to each (states_are_shared). An
/// answer of the batch is the whole walk from its prompt; what lies before the state has mask 0. Beside the columns
/// of the plain learner: next_value, terminated, at the last token. The data set is not in the checkpoint.
template <tasks::TabularTask Task, class Real_ = float>
class WithBranches : public TabularLearner<Task, Real_> {
    using Base = TabularLearner<Task, Real_>;

public:
    using Real = Real_;
    using gives = unite_t<typename Base::gives, columns<col::next_value, col::terminated>>;
    using Base::Base;

    /// The policy is the next reference: another data set is drawn when it is asked for.
    void set_reference() {
        Base::set_reference();
        branches_.clear();
        tally_.clear();
    }

    /// What the data sets have cost, in answers of full length: a completion of a walk of n tokens that begins behind
    /// token t costs (n - t) / n.
    double spent() const { return spent_; }

    /// The critic's estimate; 1/2 where none went through.
    double value(std::int64_t prompt, std::int64_t state) const {
        auto found = tally_.find(key(prompt, state));
        return found == tally_.end() ? 0.5 : (found->second.successes + 0.5) / (double(found->second.completions) + 1);
    }

    /// `states` states, each with `completions` completions: a group is a state.
    template <class RunType, class BatchType>
    void complete_states(RunType& run, BatchType& batch, std::int64_t states, std::int64_t completions,
                         std::int64_t solutions, std::int64_t kept, const Generation& generation) {
        branch(run, states, completions, solutions, kept, generation);
        fill(batch, completions, [](const Branch& b) { return b.after.size(); });
    }
    /// The same states, of each completion the first step alone.
    template <class RunType, class BatchType>
    void candidate_steps(RunType& run, BatchType& batch, std::int64_t states, std::int64_t completions,
                         std::int64_t solutions, std::int64_t kept, const Generation& generation) {
        branch(run, states, completions, solutions, kept, generation);
        fill(batch, completions, [](const Branch&) { return std::size_t(1); });
    }

private:
    struct Branch {
        std::int64_t prompt;
        std::vector<std::int32_t> before, after;  ///< the walk to the state, and from there to the end
        double outcome;
    };
    struct Place {
        std::int64_t prompt, state;
        std::vector<std::int32_t> before;
    };
    struct Tally {
        double successes = 0;
        std::int64_t completions = 0;
    };

    using Key = std::pair<std::int64_t, std::int64_t>;
    static Key key(std::int64_t prompt, std::int64_t state) {
        if constexpr (requires { requires Task::states_are_shared; })
            return {0, state};
        else
            return {prompt, state};
    }

    /// A completion tells of every state that it goes through.
    void count(std::int64_t prompt, std::int64_t state, std::span<const std::int32_t> actions, double outcome) {
        for (std::int32_t action : actions) {
            Tally& tally = tally_[key(prompt, state)];
            tally.successes += outcome;
            ++tally.completions;
            state = this->task().next(prompt, state, action);
        }
    }

    template <class RunType>
    void branch(RunType& run, std::int64_t states, std::int64_t completions, std::int64_t solutions, std::int64_t kept,
                const Generation& generation) {
        if (!branches_.empty()) return;
        if (!this->reference_) Base::set_reference();
        std::vector<Place> places = prefixes(run, solutions, kept, generation);
        RandomStream order(run.random.of(Purpose::shuffle));
        for (std::size_t i = places.size(); i > 1; --i)
            std::swap(places[i - 1], places[static_cast<std::size_t>(order.below(std::int64_t(i)))]);
        places.resize(std::min(places.size(), static_cast<std::size_t>(states)));
        std::vector<std::int64_t> prompts, from;
        for (const Place& place : places) {
            prompts.push_back(place.prompt);
            from.push_back(place.state);
        }
        auto answers =
            this->generate(run, *this->reference_, run.random.of(Purpose::sample),
                           static_cast<std::uint64_t>(this->position.rollouts), prompts, completions, generation, from);
        RandomStream noise(run.random.of(Purpose::noise));
        for (std::size_t i = 0; i < answers.size(); ++i) {
            const Place& place = places[i / static_cast<std::size_t>(completions)];
            const double outcome = this->task().outcome(place.prompt, answers[i].state, noise);
            count(place.prompt, place.state, answers[i].actions, outcome);
            auto own = double(answers[i].actions.size());
            spent_ += own / (own + double(place.before.size()));
            branches_.push_back({place.prompt, place.before, std::move(answers[i].actions), outcome});
        }
        this->position.rollouts += std::ssize(answers);
    }

    /// Every state on the way of the kept solutions of every prompt.
    template <class RunType>
    std::vector<Place> prefixes(RunType& run, std::int64_t solutions, std::int64_t kept, const Generation& generation) {
        const Task& task = this->task();
        std::vector<std::int64_t> prompts;
        for (std::int64_t prompt = 0; prompt < task.prompts(); ++prompt) prompts.push_back(prompt);
        auto answers =
            this->generate(run, *this->reference_, run.random.of(Purpose::sample),
                           static_cast<std::uint64_t>(this->position.rollouts), prompts, solutions, generation);
        this->position.rollouts += std::ssize(answers);
        spent_ += double(answers.size());
        std::vector<Place> places;
        RandomStream noise(run.random.of(Purpose::environment));
        for (std::int64_t prompt : prompts) {
            auto first = static_cast<std::size_t>(prompt * solutions);
            std::vector<double> outcome;
            for (std::int64_t k = 0; k < solutions; ++k) {
                const auto& answer = answers[first + std::size_t(k)];
                outcome.push_back(task.outcome(prompt, answer.state, noise));
                count(prompt, task.start(prompt), answer.actions, outcome.back());
            }
            for (std::int64_t k : sampler::balanced(std::span<const double>(outcome), kept)) {
                const std::vector<std::int32_t>& actions = answers[first + std::size_t(k)].actions;
                std::int64_t state = task.start(prompt);
                for (std::size_t t = 0; t < actions.size(); ++t) {
                    places.push_back({prompt, state, {actions.begin(), actions.begin() + std::ptrdiff_t(t)}});
                    state = task.next(prompt, state, actions[t]);
                }
            }
        }
        return places;
    }

    /// The batch of all branches, each with as many tokens behind its state as `own` says.
    template <class BatchType, class Own>
    void fill(BatchType& batch, std::int64_t completions, Own&& own) const {
        const Task& task = this->task();
        std::vector<std::int64_t> offsets{0}, groups{0};
        for (std::size_t i = 0; i < branches_.size(); ++i) {
            offsets.push_back(offsets.back() + std::ssize(branches_[i].before) + std::int64_t(own(branches_[i])));
            if ((i + 1) % static_cast<std::size_t>(completions) == 0) groups.push_back(std::int64_t(i) + 1);
        }
        batch = BatchType(offsets, groups);
        for (std::size_t i = 0; i < branches_.size(); ++i) {
            const Branch& branch = branches_[i];
            std::int64_t state = task.start(branch.prompt);
            auto at = static_cast<std::size_t>(offsets[i]);
            auto put = [&](std::int32_t action, Real mask) {
                state = task.next(branch.prompt, state, action);
                batch[col::token{}][at] = action;
                batch[col::mask{}][at++] = mask;
            };
            for (std::int32_t action : branch.before) put(action, Real(0));
            for (std::size_t t = 0; t < own(branch); ++t) put(branch.after[t], Real(1));
            const bool ended = task.row(branch.prompt, state) < 0;
            batch[col::prompt{}][i] = static_cast<std::int32_t>(branch.prompt);
            if constexpr (BatchType::template has<col::outcome>)
                batch[col::outcome{}][i] = ended ? static_cast<Real>(branch.outcome) : Real(0);
            if constexpr (BatchType::template has<col::answer>) batch[col::answer{}][i] = branch.after.front();
            if constexpr (BatchType::template has<col::terminated>)
                batch[col::terminated{}][at - 1] = ended ? Real(1) : Real(0);
            if constexpr (BatchType::template has<col::next_value>)
                batch[col::next_value{}][at - 1] = ended ? Real(0) : static_cast<Real>(value(branch.prompt, state));
        }
    }

    std::vector<Branch> branches_;  ///< state by state
    std::map<Key, Tally> tally_;
    double spent_ = 0;
};

}  // namespace roars::train

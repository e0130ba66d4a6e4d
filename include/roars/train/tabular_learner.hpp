#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "roars/actors/tabular.hpp"
#include "roars/objective_logits.hpp"
#include "roars/primitives/sampling.hpp"
#include "roars/random.hpp"
#include "roars/reward/information_gain.hpp"
#include "roars/tasks/tabular_task.hpp"

namespace roars::train {

struct TabularSettings {
    bool in_turn = true;                 ///< prompts come one after the other, round and round; false: at random
    std::int64_t coverage_samples = 64;  ///< k of pass@k and of the coverage that are reported
    double flipped_pairs = 0.0;          ///< the share of preference pairs that are labelled the wrong way round
};
ROARS_FIELDS(TabularSettings, in_turn, coverage_samples, flipped_pairs)

/// A table of logits at work on a small task: rolls out, demonstrates, fills the columns that an actor brings, turns an
/// objective into gradients, and measures itself exactly. With `value_head` each row has a value too (or another place
/// that the task says), of the state before the token; without, an algorithm that asks for `value` does not compile. A
/// token of the policy begins a turn, to which the observations behind it belong. Real is float where a step rule
/// trains the table; in double, accumulate() gives gradients to check against.
template <tasks::TabularTask Task, class Real_ = float, bool value_head = false>
class TabularLearner {
public:
    using Real = Real_;
    using gives =
        unite_t<columns<col::groups, col::token, col::mask, col::logp, col::logp_old, col::logp_behaviour,
                        col::logp_ref, col::entropy, col::sum_pi_squared, col::external, col::outcome, col::truncated,
                        col::format, col::verifiable, col::answer, col::prompt, col::greedy_outcome, col::chosen,
                        col::mismatched, col::turns, col::turn_owner, col::turn_features>,
                tasks::told_by<Task>, std::conditional_t<value_head, columns<col::value, col::value_old>, columns<>>>;
    /// What it needs in any batch of its own.
    using keeps = columns<col::token, col::mask, col::prompt, col::logp>;

    explicit TabularLearner(const Task& task, const TabularSettings& settings = {})
        : task_(&task),
          settings_(settings),
          policy_(task.rows(), task.actions(), Real(0), value_head, tasks::value_rows(task)) {
        expect(settings.flipped_pairs >= 0 && settings.flipped_pairs <= 1, [&] {
            return "tabular: flipped_pairs " + std::to_string(settings.flipped_pairs) + ", expected a share, 0 to 1";
        });
        std::span<const double> start = task.start_logits();
        std::vector<Real> logits(start.begin(), start.end());
        policy_.set_logits(logits);
    }

    actor::Parameters<Real>& parameters() { return policy_.parameters(); }
    const actor::Parameters<Real>& parameters() const { return policy_.parameters(); }
    actor::Tabular<Real>& policy() { return policy_; }
    const actor::Tabular<Real>& policy() const { return policy_; }
    const Task& task() const { return *task_; }
    std::int64_t prompt_count() const { return task_->prompts(); }

    /// From now on the reference is the policy as it is.
    void set_reference() { reference_.emplace(policy_.snapshot()); }

    /// Rollouts and prompts drawn so far: where the random numbers go on, saved in the checkpoint.
    struct Position {
        std::int64_t prompts = 0;
        std::int64_t rollouts = 0;
        std::int64_t tool_results = 0;  ///< observations behind tokens of the policy, each paid for once
    };
    ROARS_MEMBERS(Position, prompts, rollouts, tool_results)
    Position position;

    /// `prompts` prompts, group_size answers to each, as one batch of groups.
    template <class RunType, class BatchType>
    void roll_out(RunType& run, BatchType& batch, std::int64_t prompts, std::int64_t group_size,
                  const Generation& generation) {
        auto numbers = draw_prompts(run, prompts);
        roll_out(run, batch, std::span<const std::int64_t>(numbers), group_size, generation);
    }
    /// The same for these prompts.
    template <class RunType, class BatchType>
    void roll_out(RunType& run, BatchType& batch, std::span<const std::int64_t> prompts, std::int64_t group_size,
                  const Generation& generation) {
        auto answers = generate(run, policy_, run.random.of(Purpose::sample),
                                static_cast<std::uint64_t>(position.rollouts), prompts, group_size, generation);
        enter(run, batch, prompts, group_size, answers, generation);
    }

    /// Answers to these prompts that go on from the first given[k] tokens of their solutions. That hint is in the
    /// sequence too: external = 1 and mask = 0 where it is not an observation anyway. Errors: a hint that leaves
    /// nothing.
    template <class RunType, class BatchType>
    void complete_solutions(RunType& run, BatchType& batch, std::span<const std::int64_t> prompts,
                            std::span<const std::int64_t> given, std::int64_t completions,
                            const Generation& generation) {
        std::vector<Answer> hints;
        std::vector<std::int64_t> from, known;
        for (std::size_t k = 0; k < prompts.size(); ++k) {
            const std::int64_t whole = solution_length(prompts[k]);
            expect(given[k] >= 0 && given[k] < whole, [&] {
                return "tabular: a hint of " + std::to_string(given[k]) + " of the solution's " +
                       std::to_string(whole) + " tokens, expected 0 or more, and one less at most";
            });
            hints.push_back(solution(prompts[k], given[k]));
            from.push_back(hints.back().state);
            known.insert(known.end(), static_cast<std::size_t>(completions), given[k]);
        }
        auto answers = generate(run, policy_, run.random.of(Purpose::sample),
                                static_cast<std::uint64_t>(position.rollouts), prompts, completions, generation, from);
        for (std::size_t i = 0; i < answers.size(); ++i) {
            const Answer& hint = hints[i / static_cast<std::size_t>(completions)];
            answers[i].actions.insert(answers[i].actions.begin(), hint.actions.begin(), hint.actions.end());
            answers[i].logp.insert(answers[i].logp.begin(), hint.logp.begin(), hint.logp.end());
        }
        enter(run, batch, prompts, completions, answers, generation, known);
        for (std::size_t i = 0; i < answers.size(); ++i) {
            const auto first = static_cast<std::size_t>(batch.token_offsets()[i]);
            auto mask = batch[col::mask{}].subspan(first, static_cast<std::size_t>(known[i]));
            if constexpr (BatchType::template has<col::external>) copy(batch[col::external{}].subspan(first), mask);
            std::fill(mask.begin(), mask.end(), Real(0));
        }
    }
    /// Tokens of the prompt's solution.
    std::int64_t solution_length(std::int64_t prompt) const { return std::ssize(task_->solution(prompt)); }

    /// The numbers of the next prompts.
    template <class RunType>
    std::vector<std::int64_t> draw_prompts(RunType& run, std::int64_t count) {
        RandomStream stream(run.random.of(Purpose::prompt).at(0), static_cast<std::uint64_t>(position.prompts));
        std::vector<std::int64_t> prompts(static_cast<std::size_t>(count));
        for (auto& prompt : prompts) {
            prompt = settings_.in_turn ? position.prompts % task_->prompts() : stream.below(task_->prompts());
            ++position.prompts;
        }
        return prompts;
    }

    /// `count` prompts with a right answer each, which no policy wrote.
    template <class RunType, class BatchType>
    void demonstrate(RunType& run, BatchType& batch, std::int64_t count) {
        auto prompts = draw_prompts(run, count);
        demonstrate(run, batch, std::span<const std::int64_t>(prompts));
    }
    /// The same for these prompts.
    template <class RunType, class BatchType>
    void demonstrate(RunType& run, BatchType& batch, std::span<const std::int64_t> prompts) {
        temperature_ = 1.0;
        std::vector<Answer> answers;
        for (std::int64_t prompt : prompts) answers.push_back(solution(prompt));
        batch = to_batch<BatchType>(prompts, 1, answers);
        if constexpr (BatchType::template has<col::external>)
            std::fill(batch[col::external{}].begin(), batch[col::external{}].end(), Real(1));
        fill_outcomes(run, batch, answers);
    }

    /// Whether what is demonstrated there is right.
    bool has_demonstration(std::int64_t prompt) const { return task_->success(prompt, solution(prompt).state) > 0.5; }

    /// At most `count` pairs of answers of the reference policy that the task judges differently, the better one first.
    /// Where all of a prompt's draws are wrong the solution is the better one; where all are right there is no pair.
    template <class RunType, class BatchType>
    void preference_pairs(RunType& run, BatchType& batch, std::int64_t count) {
        temperature_ = 1.0;
        PreferenceData data = preference_data(run, count);
        batch = to_batch<BatchType>(data.prompts, 2, data.answers);
        fill_preferences(run, batch, data.answers, std::ssize(data.answers));
    }

    /// At most `count` answers of such pairs one by one, each labelled, and behind them the same answers to the prompts
    /// of their neighbours.
    template <class RunType, class BatchType>
    void labelled_answers(RunType& run, BatchType& batch, std::int64_t count) {
        temperature_ = 1.0;
        PreferenceData data = preference_data(run, (count + 1) / 2);
        std::vector<Answer>& answers = data.answers;
        answers.resize(std::min(answers.size(), static_cast<std::size_t>(count)));
        std::vector<std::int64_t> prompts;
        for (std::size_t i = 0; i < answers.size(); ++i) prompts.push_back(data.prompts[i / 2]);
        const std::size_t own = answers.size();
        for (std::size_t i = 0; i < own; ++i) {
            prompts.push_back(data.prompts[(i / 2 + 1) % data.prompts.size()]);
            answers.push_back(answers[i]);
        }
        batch = to_batch<BatchType>(prompts, 1, answers);
        fill_preferences(run, batch, answers, static_cast<std::int64_t>(own));
    }

    /// Fills what the actor says before the update: of the policy and of the reference.
    template <class RunType, class BatchType>
    void refresh(RunType& run, BatchType& batch) {
        find_rows(batch);
        std::vector<Real> log_sum_exp(rows_.size());
        gather(policy_);
        read_logits(run, batch, std::span<const Real>(logits_), policy_.actions(), temperature_,
                    std::span<Real>(log_sum_exp));
        if constexpr (BatchType::template has<col::logp_old>) copy(batch[col::logp_old{}], batch[col::logp{}]);
        read_values(batch);
        if constexpr (BatchType::template has<col::value_old>) copy(batch[col::value_old{}], batch[col::value{}]);
        if constexpr (BatchType::template has<col::logp_ref>) {
            if (!reference_) set_reference();
            log_probabilities(run, batch, *reference_, batch[col::logp_ref{}]);
        }
    }
    /// What another policy of as many rows says of the batch's tokens. Shapes: logp [tokens].
    template <class RunType, class BatchType>
    void log_probabilities(RunType& run, const BatchType& batch, const actor::Tabular<Real>& policy,
                           std::span<Real> logp) {
        find_rows(batch);
        gather(policy);
        std::vector<Real> log_sum_exp(rows_.size());
        std::span<const std::int32_t> token = batch[col::token{}];
        selective_log_softmax(run.backend, std::span<const Real>(logits_), policy_.actions(), token, temperature_,
                              LogSoftmaxColumns<Real>{.logp = logp, .log_sum_exp = log_sum_exp});
    }

    /// Adds d loss / d logits of an algorithm's objective to the gradients, token by token in their order.
    template <class A, class RunType, class BatchType>
    auto accumulate(const A& algorithm, RunType& run, const typename A::State& state, BatchType& batch) {
        find_rows(batch);
        gather(policy_);
        std::vector<Real> log_sum_exp(rows_.size());
        read_logits(run, batch, std::span<const Real>(logits_), policy_.actions(), temperature_,
                    std::span<Real>(log_sum_exp));  // sums of the whole batch may look at logp
        read_values(batch);
        auto totals = algorithm.totals(run, state, batch);
        auto result = objective_from_logits(algorithm, run, state, batch, totals, std::span<Real>(logits_),
                                            policy_.actions(), temperature_);
        const auto actions = static_cast<std::size_t>(policy_.actions());
        std::span<Real> gradients = policy_.parameters().gradients();
        for (std::size_t t = 0; t < rows_.size(); ++t)
            for (std::int64_t row : {rows_[t].own, rows_[t].shared})
                for (std::size_t a = 0; row >= 0 && a < actions; ++a)
                    gradients[static_cast<std::size_t>(row) * actions + a] += logits_[t * actions + a];
        if constexpr (BatchType::template has<col::grad<col::value>>)
            for (std::size_t t = 0; t < rows_.size(); ++t)
                policy_.value_gradients()[static_cast<std::size_t>(rows_[t].value)] +=
                    batch[col::grad<col::value>{}][t];
        return result;
    }

    using Score = tasks::ExactScore;
    /// The mean over all prompts, without sampling.
    template <class RunType>
    Score evaluate(RunType&) const {
        return tasks::mean_exact_score(*task_, policy_.logits(), settings_.coverage_samples);
    }

    void write(Tensors& file) const {
        policy_.parameters().write(file, "policy.");
        if (reference_) reference_->parameters().write(file, "reference.");
    }
    void read(const Tensors& file) {
        policy_.parameters().read(file, "policy.");
        reference_.reset();
        if (!file.contains("reference.logits")) return;
        set_reference();
        reference_->parameters().read(file, "reference.");
    }

protected:
    struct Answer {
        std::vector<std::int32_t> actions;
        std::vector<Real> logp;  ///< as drawn
        std::int64_t state;      ///< where it stands
    };

    struct Unchanged {
        void operator()(std::size_t, std::int64_t, std::span<Real>) const {}
    };

    std::optional<actor::Tabular<Real>> reference_;

    /// The batch of answers that the policy has drawn, and what the task says of them. They are spent, but for the
    /// first known[i] tokens of each.
    template <class RunType, class BatchType>
    void enter(RunType& run, BatchType& batch, std::span<const std::int64_t> prompts, std::int64_t copies,
               const std::vector<Answer>& answers, const Generation& generation,
               std::span<const std::int64_t> known = {}) {
        temperature_ = generation.temperature > 0 ? generation.temperature : 1.0;
        batch = to_batch<BatchType>(prompts, copies, answers);
        fill_outcomes(run, batch, answers);
        position.rollouts += std::ssize(answers);
        for (std::size_t i = 0; i < answers.size(); ++i) {
            const std::int64_t first = batch.token_offsets()[i], paid = first + (known.empty() ? 0 : known[i]);
            for (std::int64_t t = std::max(first + 1, paid); t < batch.token_offsets()[i + 1]; ++t) {
                auto own = [&](std::int64_t at) { return batch[col::mask{}][static_cast<std::size_t>(at)] != 0; };
                if (own(t - 1) && !own(t)) ++position.tool_results;
            }
        }
    }

    /// Answers of a policy, one token of every living one at a time; number u of (first_rollout + i, token) chooses it.
    /// Each begins where its prompt does, or in the state that `from` has for the prompt. change(i, state, logits) may
    /// change what answer i draws its next token from: a context that it is not learnt in.
    template <class RunType, class Change = Unchanged>
    std::vector<Answer> generate(RunType& run, const actor::Tabular<Real>& policy, const Random& random,
                                 std::uint64_t first_rollout, std::span<const std::int64_t> prompts,
                                 std::int64_t copies, const Generation& generation,
                                 std::span<const std::int64_t> from = {}, const Change& change = {}) {
        std::vector<Answer> answers(prompts.size() * static_cast<std::size_t>(copies));
        std::vector<std::size_t> living(answers.size());
        for (std::size_t i = 0; i < answers.size(); ++i) {
            living[i] = i;
            const std::size_t k = i / static_cast<std::size_t>(copies);
            answers[i].state = from.empty() ? task_->start(prompts[k]) : from[k];
        }
        std::vector<double> u;
        std::vector<Sampled> drawn;
        for (std::uint32_t t = 0; !living.empty(); ++t) {
            rows_.clear();
            u.clear();
            for (std::size_t i : living) {
                std::uint64_t rollout = first_rollout + i;
                u.push_back(random.at(std::uint32_t(rollout >> 32)).uniform(std::uint32_t(rollout), t));
                rows_.push_back(rows_in(prompts[i / static_cast<std::size_t>(copies)], answers[i].state));
            }
            gather(policy);
            const auto actions = static_cast<std::size_t>(policy.actions());
            for (std::size_t k = 0; k < living.size(); ++k)
                change(living[k], answers[living[k]].state, std::span(logits_).subspan(k * actions, actions));
            drawn.resize(living.size());
            sample_rows(run.backend, std::span<const Real>(logits_), policy.actions(), generation,
                        std::span<const double>(u), std::span<Sampled>(drawn));
            std::size_t left = 0;
            for (std::size_t k = 0; k < living.size(); ++k) {
                Answer& answer = answers[living[k]];
                const std::int64_t prompt = prompts[living[k] / static_cast<std::size_t>(copies)];
                answer.actions.push_back(static_cast<std::int32_t>(drawn[k].token));
                answer.logp.push_back(static_cast<Real>(drawn[k].logp));
                answer.state = task_->next(prompt, answer.state, drawn[k].token);
                if (task_->row(prompt, answer.state) >= 0) living[left++] = living[k];
            }
            living.resize(left);
        }
        return answers;
    }

private:
    /// Prompts, and two answers to each: the better one, the worse one.
    struct PreferenceData {
        std::vector<std::int64_t> prompts;
        std::vector<Answer> answers;
    };
    template <class RunType>
    PreferenceData preference_data(RunType& run, std::int64_t count) {
        if (!reference_) set_reference();
        constexpr std::int64_t draws = 8;  // of a prompt
        const auto first = static_cast<std::uint64_t>(position.prompts * draws);
        auto prompts = draw_prompts(run, count);
        auto answers = generate(run, *reference_, run.random.of(Purpose::environment), first, prompts, draws, {});
        const Random labels = run.random.of(Purpose::label);
        PreferenceData data;
        for (std::size_t k = 0; k < prompts.size(); ++k) {
            auto worth = [&](const Answer& answer) { return task_->success(prompts[k], answer.state); };
            auto begin = answers.begin() + std::ptrdiff_t(k) * draws;
            auto [worst, best] = std::minmax_element(
                begin, begin + draws, [&](const Answer& a, const Answer& b) { return worth(a) < worth(b); });
            Answer better = *best, worse = *worst;
            if (worth(better) == worth(worse)) better = solution(prompts[k]);
            if (!(worth(better) > worth(worse))) continue;
            const std::uint64_t pair = first / draws + k;
            if (labels.at(std::uint32_t(pair >> 32)).uniform(std::uint32_t(pair), 0) < settings_.flipped_pairs)
                std::swap(better, worse);
            data.prompts.push_back(prompts[k]);
            data.answers.push_back(std::move(better));
            data.answers.push_back(std::move(worse));
        }
        return data;
    }
    Answer solution(std::int64_t prompt) const { return solution(prompt, solution_length(prompt)); }
    /// Its first `length` tokens.
    Answer solution(std::int64_t prompt, std::int64_t length) const {
        Answer answer{task_->solution(prompt), {}, task_->start(prompt)};
        answer.actions.resize(static_cast<std::size_t>(length));
        for (std::int32_t action : answer.actions) answer.state = task_->next(prompt, answer.state, action);
        answer.logp.resize(answer.actions.size());
        return answer;
    }
    /// Better and worse answers by turns, of which those from `own` on are put to another prompt.
    template <class RunType, class BatchType>
    void fill_preferences(RunType& run, BatchType& batch, const std::vector<Answer>& answers, std::int64_t own) {
        fill_outcomes(run, batch, answers);
        for (std::size_t i = 0; i < answers.size(); ++i) {
            if constexpr (BatchType::template has<col::chosen>)
                batch[col::chosen{}][i] = i % 2 == 0 ? Real(1) : Real(0);
            if constexpr (BatchType::template has<col::mismatched>)
                batch[col::mismatched{}][i] = std::int64_t(i) < own ? Real(0) : Real(1);
        }
    }

    template <class BatchType>
    BatchType to_batch(std::span<const std::int64_t> prompts, std::int64_t copies, const std::vector<Answer>& answers) {
        std::vector<std::int64_t> offsets{0}, groups{0};
        for (const Answer& answer : answers) offsets.push_back(offsets.back() + std::ssize(answer.actions));
        for (std::size_t g = 0; g < prompts.size(); ++g) groups.push_back(groups.back() + copies);
        BatchType batch(offsets, groups);
        for_each_column(tasks::told_by<Task>{}, [&](auto column) {
            if constexpr (BatchType::template has<decltype(column)>)
                batch.set_width(column, tasks::told_width(*task_, column));
        });
        for (std::size_t i = 0; i < answers.size(); ++i) {
            const Answer& answer = answers[i];
            const std::int64_t prompt = prompts[i / static_cast<std::size_t>(copies)];
            copy(batch[col::token{}].subspan(static_cast<std::size_t>(offsets[i])), answer.actions);
            batch[col::prompt{}][i] = static_cast<std::int32_t>(prompt);
            if constexpr (BatchType::template has<col::logp_behaviour>)
                copy(batch[col::logp_behaviour{}].subspan(static_cast<std::size_t>(offsets[i])), answer.logp);
            if constexpr (BatchType::template has<col::truncated>)
                batch[col::truncated{}][i] = task_->truncated(prompt, answer.state);
            if constexpr (BatchType::template has<col::format>)
                batch[col::format{}][i] = !task_->truncated(prompt, answer.state);
            if constexpr (BatchType::template has<col::verifiable>) batch[col::verifiable{}][i] = 1;
            if constexpr (BatchType::template has<col::answer>)
                batch[col::answer{}][i] = task_->answer(prompt, answer.actions);
        }
        mark_observations(batch);
        return batch;
    }
    /// The mask, and where a turn begins.
    template <class BatchType>
    void mark_observations(BatchType& batch) const {
        std::vector<std::int64_t> turns, owners{0};
        each_token(batch, [&](std::size_t i, std::int64_t state, std::size_t t) {
            const bool own = !tasks::is_observation(*task_, batch[col::prompt{}][i], state);
            batch[col::mask{}][t] = own ? Real(1) : Real(0);
            owners.resize(i + 1, std::ssize(turns));
            if (own || std::int64_t(t) == batch.token_offsets()[i]) turns.push_back(std::int64_t(t));
        });
        owners.resize(static_cast<std::size_t>(batch.sequences()) + 1, std::ssize(turns));
        turns.push_back(batch.tokens());
        if constexpr (BatchType::template has<col::turns>) {
            batch.set_offsets(col::turns{}, turns);
            batch.set_offsets(col::turn_owner{}, owners);
        }
    }

    /// The verdicts and what else the task tells, each with random numbers of its rollout; and what the greedy answers
    /// are worth.
    template <class RunType, class BatchType>
    void fill_outcomes(RunType& run, BatchType& batch, const std::vector<Answer>& answers) {
        const Random random = run.random.of(Purpose::noise);
        for (std::size_t i = 0; i < answers.size(); ++i) {
            const std::int64_t prompt = batch[col::prompt{}][i];
            auto rollout = static_cast<std::uint64_t>(position.rollouts) + i;
            constexpr std::uint64_t apart = 256;  // random numbers that a rollout may take
            RandomStream noise(random.at(0), rollout * apart);
            if constexpr (BatchType::template has<col::outcome>)
                batch[col::outcome{}][i] = static_cast<Real>(task_->outcome(prompt, answers[i].state, noise));
            for_each_column(tasks::told_by<Task>{}, [&](auto column) {
                constexpr bool told = !std::is_same_v<decltype(column), col::confidence>;
                if constexpr (told && BatchType::template has<decltype(column)>) fill_told(batch, column, i, noise);
            });
            if constexpr (BatchType::template has<col::greedy_outcome>)
                batch[col::greedy_outcome{}][i] =
                    static_cast<Real>(tasks::greedy_success(*task_, policy_.logits(), prompt));
        }
        if constexpr (BatchType::template has<col::confidence>) fill_confidence(run, batch);
        if constexpr (BatchType::template has<col::turn_features>) fill_turn_features(batch);
    }
    /// What a table knows of a turn: which of the pairs (row, action) its own token is, [rows x actions].
    template <class BatchType>
    void fill_turn_features(BatchType& batch) const {
        batch.set_width(col::turn_features{}, task_->rows() * task_->actions());
        auto features = batch[col::turn_features{}];
        std::fill(features.begin(), features.end(), Real(0));
        Offsets turns = batch[col::turns{}];
        std::int64_t turn = -1;
        each_token(batch, [&](std::size_t i, std::int64_t state, std::size_t t) {
            if (turns[static_cast<std::size_t>(turn + 1)] == std::int64_t(t)) ++turn;
            if (batch[col::mask{}][t] == 0) return;
            const std::int64_t pair =
                task_->row(batch[col::prompt{}][i], state) * task_->actions() + batch[col::token{}][t];
            batch.row(col::turn_features{}, turn)[static_cast<std::size_t>(pair)] = Real(1);
        });
    }
    /// What the policy that drew the batch thinks of the true answer before every turn.
    template <class RunType, class BatchType>
    void fill_confidence(RunType& run, BatchType& batch) {
        std::vector<std::int64_t> offsets{0};
        std::vector<std::int32_t> actions;
        rows_.clear();
        Offsets turns = batch[col::turns{}];
        each_token(batch, [&](std::size_t i, std::int64_t state, std::size_t t) {
            if (turns[offsets.size() - 1] != std::int64_t(t)) return;
            for (const tasks::ScoredToken& token : task_->true_answer(batch[col::prompt{}][i], state)) {
                rows_.push_back({token.row, token.shared_row, token.row});
                actions.push_back(token.action);
            }
            offsets.push_back(std::ssize(actions));
        });
        gather(policy_);
        std::vector<Real> logp(actions.size()), log_sum_exp(actions.size());
        selective_log_softmax(run.backend, std::span<const Real>(logits_), policy_.actions(),
                              std::span<const std::int32_t>(actions), temperature_,
                              LogSoftmaxColumns<Real>{.logp = logp, .log_sum_exp = log_sum_exp});
        reward::mean_log_probability(run.backend, offsets, std::span<const Real>(logp), batch[col::confidence{}]);
    }
    template <class BatchType, class Column>
    void fill_told(BatchType& batch, Column column, std::size_t i, RandomStream& noise) const {
        static_assert(Column::extent != Extent::group && Column::extent != Extent::batch,
                      "roars: a task tells columns of sequences, turns and tokens");
        const auto first = static_cast<std::size_t>(batch.token_offsets()[i]);
        const auto last = static_cast<std::size_t>(batch.token_offsets()[i + 1]);
        std::span<const std::int32_t> actions = batch[col::token{}].subspan(first, last - first);
        auto count = static_cast<std::size_t>(batch.width(column));
        std::size_t begin = i * count;
        if constexpr (Column::extent == Extent::token) {
            begin = first;
            count = last - first;
        } else if constexpr (Column::extent == Extent::turn) {
            begin = static_cast<std::size_t>(batch[col::turn_owner{}][i]);
            count = static_cast<std::size_t>(batch[col::turn_owner{}][i + 1]) - begin;
        }
        for (std::size_t k = 0; k < count; ++k)
            batch[column][begin + k] = static_cast<value_of<Column, Real>>(
                task_->tell(column, batch[col::prompt{}][i], actions, std::int64_t(k), noise));
    }

    /// visit(sequence, state, token) along every answer: the walk again.
    template <class BatchType, class Visit>
    void each_token(const BatchType& batch, Visit&& visit) const {
        for (std::size_t i = 0; i < static_cast<std::size_t>(batch.sequences()); ++i) {
            const std::int64_t prompt = batch[col::prompt{}][i];
            std::int64_t state = task_->start(prompt);
            for (std::int64_t t = batch.token_offsets()[i]; t < batch.token_offsets()[i + 1]; ++t) {
                visit(i, state, static_cast<std::size_t>(t));
                state = task_->next(prompt, state, batch[col::token{}][static_cast<std::size_t>(t)]);
            }
        }
    }
    /// The row of the table that a token is chosen from, the one that is added to it, -1 for none, and its value's.
    struct Rows {
        std::int64_t own, shared, value;
    };
    Rows rows_in(std::int64_t prompt, std::int64_t state) const {
        return {task_->row(prompt, state), tasks::shared_row(*task_, prompt, state),
                tasks::value_row(*task_, prompt, state)};
    }
    /// Those of every token.
    template <class BatchType>
    void find_rows(const BatchType& batch) {
        rows_.clear();
        each_token(batch, [&](std::size_t i, std::int64_t state, std::size_t) {
            rows_.push_back(rows_in(batch[col::prompt{}][i], state));
        });
    }
    template <class BatchType>
    void read_values(BatchType& batch) const {
        if constexpr (BatchType::template has<col::value>)
            for (std::size_t t = 0; t < rows_.size(); ++t)
                batch[col::value{}][t] = policy_.values()[static_cast<std::size_t>(rows_[t].value)];
    }
    /// logits_ [rows_ x actions]: a copy, which a gradient may overwrite.
    void gather(const actor::Tabular<Real>& policy) {
        logits_.clear();
        for (const Rows& rows : rows_) {
            std::span<const Real> logits = policy.logits(rows.own);
            logits_.insert(logits_.end(), logits.begin(), logits.end());
            if (rows.shared < 0) continue;
            std::span<const Real> shared = policy.logits(rows.shared);
            std::transform(shared.begin(), shared.end(), logits_.end() - std::ssize(shared),
                           logits_.end() - std::ssize(shared), std::plus<Real>{});
        }
    }

    template <class To, class From>
    static void copy(To to, const From& from) {
        std::copy(from.begin(), from.end(), to.begin());
    }

    const Task* task_;
    TabularSettings settings_;
    actor::Tabular<Real> policy_;
    double temperature_ = 1.0;
    std::vector<Rows> rows_;
    std::vector<Real> logits_;
};

}  // namespace roars::train

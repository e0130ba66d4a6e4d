#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "roars/random.hpp"
#include "roars/sampler/stop_sequences.hpp"
#include "roars/train/text_actor.hpp"

namespace roars::train {

/// A task of texts: problems with a prompt, a reference answer and a score for any answer.
template <class T>
concept TextTask = requires(const T& task, std::int64_t index, std::span<const std::int32_t> answer) {
    { task.problem(index).prompt_tokens } -> std::convertible_to<std::span<const std::int32_t>>;
    { task.problem(index).answer_tokens } -> std::convertible_to<std::span<const std::int32_t>>;
    { task.score(index, answer) } -> std::convertible_to<double>;
    { task.correct(index, answer) } -> std::convertible_to<bool>;
    { task.train_count() } -> std::convertible_to<std::int64_t>;
    { task.problem_count() } -> std::convertible_to<std::int64_t>;
};

struct LanguageSettings {
    bool continuous_reward = false;     ///< outcome = the task's score in [0, 1]; false: 1 for a right answer, else 0
    std::int64_t max_new_tokens = 0;    ///< of an answer; 0: as many as the longest reference answer has, and 2 more
    std::int64_t micro_tokens = 16384;  ///< tokens (prompts too) that go through the actor at once
    std::string stop{};                 ///< texts that end an answer as the end symbol does, separated by spaces
};
ROARS_FIELDS(LanguageSettings, continuous_reward, max_new_tokens, micro_tokens, stop)

/// A transformer at work on a task of texts: rolls out, demonstrates, fills the columns that an actor brings, turns an
/// objective into gradients, and measures itself on held-out problems. Only an answer's tokens are in the batch; its
/// prompt is known by number. A sequence of the batch ends with the end symbol, with a stop sequence (learnt from like
/// any other token, and no part of what the task judges), or is truncated. Actor: where the transformer is, and who
/// computes with it (TextActor: the host; gpu::TextActor: a device). All else is the same wherever that is.
template <TextTask Task, bool value_head = false, class Actor = TextActor>
class LanguageLearner {
public:
    using Real = typename Actor::Real;
    using Policy = typename Actor::Policy;
    using gives = unite_t<
        columns<col::groups, col::token, col::mask, col::logp, col::logp_old, col::logp_behaviour, col::logp_ref,
                col::entropy, col::sum_pi_squared, col::external, col::outcome, col::truncated, col::format,
                col::verifiable, col::answer, col::prompt, col::greedy_outcome, col::chosen, col::mismatched>,
        std::conditional_t<value_head, columns<col::value, col::value_old>, columns<>>>;
    /// What it needs in any batch of its own.
    using keeps = columns<col::token, col::mask, col::prompt, col::logp>;

    LanguageLearner(const Task& task, actor::TransformerSettings settings, const LanguageSettings& language,
                    std::uint64_t seed, Actor actor = {})
        : task_(&task),
          language_(language),
          stops_(stop_sequences(task, language.stop)),
          actor_(std::move(actor)),
          policy_(actor_.policy(actor::Transformer<Real>(fitted(settings, task, language), seed))) {
        if (language_.max_new_tokens == 0) language_.max_new_tokens = task.longest_answer() + 2;
    }

    actor::Parameters<Real>& parameters() { return policy_.parameters(); }
    const actor::Parameters<Real>& parameters() const { return policy_.parameters(); }
    Policy& policy() { return policy_; }

    /// From now on the reference is the policy as it is.
    void set_reference() { reference_.emplace(policy_.snapshot()); }

    /// Rollouts and prompts drawn so far: where the random numbers go on, saved in the checkpoint.
    struct Position {
        std::int64_t prompts = 0;
        std::int64_t rollouts = 0;
    };
    ROARS_MEMBERS(Position, prompts, rollouts)
    Position position;

    std::int64_t prompt_count() const { return task_->train_count(); }

    /// `prompts` problems of the training set, group_size answers to each, as one batch of groups.
    template <class RunType, class BatchType>
    void roll_out(RunType& run, BatchType& batch, std::int64_t prompts, std::int64_t group_size,
                  const Generation& generation) {
        auto problems = draw_problems(run, prompts);
        roll_out(run, batch, std::span<const std::int64_t>(problems), group_size, generation);
    }
    /// The same for these problems.
    template <class RunType, class BatchType>
    void roll_out(RunType& run, BatchType& batch, std::span<const std::int64_t> problems, std::int64_t group_size,
                  const Generation& generation) {
        temperature_ = generation.temperature > 0 ? generation.temperature : 1.0;
        auto answers = generate(run.backend, policy_, problems, group_size, generation, run.random.of(Purpose::sample),
                                static_cast<std::uint64_t>(position.rollouts));
        position.rollouts += std::ssize(answers);
        batch = to_batch<BatchType>(problems, group_size, answers);
        if constexpr (BatchType::template has<col::greedy_outcome>) fill_greedy(run, batch, problems, group_size);
    }

    /// `count` training problems with their reference answers, which no policy wrote.
    template <class RunType, class BatchType>
    void demonstrate(RunType& run, BatchType& batch, std::int64_t count) {
        auto problems = draw_problems(run, count);
        demonstrate(run, batch, std::span<const std::int64_t>(problems));
    }
    /// The same for these problems.
    template <class RunType, class BatchType>
    void demonstrate(RunType&, BatchType& batch, std::span<const std::int64_t> problems) {
        temperature_ = 1.0;
        std::vector<Answer> answers;
        for (std::int64_t problem : problems) answers.push_back(reference_answer(problem));
        batch = to_batch<BatchType>(problems, 1, answers);
        if constexpr (BatchType::template has<col::external>)
            std::fill(batch[col::external{}].begin(), batch[col::external{}].end(), Real(1));
    }

    /// Whether what is demonstrated there is right: the task's own answer is.
    bool has_demonstration(std::int64_t) const { return true; }

    /// At most `count` pairs of answers of the reference policy that the task scores differently, the better one first.
    /// Where no draw of a problem is the best the task's own answer is; where all are alike as good there is no pair.
    template <class RunType, class BatchType>
    void preference_pairs(RunType& run, BatchType& batch, std::int64_t count) {
        temperature_ = 1.0;
        PreferenceData data = preference_data(run, count);
        batch = to_batch<BatchType>(data.problems, 2, data.answers);
        fill_preferences(batch, batch.sequences());
    }

    /// At most `count` answers of such pairs one by one, each labelled, and behind them the same answers to the
    /// problems of their neighbours.
    template <class RunType, class BatchType>
    void labelled_answers(RunType& run, BatchType& batch, std::int64_t count) {
        temperature_ = 1.0;
        PreferenceData data = preference_data(run, (count + 1) / 2);
        std::vector<Answer>& answers = data.answers;
        answers.resize(std::min(answers.size(), static_cast<std::size_t>(count)));
        const std::size_t own = answers.size();
        std::vector<std::int64_t> problems;
        for (std::size_t i = 0; i < own; ++i) problems.push_back(data.problems[i / 2]);
        for (std::size_t i = 0; i < own; ++i) {
            problems.push_back(data.problems[(i / 2 + 1) % data.problems.size()]);
            answers.push_back(Answer(answers[i]));
        }
        batch = to_batch<BatchType>(problems, 1, answers);
        fill_preferences(batch, static_cast<std::int64_t>(own));
    }

    /// Fills what the actor says before the update: logp_old and value_old of the policy, logp_ref of the reference.
    template <class RunType, class BatchType>
    void refresh(RunType& run, BatchType& batch) {
        constexpr bool old = BatchType::template has<col::logp_old>, values = BatchType::template has<col::value>,
                       values_old = BatchType::template has<col::value_old>,
                       entropy = BatchType::template has<col::entropy>;
        if constexpr (old || values || entropy)
            read(run, batch, policy_, [&](std::int64_t first, const auto& piece) {
                if constexpr (old) copy_to(batch[col::logp_old{}], first, piece[col::logp{}]);
                if constexpr (values_old) copy_to(batch[col::value_old{}], first, piece[col::value{}]);
                if constexpr (values) copy_to(batch[col::value{}], first, piece[col::value{}]);
                if constexpr (entropy) copy_to(batch[col::entropy{}], first, piece[col::entropy{}]);
            });
        if constexpr (BatchType::template has<col::logp_ref>) {
            if (!reference_) set_reference();
            read(run, batch, *reference_, [&](std::int64_t first, const auto& piece) {
                copy_to(batch[col::logp_ref{}], first, piece[col::logp{}]);
            });
        }
    }

    /// Adds d loss / d parameters of an algorithm's objective to the gradients, a micro-batch at a time; the totals are
    /// those of the whole minibatch, so that the cut changes nothing.
    template <class A, class RunType, class BatchType>
    auto accumulate(const A& algorithm, RunType& run, const typename A::State& state, BatchType& batch) {
        read_for_sums<A>(run, batch);
        auto totals = algorithm.totals(run, state, batch);
        decltype(algorithm.objective(run, state, batch, totals)) sum;
        for_each_piece(batch, [&](std::int64_t, auto piece) {
            sum += actor_.accumulate(algorithm, run, state, piece, totals, policy_, pack(piece), temperature_);
        });
        return sum;
    }

    /// An actor whose parameters are not the host's takes the steps itself: gradients, objective and step rule are
    /// there.
    template <class A>
    requires requires(const A& algorithm, const Actor& actor, Policy& policy) { actor.steps(policy, algorithm); }
    auto steps(const A& algorithm) { return actor_.steps(policy_, algorithm); }
    template <class A, class StepsType, class RunType, class BatchType>
    auto take_step(StepsType& steps, const A&, RunType& run, const typename A::State& state, BatchType& batch) {
        read_for_sums<A>(run, batch);
        auto each_piece = [&](auto&& use) { for_each_piece(batch, [&](std::int64_t, auto piece) { use(piece); }); };
        auto text = [&](const auto& piece) -> const PackedText& { return pack(piece); };
        return steps.take(run, state, policy_, temperature_, each_piece, text);
    }

    struct Score {
        double accuracy = 0;  ///< share of right greedy answers
        double score = 0;     ///< their mean score in [0, 1]
        double length = 0;    ///< their mean length, tokens
    };
    /// Greedy answers to the held-out problems.
    template <class RunType>
    Score evaluate(RunType& run) {
        std::vector<std::int64_t> problems;
        for (std::int64_t i = task_->train_count(); i < task_->problem_count(); ++i) problems.push_back(i);
        Score sum;
        if (problems.empty()) return sum;
        auto answers =
            generate(run.backend, policy_, problems, 1, {.temperature = 0}, run.random.of(Purpose::evaluate), 0);
        for (std::size_t i = 0; i < problems.size(); ++i) {
            sum.accuracy += task_->correct(problems[i], answers[i].judged());
            sum.score += task_->score(problems[i], answers[i].judged());
            sum.length += double(answers[i].tokens.size());
        }
        double n = double(problems.size());
        return {sum.accuracy / n, sum.score / n, sum.length / n};
    }

    void write(Tensors& file) const {
        actor_.write(file, policy_, "policy.");
        if (reference_) actor_.write(file, *reference_, "reference.");
    }
    void read(const Tensors& file) {
        actor_.read(file, policy_, "policy.");
        if (!file.contains("reference.embedding.weight")) return;
        set_reference();
        actor_.read(file, *reference_, "reference.");
    }

private:
    struct Answer {
        std::vector<std::int32_t> tokens;
        std::vector<float> logp;  ///< as drawn
        bool truncated;
        std::size_t stop = 0;  ///< tokens at the end that are a stop sequence

        std::span<const std::int32_t> judged() const { return std::span(tokens).first(tokens.size() - stop); }
    };

    /// Problems, and two answers to each: the better one, the worse one.
    struct PreferenceData {
        std::vector<std::int64_t> problems;
        std::vector<Answer> answers;
    };
    template <class RunType>
    PreferenceData preference_data(RunType& run, std::int64_t count) {
        if (!reference_) set_reference();
        constexpr std::int64_t draws = 8;  // of a problem
        const auto first = static_cast<std::uint64_t>(position.prompts * draws);
        auto problems = draw_problems(run, count);
        auto answers =
            generate(run.backend, *reference_, problems, draws, {}, run.random.of(Purpose::environment), first);
        PreferenceData data;
        for (std::size_t k = 0; k < problems.size(); ++k) {
            auto worth = [&](const Answer& answer) { return task_->score(problems[k], answer.judged()); };
            auto begin = answers.begin() + std::ptrdiff_t(k) * draws;
            auto [worst, best] = std::minmax_element(
                begin, begin + draws, [&](const Answer& a, const Answer& b) { return worth(a) < worth(b); });
            Answer better = *best, worse = *worst;
            if (worth(better) == worth(worse)) better = reference_answer(problems[k]);
            if (!(worth(better) > worth(worse))) continue;
            data.problems.push_back(problems[k]);
            data.answers.push_back(std::move(better));
            data.answers.push_back(std::move(worse));
        }
        return data;
    }
    Answer reference_answer(std::int64_t problem) const {
        std::span<const std::int32_t> tokens = task_->problem(problem).answer_tokens;
        return {{tokens.begin(), tokens.end()}, std::vector<float>(tokens.size()), false, 0};
    }
    /// Better and worse answers by turns, of which those from `own` on are put to another problem.
    template <class BatchType>
    static void fill_preferences(BatchType& batch, std::int64_t own) {
        for (std::int64_t i = 0; i < batch.sequences(); ++i) {
            auto at = static_cast<std::size_t>(i);
            if constexpr (BatchType::template has<col::chosen>)
                batch[col::chosen{}][at] = i % 2 == 0 ? Real(1) : Real(0);
            if constexpr (BatchType::template has<col::mismatched>)
                batch[col::mismatched{}][at] = i < own ? Real(0) : Real(1);
        }
    }

    static actor::TransformerSettings fitted(actor::TransformerSettings settings, const Task& task,
                                             const LanguageSettings& language) {
        settings.vocabulary = task.vocabulary().size();
        settings.value_head = value_head;
        std::int64_t answer = language.max_new_tokens ? language.max_new_tokens : task.longest_answer() + 2;
        settings.max_length = task.longest_prompt() + std::max(answer, task.longest_answer());
        return settings;
    }

    static StopSequences stop_sequences(const Task& task, const std::string& texts) {
        std::vector<std::vector<std::int32_t>> stops;
        std::istringstream words(texts);
        for (std::string word; words >> word;) stops.push_back(task.vocabulary().encode(word));
        return StopSequences(std::move(stops));
    }

    template <class RunType>
    std::vector<std::int64_t> draw_problems(RunType& run, std::int64_t count) {
        expect(task_->train_count() > 0, "the task has no training problems");
        RandomStream stream(run.random.of(Purpose::prompt).at(0), static_cast<std::uint64_t>(position.prompts));
        std::vector<std::int64_t> problems(static_cast<std::size_t>(count));
        for (auto& problem : problems) problem = stream.below(task_->train_count());
        position.prompts = static_cast<std::int64_t>(stream.position);
        return problems;
    }

    std::vector<Answer> generate(backend::Host& backend, Policy& policy, std::span<const std::int64_t> problems,
                                 std::int64_t copies, const Generation& generation, const Random& random,
                                 std::uint64_t first_rollout) {
        std::vector<std::int32_t> prompts;
        std::vector<std::int64_t> offsets{0};
        for (std::int64_t problem : problems) {
            std::span<const std::int32_t> tokens = task_->problem(problem).prompt_tokens;
            prompts.insert(prompts.end(), tokens.begin(), tokens.end());
            offsets.push_back(static_cast<std::int64_t>(prompts.size()));
        }
        std::vector<Answer> answers(problems.size() * static_cast<std::size_t>(copies));
        auto generator = actor_.rollouts(backend, policy);
        generator.begin(prompts, offsets, copies, language_.max_new_tokens);
        std::vector<double> u;
        std::vector<std::int32_t> next, seen;  // what the repetition penalty looks at: the prompt and the answer so far
        std::vector<std::int64_t> seen_offsets;
        for (std::int64_t t = 0; generator.live() > 0; ++t) {
            auto rows = generator.rollouts();
            u.resize(rows.size());
            next.resize(rows.size());
            for (std::size_t i = 0; i < rows.size(); ++i) {
                std::uint64_t rollout = first_rollout + static_cast<std::uint64_t>(rows[i]);
                u[i] = random.at(static_cast<std::uint32_t>(rollout >> 32))
                           .uniform(static_cast<std::uint32_t>(rollout), static_cast<std::uint32_t>(t));
            }
            if (generation.repetition_penalty != 1.0) {
                seen.clear();
                seen_offsets.assign(1, 0);
                for (std::int64_t row : rows) {
                    std::span<const std::int32_t> prompt =
                        task_->problem(problems[std::size_t(row / copies)]).prompt_tokens;
                    const auto& answer = answers[static_cast<std::size_t>(row)].tokens;
                    seen.insert(seen.end(), prompt.begin(), prompt.end());
                    seen.insert(seen.end(), answer.begin(), answer.end());
                    seen_offsets.push_back(std::ssize(seen));
                }
            }
            auto drawn = generator.sample(generation, u, seen_offsets, seen);
            for (std::size_t i = 0; i < rows.size(); ++i) {
                Answer& answer = answers[static_cast<std::size_t>(rows[i])];
                auto token = static_cast<std::int32_t>(drawn[i].token);
                answer.tokens.push_back(token);
                answer.logp.push_back(static_cast<float>(drawn[i].logp));
                answer.stop = stops_.ending(answer.tokens);
                bool ended = token == task_->vocabulary().end || answer.stop > 0;
                answer.truncated = !ended && t + 1 == language_.max_new_tokens;
                next[i] = ended || answer.truncated ? generator.finished : token;
            }
            generator.step(next);
        }
        return answers;
    }

    template <class BatchType>
    BatchType to_batch(std::span<const std::int64_t> problems, std::int64_t copies,
                       const std::vector<Answer>& answers) {
        std::vector<std::int64_t> offsets{0}, groups{0};
        for (const Answer& answer : answers) offsets.push_back(offsets.back() + std::ssize(answer.tokens));
        for (std::size_t g = 0; g < problems.size(); ++g) groups.push_back(groups.back() + copies);
        BatchType batch(offsets, groups);
        for (std::size_t i = 0; i < answers.size(); ++i) {
            const Answer& answer = answers[i];
            std::int64_t problem = problems[i / static_cast<std::size_t>(copies)];
            copy_to(batch[col::token{}], offsets[i], answer.tokens);
            batch[col::prompt{}][i] = static_cast<std::int32_t>(problem);
            if constexpr (BatchType::template has<col::logp_behaviour>)
                copy_to(batch[col::logp_behaviour{}], offsets[i], answer.logp);
            if constexpr (BatchType::template has<col::truncated>) batch[col::truncated{}][i] = answer.truncated;
            if constexpr (BatchType::template has<col::format>) batch[col::format{}][i] = !answer.truncated;
            if constexpr (BatchType::template has<col::verifiable>) batch[col::verifiable{}][i] = 1;
            if constexpr (BatchType::template has<col::outcome>) batch[col::outcome{}][i] = outcome(problem, answer);
            if constexpr (BatchType::template has<col::answer>) batch[col::answer{}][i] = answer_id(answer);
        }
        std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), Real(1));
        return batch;
    }

    Real outcome(std::int64_t problem, const Answer& answer) const {
        return static_cast<Real>(language_.continuous_reward ? task_->score(problem, answer.judged())
                                                             : double(task_->correct(problem, answer.judged())));
    }
    /// Equal texts, equal numbers; counted through the run.
    std::int32_t answer_id(const Answer& answer) {
        std::vector<std::int32_t> text(answer.judged().begin(), answer.judged().end());
        return answer_ids_.try_emplace(std::move(text), static_cast<std::int32_t>(answer_ids_.size())).first->second;
    }

    template <class RunType, class BatchType>
    void fill_greedy(RunType& run, BatchType& batch, std::span<const std::int64_t> problems, std::int64_t copies) {
        auto greedy =
            generate(run.backend, policy_, problems, 1, {.temperature = 0}, run.random.of(Purpose::sample), 0);
        for (std::size_t i = 0; i < static_cast<std::size_t>(batch.sequences()); ++i) {
            std::size_t g = i / static_cast<std::size_t>(copies);
            batch[col::greedy_outcome{}][i] = outcome(problems[g], greedy[g]);
        }
    }

    template <class To, class From>
    static void copy_to(To to, std::int64_t first, const From& from) {
        std::copy(from.begin(), from.end(), to.begin() + first);
    }

    /// Calls use(first token, piece) for micro-batches of whole units.
    template <class BatchType, class Use>
    void for_each_piece(const BatchType& batch, Use&& use) const {
        std::int64_t first = 0, tokens = 0, first_token = 0;
        for (std::int64_t unit = 0; unit < batch.units(); ++unit) {
            tokens += unit_tokens(batch, unit);
            bool last = unit + 1 == batch.units();
            if (!last && tokens + unit_tokens(batch, unit + 1) <= language_.micro_tokens) continue;
            auto piece = batch.slice_units(first, unit + 1);
            std::int64_t size = piece.tokens();
            use(first_token, std::move(piece));
            first_token += size;
            first = unit + 1;
            tokens = 0;
        }
    }
    /// Tokens that a unit sends through the actor, prompts included.
    template <class BatchType>
    std::int64_t unit_tokens(const BatchType& batch, std::int64_t unit) const {
        std::int64_t first = unit, last = unit + 1;
        if constexpr (BatchType::template has<col::groups>) {
            first = batch[col::groups{}][static_cast<std::size_t>(unit)];
            last = batch[col::groups{}][static_cast<std::size_t>(unit) + 1];
        }
        std::int64_t tokens = batch.token_offsets()[std::size_t(last)] - batch.token_offsets()[std::size_t(first)];
        for (std::int64_t i = first; i < last; ++i)
            tokens += std::ssize(task_->problem(batch[col::prompt{}][std::size_t(i)]).prompt_tokens);
        return tokens;
    }

    /// Each answer behind its prompt, up to its last token but one; row t of the output predicts token t of the batch.
    template <class BatchType>
    const PackedText& pack(const BatchType& batch) {
        text_.clear();
        for (std::size_t i = 0; i < static_cast<std::size_t>(batch.sequences()); ++i) {
            std::span<const std::int32_t> prompt = task_->problem(batch[col::prompt{}][i]).prompt_tokens;
            std::int64_t begin = batch.token_offsets()[i], end = batch.token_offsets()[i + 1];
            text_.tokens.insert(text_.tokens.end(), prompt.begin(), prompt.end());
            for (std::int64_t t = begin; t < end; ++t) {
                text_.rows.push_back(std::ssize(text_.tokens) - 1);
                if (t + 1 < end) text_.tokens.push_back(batch[col::token{}][std::size_t(t)]);
            }
            text_.offsets.push_back(std::ssize(text_.tokens));
        }
        return text_;
    }

    /// The columns that `policy` says, micro-batch by micro-batch.
    template <class RunType, class BatchType, class Use>
    void read(RunType& run, const BatchType& batch, Policy& policy, Use&& use) {
        for_each_piece(batch, [&](std::int64_t first, auto piece) {
            actor_.read(run, piece, policy, pack(piece), temperature_);
            use(first, piece);
        });
    }
    /// Sums of terms with two phases are of the policy as it is now, over the whole minibatch.
    template <class A, class RunType, class BatchType>
    void read_for_sums([[maybe_unused]] RunType& run, [[maybe_unused]] BatchType& batch) {
        if constexpr (A::OfTerms::have_sums)
            read(run, batch, policy_, [&](std::int64_t first, const auto& piece) {
                copy_to(batch[col::logp{}], first, piece[col::logp{}]);
                if constexpr (BatchType::template has<col::entropy>)
                    copy_to(batch[col::entropy{}], first, piece[col::entropy{}]);
            });
    }

    const Task* task_;
    LanguageSettings language_;
    StopSequences stops_;
    Actor actor_;
    Policy policy_;
    std::optional<Policy> reference_;
    double temperature_ = 1.0;
    std::map<std::vector<std::int32_t>, std::int32_t> answer_ids_;
    PackedText text_;
};

}  // namespace roars::train

#include <algorithm>
#include <functional>
#include <numeric>
#include <span>

#include "roars/methods/actor_critic.hpp"
#include "roars/methods/q_learning.hpp"
#include "roars/methods/raft.hpp"
#include "roars/methods/reinforce.hpp"
#include "roars/methods/reinforce_plus_plus.hpp"
#include "roars/methods/remax.hpp"
#include "roars/methods/rlhf.hpp"
#include "roars/methods/rloo.hpp"
#include "roars/reflect.hpp"
#include "roars/tasks/digit_chain.hpp"
#include "training.hpp"

namespace roars::claims::of_survey_rows {
namespace {

using tasks::DigitChain;

constexpr double flipped = 0.1;  // of all preferences, and of a judge's verdicts
DigitChain sums(std::uint64_t seed, double flipped_verdicts = 0) {
    return DigitChain({.prompts = 128, .digits = 3, .right_logit = 2, .flipped = flipped_verdicts}, seed);
}
constexpr train::TabularSettings preferences{.flipped_pairs = flipped};

/// visit(answer, token, the row that it was chosen from).
template <class BatchType, class Visit>
void walk(const DigitChain& task, const BatchType& batch, Visit&& visit) {
    for (std::size_t i = 0; i < std::size_t(batch.sequences()); ++i) {
        const std::int64_t prompt = batch[col::prompt{}][i];
        std::int64_t state = task.start(prompt);
        for (auto t = std::size_t(batch.token_offsets()[i]); t < std::size_t(batch.token_offsets()[i + 1]); ++t) {
            visit(i, t, task.row(prompt, state));
            state = task.next(prompt, state, batch[col::token{}][t]);
        }
    }
}

/// A table of scores beside the answers of the start policy: the score of an answer is the sum of those of its digits,
/// and stands at its last token.
class ScoreLearner : public train::TabularLearner<DigitChain> {
public:
    using Base = train::TabularLearner<DigitChain>;
    using gives = unite_t<Base::gives, columns<col::value, col::preference>>;

    explicit ScoreLearner(const DigitChain& task) : Base(task, preferences) {
        set_reference();
        policy().set_logits(std::vector<float>(std::size_t(task.rows() * task.actions())));
    }

    template <class RunType, class BatchType>
    void preference_pairs(RunType& run, BatchType& batch, std::int64_t count) {
        Base::preference_pairs(run, batch, count);
        if constexpr (BatchType::template has<col::preference>)  // a judge that knows how often it errs
            std::fill(batch[col::preference{}].begin(), batch[col::preference{}].end(), float(1 - flipped));
    }
    template <class RunType, class BatchType>
    void refresh(RunType&, BatchType& batch) {
        std::fill(batch[col::value{}].begin(), batch[col::value{}].end(), 0.0f);
        walk(task(), batch, [&](std::size_t i, std::size_t t, std::int64_t row) {
            batch[col::value{}][last_of(batch, i)] += policy().logits(row)[std::size_t(batch[col::token{}][t])];
        });
    }
    template <class A, class RunType, class BatchType>
    auto accumulate(const A& method, RunType& run, const typename A::State& state, BatchType& batch) {
        refresh(run, batch);
        auto result = method.objective(run, state, batch, method.totals(run, state, batch));
        std::span<float> gradients = parameters().gradients();
        walk(task(), batch, [&](std::size_t i, std::size_t t, std::int64_t row) {
            gradients[std::size_t(row * task().actions() + batch[col::token{}][t])] +=
                batch[col::grad<col::value>{}][last_of(batch, i)];
        });
        return result;
    }

private:
    template <class BatchType>
    static std::size_t last_of(const BatchType& batch, std::size_t i) {
        return std::size_t(batch.token_offsets()[i + 1] - 1);
    }
};

/// A policy whose answers a model scores: as a whole, and every digit as a step.
class ScoredLearner : public train::TabularLearner<DigitChain, float, true> {
public:
    using Base = train::TabularLearner<DigitChain, float, true>;
    using gives = unite_t<Base::gives, columns<col::model_score, col::turns, col::turn_owner, col::turn_outcome>>;
    using Base::Base;
    std::function<double(std::int64_t row, std::int32_t digit)> digit_score;  ///< an answer's score is their sum

    template <class RunType, class BatchType>
    void roll_out(RunType& run, BatchType& batch, std::int64_t prompts, std::int64_t group_size,
                  const Generation& generation) {
        [[maybe_unused]] const std::int64_t first = position.rollouts;
        Base::roll_out(run, batch, prompts, group_size, generation);
        if constexpr (BatchType::template has<col::model_score>) {
            std::vector<std::int64_t> state(std::size_t(batch.sequences()));
            for (std::size_t i = 0; i < state.size(); ++i) state[i] = task().start(batch[col::prompt{}][i]);
            std::fill(batch[col::model_score{}].begin(), batch[col::model_score{}].end(), 0.0f);
            walk(task(), batch, [&](std::size_t i, std::size_t t, std::int64_t row) {
                const std::int32_t digit = batch[col::token{}][t];
                state[i] = task().next(batch[col::prompt{}][i], state[i], digit);
                if (digit_score) batch[col::model_score{}][i] += float(digit_score(row, digit));
            });
            const Random noise = run.random.of(Purpose::user);
            for (std::size_t i = 0; i < state.size() && !digit_score; ++i) {
                RandomStream stream(noise, 256 * std::uint64_t(first + std::int64_t(i)));
                batch[col::model_score{}][i] = float(task().outcome(batch[col::prompt{}][i], state[i], stream));
            }
        }
        if constexpr (BatchType::template has<col::turn_outcome>) {
            std::vector<std::int64_t> turns(std::size_t(batch.tokens()) + 1);
            std::iota(turns.begin(), turns.end(), 0);
            auto owner = batch.token_offsets();
            batch.set_offsets(col::turns{}, turns);
            batch.set_offsets(col::turn_owner{}, std::vector<std::int64_t>(owner.begin(), owner.end()));
            walk(task(), batch, [&](std::size_t, std::size_t t, std::int64_t row) {
                batch[col::turn_outcome{}][t] = task().right(row) == batch[col::token{}][t] ? 1.0f : 0.0f;
            });
        }
    }
};

/// A table of action values, which acts by softmax(q / temperature) and so begins as the start policy. Its environment
/// pays for every right digit: a row does not know whether the digits before it were right.
class ActionValueLearner : public train::TabularLearner<DigitChain> {
public:
    using Base = train::TabularLearner<DigitChain>;
    using gives = unite_t<Base::gives, columns<col::step_reward, col::terminated, col::next_value, col::q>>;
    static constexpr double temperature = 0.02;

    explicit ActionValueLearner(const DigitChain& task) : Base(task) {
        for (float& value : parameters().values()) value *= float(temperature);
    }

    template <class RunType, class BatchType>
    void roll_out(RunType& run, BatchType& batch, std::int64_t prompts, std::int64_t group_size,
                  const Generation& generation) {
        Base::roll_out(run, batch, prompts, group_size, generation);
        walk(task(), batch, [&](std::size_t i, std::size_t t, std::int64_t row) {
            const bool right = task().right(row) == batch[col::token{}][t];
            batch[col::terminated{}][t] = std::int64_t(t) + 1 == batch.token_offsets()[i + 1] ? 1.0f : 0.0f;
            batch[col::step_reward{}][t] = right ? 1.0f / float(task().settings().digits) : 0.0f;
        });
    }
    template <class RunType, class BatchType>
    void refresh(RunType&, BatchType& batch) {
        walk(task(), batch, [&](std::size_t i, std::size_t t, std::int64_t row) {
            auto values = policy().logits(row);
            batch[col::q{}][t] = values[std::size_t(batch[col::token{}][t])];
            if (std::int64_t(t) > batch.token_offsets()[i])
                batch[col::next_value{}][t - 1] = *std::max_element(values.begin(), values.end());
        });
    }
    template <class A, class RunType, class BatchType>
    auto accumulate(const A& method, RunType& run, const typename A::State& state, BatchType& batch) {
        refresh(run, batch);
        auto result = method.objective(run, state, batch, method.totals(run, state, batch));
        std::span<float> gradients = parameters().gradients();
        walk(task(), batch, [&](std::size_t, std::size_t t, std::int64_t row) {
            gradients[std::size_t(row * task().actions() + batch[col::token{}][t])] += batch[col::grad<col::q>{}][t];
        });
        return result;
    }
};

/// A table of 100 rows and 256 answers, or 128 pairs, an update.
template <class Method>
Method for_sums(Method method, const Trial& trial) {
    set_everywhere(method, ".learning_rate", 0.05 * trial.rate);
    set_everywhere(method, ".weight_decay", 0);
    set_everywhere(method, ".minibatches", 1);
    if constexpr (requires { method.sampler.group_size; }) {
        const bool groups = method.sampler.group_size > 1;
        method.sampler.prompts = groups ? 32 : 256;
        method.sampler.group_size = groups ? 8 : 1;
    }
    set_everywhere(method, "sampler.pairs", 128);
    set_everywhere(method, "sampler.answers", 128);
    return method;
}

Numbers measured(const DigitChain& task, std::span<const float> logits, std::int64_t rollouts) {
    return {{"success", tasks::mean_exact_score(task, logits).success},
            {"KL", tasks::mean_exact_divergence(task, logits, task.start_logits())},
            {"rollouts", double(rollouts)}};
}
template <class Method, class Learner>
void train_only(const Method& method, Learner& learner, const Trial& trial) {
    train(for_sums(method, trial), learner, trial, [](std::int64_t, const auto&) {});
}

template <class Method>
Arm row(std::string name, const Method& method) {
    return {std::move(name), [=](const Trial& trial) {
                const DigitChain task = sums(trial.seed);
                train::TabularLearner<DigitChain, float, contains_v<col::value, typename Method::Inputs>> learner(
                    task, preferences);
                train_only(method, learner, trial);
                return measured(task, learner.policy().logits(), learner.position.rollouts);
            }};
}

Arm start_policy() {
    return {"reference", [](const Trial& trial) {
                const DigitChain task = sums(trial.seed);
                train::TabularLearner<DigitChain> learner(task);
                return measured(task, learner.policy().logits(), 0);
            }};
}
Arm q_learning() {
    return {"Q-learning", [](const Trial& trial) {
                const DigitChain task = sums(trial.seed);
                ActionValueLearner learner(task);
                auto method = methods::deep_q;
                method.sampler.base = {
                    .prompts = 32, .group_size = 1, .generation = {.temperature = ActionValueLearner::temperature}};
                method.sampler.replayed = 224;
                method.advantage.gamma = 1;
                Trial in_values = trial;  // values lie between 0 and 1
                in_values.rate *= 0.1;
                train_only(method, learner, in_values);
                auto values = learner.policy().logits();
                std::vector<float> logits(values.begin(), values.end());
                for (float& logit : logits) logit /= float(ActionValueLearner::temperature);
                return measured(task, logits, learner.position.rollouts);
            }};
}
/// A reward model of pairs first, by as many updates; then the policy by its score.
template <class Model>
Arm by_reward_model(std::string name, const Model& reward_model) {
    return {std::move(name), [=](const Trial& trial) {
                const DigitChain task = sums(trial.seed);
                ScoreLearner model(task);
                train_only(reward_model, model, trial);
                ScoredLearner learner(task);
                learner.digit_score = [&](std::int64_t row, std::int32_t digit) {
                    return double(model.policy().logits(row)[std::size_t(digit)]);
                };
                train_only(methods::rlhf, learner, trial);
                return measured(task, learner.policy().logits(), learner.position.rollouts);
            }};
}
/// A tenth of the updates on revised answers, then the policy by the verdicts of a judge that errs.
Arm constitutional() {
    return {"Constitutional AI", [](const Trial& trial) {
                const DigitChain task = sums(trial.seed, flipped);
                ScoredLearner learner(task);
                Trial revision = trial, rest = trial;
                revision.updates = std::max<std::int64_t>(1, trial.updates / 10);
                rest.updates = std::max<std::int64_t>(1, trial.updates - revision.updates);
                train_only(methods::constitutional_revision, learner, revision);
                train_only(methods::constitutional, learner, rest);
                return measured(task, learner.policy().logits(), learner.position.rollouts);
            }};
}
Arm process_guided() {
    return {"process rewards", [](const Trial& trial) {
                const DigitChain task = sums(trial.seed);
                ScoredLearner learner(task);
                train_only(methods::process_guided, learner, trial);
                return measured(task, learner.policy().logits(), learner.position.rollouts);
            }};
}

}  // namespace

/// Every row of the survey's table on one task.
void add(std::vector<Experiment>& all) {
    Experiment rows{
        .name = "survey-rows",
        .paper = "2507.04136, survey",
        .page = "llm-rl-survey",
        .setup =
            "Sums of two numbers of three digits, digit by digit modulo 10, right at 0.09 by the reference. "
            "A verifier, 256 answers an update; or 128 preferences of the reference's answers an update, "
            "of which 10 % are the wrong way round; a judge errs in 10 %. Settings as registered, Adam "
            "0.05 (Q-learning 0.005, acting by softmax(q / 0.02) and paid for every digit), 100 updates. KL is that "
            "from the reference, of an "
            "answer. No order is claimed.",
        .updates = 100};
    rows.arms = {start_policy(),
                 row("REINFORCE", methods::reinforce),
                 row("REINFORCE++", methods::reinforce_plus_plus),
                 row("RLOO", methods::rloo),
                 row("ReMax", methods::remax),
                 row("A2C", methods::actor_critic),
                 row("PPO", methods::ppo),
                 q_learning(),
                 row("GRPO", methods::grpo),
                 by_reward_model("RLHF", methods::reward_model),
                 by_reward_model("RLAIF", methods::judged_reward_model),
                 constitutional(),
                 row("RLVR", methods::rlvr),
                 process_guided(),
                 row("DPO", methods::dpo),
                 row("IPO", methods::ipo),
                 row("SLiC", methods::slic),
                 row("KTO", methods::kto),
                 row("SimPO", methods::simpo),
                 row("CPO", methods::cpo),
                 row("ORPO", methods::orpo),
                 row("RAFT", methods::raft),
                 row("ReST", methods::rest),
                 row("online DPO", methods::online_dpo)};
    for (std::size_t k = 1; k < rows.arms.size(); ++k)
        rows.claims.push_back({.says = rows.arms[k].name + " raises the expected reward",
                               .method = rows.arms[k].name,
                               .baseline = "reference",
                               .number = "success",
                               .expected = Expected::higher,
                               .least = 0,
                               .beside = "KL"});
    all.push_back(std::move(rows));
}

}  // namespace roars::claims::of_survey_rows

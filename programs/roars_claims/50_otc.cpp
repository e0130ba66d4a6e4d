#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "roars/methods/otc.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/tasks/tool_questions.hpp"
#include "training.hpp"

namespace roars::claims::of_otc {
namespace {

using Learner = train::TabularLearner<tasks::ToolQuestions>;
constexpr std::array<const char*, tasks::ToolQuestions::kinds> kinds{"easy", "medium", "hard", "open"};

/// What the paper warns of: the coefficient added to the reward instead of multiplied with it.
template <class Coefficient>
struct Added {
    Coefficient calls{};
    double weight = 0.5;

    using needs = needs_of<Coefficient>;

    template <class RunType, class State, BatchWith<col::reward> BatchType>
    void amend(RunType& run, State& state, BatchType& batch) const {
        auto coefficient = batch;
        std::fill(coefficient[col::reward{}].begin(), coefficient[col::reward{}].end(), typename BatchType::Real(1));
        calls.amend(run, state, coefficient);
        for (std::size_t i = 0; i < batch[col::reward{}].size(); ++i)
            batch[col::reward{}][i] += typename BatchType::Real(weight) * coefficient[col::reward{}][i];
    }
};
template <class Coefficient>
ROARS_FIELDS_OF((Added<Coefficient>), calls, weight)

/// GRPO with this reward. A mean over tokens: one by sequence prefers short right answers by itself.
template <class Reward>
Arm arm(std::string name, Reward reward) {
    using Method = Algorithm<sampler::Groups, Reward, advantage::GroupZScore, regularizer::None,
                             optimizer::PolicyGradient<surrogate::Clip, aggregate::TokenMean, step::AdamW>>;
    const Method method{.sampler = {.prompts = 8, .group_size = 8},
                        .reward = reward,
                        .optimizer = {.surrogate = {.low = 0.2, .high = 0.2}, .step = {.learning_rate = 0.05}}};
    return {std::move(name), [=](const Trial& trial) {
                auto scaled = method;
                scaled.optimizer.step.learning_rate *= trial.rate;
                tasks::ToolQuestions task;
                Learner learner(task, {.in_turn = false});
                Numbers numbers = train_and_measure(scaled, learner, trial, {});
                for (std::int64_t kind = 0; kind < std::ssize(kinds); ++kind)
                    measure(numbers, learner, kind, kind + 1, 64, " of " + std::string(kinds[std::size_t(kind)]));
                // An answer of n tokens has called n - 1 times.
                numbers["calls"] = numbers.at("length") - 1;
                for (const char* kind : kinds)
                    numbers[std::string("calls of ") + kind] = numbers.at(std::string("length of ") + kind) - 1;
                numbers["success of all but open"] =
                    (numbers.at("success of easy") + numbers.at("success of medium") + numbers.at("success of hard")) /
                    3;
                numbers["right answers a call"] = numbers.at("success") / numbers.at("calls");
                return numbers;
            }};
}

/// The calls that each kind needs; it learns nothing.
Arm what_suffices() {
    return {"what suffices", [](const Trial&) {
                return Numbers{{"own reward", 0}, {"calls of easy", 0}, {"calls of medium", 1}, {"calls of hard", 2}};
            }};
}

}  // namespace

/// A model that calls too much learns to call only where it must, if the coefficient is multiplied.
void add(std::vector<Experiment>& all) {
    Claim fewer{.says = "calls fall by 40 % or more",
                .method = "OTC-GRPO",
                .baseline = "GRPO",
                .number = "calls",
                .expected = Expected::lower,
                .least = 0.4,
                .as_share = true};
    Claim as_right = fewer;
    as_right.says = "and the answers stay as right";
    as_right.number = "success";
    as_right.expected = Expected::same;
    as_right.least = 0.02;
    as_right.as_share = false;
    Claim productive = fewer;
    productive.says = "so that a call is worth more";
    productive.number = "right answers a call";
    productive.expected = Expected::higher;
    productive.least = 0;
    Claim easy = as_right;
    easy.says = "an easy question is answered at once";
    easy.baseline = "what suffices";
    easy.number = "calls of easy";
    easy.least = 0.1;
    Claim medium = easy, hard = easy;
    medium.says = "a medium one behind one call";
    medium.number = "calls of medium";
    hard.says = "a hard one behind two";
    hard.number = "calls of hard";
    Claim alone = as_right;
    alone.says = "the coefficient that knows no group ends there too";
    alone.method = "coefficient of OTC-PPO";
    alone.baseline = "OTC-GRPO";
    alone.number = "calls";
    alone.least = 0.1;
    Claim remembered = alone;
    remembered.says = "so does one with a memory";
    remembered.method = "OTC-GRPO, memory";
    Claim loses = as_right;
    loses.says = "added instead of multiplied, the coefficient costs accuracy";
    loses.method = "added";
    loses.baseline = "OTC-GRPO";
    loses.expected = Expected::lower;
    loses.least = 0.05;
    Claim open = loses, others = loses;
    open.says = "on the questions that cannot be answered surely,";
    open.number = "success of open";
    open.least = 0.2;
    others.says = "and on no others";
    others.number = "success of all but open";
    others.expected = Expected::same;
    others.least = 0.02;
    all.push_back(
        {.name = "otc",
         .paper = "2504.14870, OTC",
         .page = "otc",
         .setup = "Questions of four kinds that need 0, 1, 2 and as many tool calls as may be (4); a policy "
                  "that calls with odds of e^1.5 at first. 8 groups of 8, a mean over tokens, Adam 0.05, 300 updates.",
         .updates = 300,
         .rates = eight_rates,
         .tuned_by = "own reward",
         .arms = {arm("GRPO", reward::Verified{}), arm("OTC-GRPO", methods::otc_grpo.reward),
                  arm("OTC-GRPO, memory", methods::otc_grpo_memory.reward),
                  arm("coefficient of OTC-PPO", methods::otc_ppo.reward),
                  arm("added", reward::Then<reward::Verified, Added<reward::FewCalls>>{}), what_suffices()},
         .claims = {fewer, as_right, productive, easy, medium, hard, alone, remembered, loses, open, others},
         .seeds = 10});
}

}  // namespace roars::claims::of_otc

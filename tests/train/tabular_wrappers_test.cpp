#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "roars/batch.hpp"
#include "roars/run.hpp"
#include "roars/tasks/bandit_prompts.hpp"
#include "roars/tasks/chain.hpp"
#include "roars/train/tabular_learner.hpp"
#include "roars/train/with_branches.hpp"
#include "roars/train/with_teacher.hpp"

namespace roars::tabular_wrappers_test {
namespace {

TEST(WithTeacher, SaysWhatTheTeacherThinksOfTheStudentsTokens) {
    tasks::BanditPrompts task({.prompts = 3, .answers = 4, .spread = 1}, 1);
    train::WithTeacher<train::TabularLearner<tasks::BanditPrompts, double>> learner(task);
    using Columns = columns<col::groups, col::token, col::mask, col::prompt, col::logp, col::logp_teacher>;
    Batch<double, Columns> batch;
    backend::Host host;
    roars::Run run{host, Random(2)};
    learner.roll_out(run, batch, 3, 5, Generation{});
    EXPECT_THROW(learner.refresh(run, batch), Error);
    actor::Tabular<double> teacher(3, 4);
    for (std::int64_t prompt = 0; prompt < 3; ++prompt)
        for (std::size_t a = 0; a < 4; ++a) teacher.logits(prompt)[a] = double(prompt) * double(a);
    learner.set_teacher(teacher);
    teacher.logits(2)[0] = 100;  // the learner keeps a copy
    learner.refresh(run, batch);
    for (std::size_t i = 0; i < 15; ++i) {
        double p = double(batch[col::prompt{}][i]), sum = 0;
        for (int a = 0; a < 4; ++a) sum += std::exp(p * a);
        EXPECT_NEAR(batch[col::logp_teacher{}][i], p * batch[col::token{}][i] - std::log(sum), 1e-12);
        EXPECT_NEAR(batch[col::logp{}][i],
                    learner.policy().log_probability(batch[col::prompt{}][i], batch[col::token{}][i]), 1e-12);
    }
}

using ChainLearner = train::WithBranches<tasks::Chain>;
using BranchColumns = columns<col::groups, col::token, col::mask, col::prompt, col::logp, col::outcome, col::answer,
                              col::next_value, col::terminated>;

TEST(WithBranches, CompletionsBeginInTheSameStateAndCandidatesAreTheirFirstSteps) {
    tasks::Chain task({.steps = 4, .places = 3, .actions = 3}, 5);
    ChainLearner learner(task);
    backend::Host host;
    roars::Run run{host, Random(3)};
    Batch<float, BranchColumns> whole, steps;
    constexpr std::int64_t states = 10, completions = 6;
    learner.complete_states(run, whole, states, completions, 5, 4, Generation{});
    const double spent = learner.spent();
    learner.candidate_steps(run, steps, states, completions, 5, 4, Generation{});
    EXPECT_EQ(learner.spent(), spent);  // the data set is the same
    ASSERT_EQ(whole.groups(), states);
    ASSERT_EQ(steps.groups(), states);
    double cost = 15;  // solutions: 5 of each of 3 prompts
    for (std::size_t i = 0; i < std::size_t(states * completions); ++i) {
        auto first = std::size_t(whole.token_offsets()[i]), last = std::size_t(whole.token_offsets()[i + 1]);
        auto begin = std::size_t(steps.token_offsets()[i]), end = std::size_t(steps.token_offsets()[i + 1]);
        EXPECT_EQ(last - first, 4U);
        std::size_t before = 0;
        while (whole[col::mask{}][first + before] == 0) ++before;
        ASSERT_EQ(end - begin, before + 1);
        EXPECT_EQ(steps[col::mask{}][end - 1], 1.0f);
        std::int64_t state = task.start(whole[col::prompt{}][i]);
        for (std::size_t t = 0; t < 4; ++t) {
            if (t <= before) EXPECT_EQ(whole[col::token{}][first + t], steps[col::token{}][begin + t]);
            EXPECT_EQ(whole[col::mask{}][first + t], t < before ? 0.0f : 1.0f);
            state = task.next(whole[col::prompt{}][i], state, whole[col::token{}][first + t]);
            if (t != before) continue;
            bool ended = t == 3;
            EXPECT_EQ(steps[col::terminated{}][end - 1], ended ? 1.0f : 0.0f);
            EXPECT_EQ(steps[col::next_value{}][end - 1],
                      ended ? 0.0f : float(learner.value(whole[col::prompt{}][i], state)));
            if (!ended) EXPECT_EQ(steps[col::outcome{}][i], 0.0f);
        }
        EXPECT_EQ(whole[col::outcome{}][i], float(task.success(0, state)));
        EXPECT_EQ(steps[col::answer{}][i], steps[col::token{}][end - 1]);
        cost += double(4 - before) / 4;
    }
    EXPECT_NEAR(spent, cost, 1e-9);
    learner.set_reference();
    EXPECT_EQ(learner.value(0, 0), 0.5);  // nothing is known of another reference
}

/// The count of many completions is near the exact chance of success, state by state.
TEST(WithBranches, TheCriticApproachesTheChanceOfSuccess) {
    tasks::Chain task({.steps = 3, .places = 3, .actions = 2}, 4);
    ChainLearner learner(task);
    backend::Host host;
    roars::Run run{host, Random(7)};
    Batch<float, BranchColumns> batch;
    learner.candidate_steps(run, batch, 2000, 40, 400, 200, Generation{});
    std::vector<double> worth(std::size_t(task.states()));
    for (std::int64_t state = task.states() - 1; state >= 0; --state) {
        if (task.row(0, state) < 0) {
            worth[std::size_t(state)] = task.success(0, state);
        } else {
            for (std::int64_t a = 0; a < 2; ++a)
                worth[std::size_t(state)] += worth[std::size_t(task.next(0, state, a))] / 2;
            if (learner.value(0, state) != 0.5) EXPECT_NEAR(learner.value(0, state), worth[std::size_t(state)], 0.03);
        }
    }
    EXPECT_NE(learner.value(0, task.start(0)), 0.5);
}

}  // namespace
}  // namespace roars::tabular_wrappers_test

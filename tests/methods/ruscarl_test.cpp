#include "roars/methods/ruscarl.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "../limits.hpp"
#include "random_objective.hpp"
#include "roars/metrics/novelty.hpp"
#include "roars/reflect.hpp"
#include "roars/tasks/rubrics.hpp"
#include "roars/train/trainer.hpp"
#include "roars/train/with_criteria.hpp"

namespace roars::ruscarl_test {
namespace {

using namespace sampler::scaffold;
using List = std::vector<double>;
using Shown = std::vector<char>;

TEST(Scaffold, FadesAndIsNeverNotANumber) {
    const Fading fading{};
    EXPECT_NEAR(fading.at({0, 351}), 1.0, 1e-10);
    EXPECT_EQ(fading.at({70, 351}), 0.5) << "at the midpoint";
    EXPECT_NEAR(fading.at({63, 351}), 1 / (1 + std::exp(-2.5)), 1e-12);
    EXPECT_LT(fading.at({350, 351}), 1e-40);
    EXPECT_EQ(fading.at({900, 351}), fading.at({350, 351})) << "behind the end";
    EXPECT_EQ(fading.at({0, 1}), 1.0);
    EXPECT_EQ(fading.at({5, 0}), 1.0);
    for (double steepness : {1e6, 1e300, infinity}) {
        const Fading steep{.steepness = steepness};
        EXPECT_EQ(steep.at({350, 351}), 0.0);
        EXPECT_EQ(steep.at({0, 351}), 1.0);
        EXPECT_EQ(steep.at({70, 351}), 0.5);
    }
}

TEST(Scaffold, TheFirstOfAGroupSeesMostAndOneAloneAsMuch) {
    auto part = methods::ruscarl.sampler;
    part.over_time.steepness = 0;  // half
    part.group_size = 3;
    EXPECT_EQ(part.shares({1, 10}), (List{0.5, 0.25, 0.0}));
    part.group_size = 1;
    EXPECT_EQ(part.shares({1, 10}), (List{0.5})) << "it fades too";
    part.group_size = 0;
    EXPECT_TRUE(part.shares({1, 10}).empty());
    EXPECT_EQ((sampler::ScaffoldedGroups<Lasting, Equal>{.group_size = 2}.shares({1, 10})), (List{1, 1}));
}

TEST(Scaffold, ShowsTheSmallestKeysAndRoundsHalvesToEven) {
    EXPECT_EQ(sampler::scaffold::count(0.25, 10), 2);
    EXPECT_EQ(sampler::scaffold::count(0.75, 2), 2);
    EXPECT_EQ(sampler::scaffold::count(0.25, 2), 0);
    EXPECT_EQ(sampler::scaffold::count(1.0, 7), 7);
    EXPECT_EQ(sampler::scaffold::count(1.0, 0), 0);
    EXPECT_EQ(chosen(0.5, List{0.4, 0.1, 0.3, 0.2}), (Shown{0, 1, 0, 1}));
    EXPECT_EQ(chosen(0.5, List{0.4, 0.1, 0.4, 0.4}), (Shown{1, 1, 0, 0})) << "of equal ones the first";
    EXPECT_EQ(chosen(1.0, List{0.4, 0.1}), (Shown{1, 1}));
    EXPECT_EQ(chosen(0.1, List{0.4, 0.1}), (Shown{0, 0})) << "the bare prompt";
    EXPECT_TRUE(chosen(1.0, List{}).empty());
}

double scored(const List& rubric) {
    Batch<double, columns<col::rubric, col::reward>> batch(std::vector<std::int64_t>{0, 0});
    batch.set_width(col::rubric{}, std::ssize(rubric));
    std::copy(rubric.begin(), rubric.end(), batch[col::rubric{}].begin());
    backend::Host host;
    roars::Run run{host};
    NoState none;
    detail::call_score(methods::ruscarl.reward, run, none, batch);
    return batch[col::reward{}][0];
}
TEST(RubricScore, IsAShareOfThePositivePoints) {
    EXPECT_EQ(scored({3, 1, 5, 0, -4, 0}), 3.0 / 8);
    EXPECT_EQ(scored({3, 0, 5, 0, -4, 1}), -0.5) << "it may be negative";
    EXPECT_EQ(scored({3, 1, 5, 1, -4, 0}), 1.0);
    EXPECT_EQ(scored({-3, 1, 0, 1}), 0.0) << "no positive points";
    EXPECT_EQ(scored({3, 1, 0, 0, 0, 1}), 1.0) << "what has no points is not there";
    EXPECT_EQ(scored({}), 0.0);
}

using Learner = train::WithCriteria<tasks::Rubrics, double>;
using Drawn = Batch<double, columns<col::groups, col::token, col::mask, col::prompt, col::logp, col::logp_old,
                                    col::logp_behaviour, col::rubric>>;

TEST(WithCriteria, WhatIsShownChangesTheDrawAndNothingElse) {
    const tasks::Rubrics task({.prompts = 2, .criteria = 4, .symbols = 5, .start = 0.2, .shown = 60}, 3);
    Learner learner(task);
    backend::Host host;
    roars::Run run{host, Random(4)};
    Drawn batch;
    learner.roll_out_shown(run, batch, 2, 3, Generation{}, List{1.0, 0.5, 0.0});
    learner.refresh(run, batch);
    ASSERT_EQ(batch.groups(), 2);
    ASSERT_EQ(batch.sequences(), 6);
    for (std::size_t i = 0; i < 6; ++i) {
        int sure = 0;
        for (std::size_t c = 0; c < 4; ++c) {
            const std::size_t t = 4 * i + c;
            const bool met = batch[col::rubric{}][8 * i + 2 * c + 1] != 0;
            EXPECT_NEAR(batch[col::logp_old{}][t], std::log(met ? 0.2 : 0.8 / 4), 1e-12) << "the bare prompt";
            EXPECT_EQ(batch[col::mask{}][t], 1.0);
            if (batch[col::logp_behaviour{}][t] > -1e-9) {
                EXPECT_TRUE(met);
                ++sure;
            } else {
                EXPECT_NEAR(batch[col::logp_behaviour{}][t], batch[col::logp_old{}][t], 1e-12);
            }
        }
        EXPECT_EQ(sure, 4 - 2 * int(i % 3)) << i;
    }
}

TEST(WithCriteria, NothingShownIsAPlainRollout) {
    const tasks::Rubrics task({.start = 0.3}, 3);
    Learner bare(task), scaffolded(task);
    backend::Host host;
    roars::Run run{host, Random(4)};
    Drawn one, other;
    for (int round = 0; round < 2; ++round) {
        bare.roll_out(run, one, 3, 2, Generation{});
        scaffolded.roll_out_shown(run, other, 3, 2, Generation{}, List{0, 0});
        EXPECT_TRUE(std::ranges::equal(one[col::token{}], other[col::token{}]));
        EXPECT_TRUE(std::ranges::equal(one[col::logp_behaviour{}], other[col::logp_behaviour{}]));
    }
}

TEST(RuscaRl, TheUpdateDoesNotAskWhatDrewTheTokens) {
    static_assert(!contains_v<col::logp_behaviour, methods::RuscaRl::Columns>);
    static_assert(train::draws_from<methods::RuscaRl, Learner>);
    static_assert(!train::draws_from<methods::RuscaRl, train::TabularLearner<tasks::Rubrics, double>>);
    auto method = methods::ruscarl;
    EXPECT_TRUE(set_setting(method, "sampler.over_time.midpoint", "0.3"));
    EXPECT_EQ(method.sampler.over_time.midpoint, 0.3);
}

TEST(RuscaRl, EqualScoresTeachNothing) {
    Batch<double, columns<col::groups, col::reward, col::advantage, col::mask>> batch(offsets_of({2, 2}),
                                                                                      offsets_of({2}));
    std::fill(batch[col::reward{}].begin(), batch[col::reward{}].end(), -0.3);
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    backend::Host host;
    roars::Run run{host};
    state_of<advantage::GroupZScore> none;
    detail::call_estimate(methods::ruscarl.advantage, run, none, batch);
    for (double each : batch[col::advantage{}]) EXPECT_EQ(each, 0.0);
}

TEST(Novelty, CountsWhatTrainingHasMadeLikelier) {
    auto told = [](const std::vector<std::int64_t>& lengths, const List& before, const List& after) {
        return metrics::novelty(offsets_of(lengths), std::span<const double>(before), std::span<const double>(after));
    };
    auto two = told({2, 1}, {-3, -5, -1}, {-1, -1, -1});
    EXPECT_NEAR(two.ratio[0], std::exp(3.0), 1e-12);
    EXPECT_EQ(two.ratio[1], 1.0);
    EXPECT_NEAR(two.median, (std::exp(3.0) + 1) / 2, 1e-12) << "between the two in the middle";
    EXPECT_EQ(two.mean, two.median);
    EXPECT_EQ(two.above, (std::array<std::int64_t, 3>{1, 1, 0}));
    auto three = told({0, 1, 1}, {0, -std::log(2.0)}, {-9, 0});
    EXPECT_EQ(three.ratio[0], 1.0) << "nothing was said";
    EXPECT_EQ(three.median, 1.0);
    EXPECT_EQ(three.ratio[2], 2.0);
    EXPECT_EQ(three.above[0], 0) << "2 is not above 2";
    EXPECT_TRUE(std::isnan(told({}, {}, {}).median));
    EXPECT_THROW(told({2}, {0}, {0, 0}), Error);
}

/// Behind 40 of 200 batches the policy does without the scaffold what it does not learn without one.
TEST(RuscaRl, LearnsToDoWithoutTheScaffold) {
    const tasks::Rubrics task({}, 1);
    auto trained = [&]<class Method>(Method method) {
        method.sampler.prompts = 8;
        method.sampler.group_size = 8;
        method.optimizer.minibatches = 1;
        method.optimizer.step = step::recipe({.learning_rate = 0.3, .weight_decay = 0});
        using Small = train::WithCriteria<tasks::Rubrics>;
        Small learner(task);
        train::Trainer<Method, Small> trainer(method, learner);
        backend::Host host;
        for (std::uint32_t i = 0; i < 40; ++i) {
            roars::Run run{host, Random(1).at(i), Progress{i, 200}};
            trainer.iterate(run);
        }
        return tasks::mean_exact_score(task, learner.policy().logits()).success;
    };
    const double scaffolded = trained(methods::ruscarl);
    EXPECT_GT(scaffolded, 0.6);
    methods::Scaffolded<Lasting, Equal> all_of_them{.regularizer = methods::ruscarl.regularizer,
                                                    .optimizer = methods::ruscarl.optimizer};
    EXPECT_GT(scaffolded, trained(all_of_them) + 0.1);
}

}  // namespace
}  // namespace roars::ruscarl_test

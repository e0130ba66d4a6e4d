#include "roars/methods/observe_r1.hpp"

#include <limits>
#include <map>
#include <set>

#include "random_objective.hpp"
#include "roars/methods/registry.hpp"
#include "roars/reflect.hpp"
#include "roars/tasks/thought_length.hpp"
#include "roars/train/tabular_learner.hpp"
#include "roars/train/trainer.hpp"

namespace roars::observe_r1_test {
namespace {

using Rewards = Batch<double, columns<col::groups, col::outcome, col::format, col::reward>>;

std::vector<double> rewards(const std::vector<std::int64_t>& lengths, const std::vector<double>& outcome,
                            const std::vector<double>& format, const std::vector<std::int64_t>& groups,
                            double min_length = 100) {
    Rewards batch(offsets_of(lengths), offsets_of(groups));
    std::copy(outcome.begin(), outcome.end(), batch[col::outcome{}].begin());
    std::copy(format.begin(), format.end(), batch[col::format{}].begin());
    auto reward = methods::observe_r1.reward;
    reward.second.min_length = min_length;
    backend::Host host;
    roars::Run run{host};
    state_of<decltype(reward)> state{};
    reward.score(run, state, batch);
    return {batch[col::reward{}].begin(), batch[col::reward{}].end()};
}

TEST(ObserveR1, TheShortestRightAnswerOfAGroupGetsABonus) {
    EXPECT_EQ(rewards({200, 150, 120, 90}, {1, 1, 0, 0}, {1, 0, 1, 0}, {4}), (std::vector<double>{1.5, 1.2, 0.5, 0}));
    EXPECT_EQ(rewards({200, 150, 150}, {1, 1, 1}, {0, 0, 0}, {3}), (std::vector<double>{1, 1.2, 1}))
        << "of equally short ones the first";
    EXPECT_EQ(rewards({200, 150, 120, 160}, {1, 0, 1, 1}, {0, 0, 0, 0}, {2, 2}), (std::vector<double>{1.2, 0, 1.2, 1}))
        << "one in each group";
}
TEST(ObserveR1, NobodyGetsTheBonus) {
    EXPECT_EQ(rewards({200, 150}, {0, 0}, {1, 0}, {2}), (std::vector<double>{0.5, 0})) << "no right answer";
    EXPECT_EQ(rewards({100, 150}, {1, 1}, {0, 0}, {2}), (std::vector<double>{1, 1}))
        << "the shortest right one is too short, and the next gets nothing either";
    EXPECT_EQ(rewards({101, 150}, {1, 1}, {0, 0}, {2}), (std::vector<double>{1.2, 1}));
    EXPECT_TRUE(rewards({}, {}, {}, {0}).empty());
    EXPECT_EQ(rewards({0, 3}, {1, 1}, {0, 0}, {2}, 0), (std::vector<double>{1, 1})) << "an empty answer is too short";
}

using Signals = Batch<double, columns<col::groups, col::mask, col::outcome, col::reward, col::logp_old, col::logp_ref,
                                      col::token_reward, col::advantage>>;

Signals signals(const std::vector<std::int64_t>& lengths, const std::vector<std::int64_t>& groups,
                const std::vector<double>& outcome, const std::vector<double>& reward) {
    Signals batch(offsets_of(lengths), offsets_of(groups));
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    std::copy(outcome.begin(), outcome.end(), batch[col::outcome{}].begin());
    std::copy(reward.begin(), reward.end(), batch[col::reward{}].begin());
    return batch;
}
std::vector<double> estimated(Signals& batch, const methods::ObserveR1& method = methods::observe_r1) {
    backend::Host host;
    roars::Run run{host};
    NoState state;
    method.regularizer.shape(run, batch);
    method.advantage.estimate(run, state, batch);
    return {batch[col::advantage{}].begin(), batch[col::advantage{}].end()};
}
std::vector<double> estimated(Signals&& batch) { return estimated(batch); }

TEST(ObserveR1, UnsureGroupsWeighMost) {
    weight::Uncertainty weight;
    EXPECT_DOUBLE_EQ(weight.of_share(0.5), 1.8);
    EXPECT_DOUBLE_EQ(weight.of_share(0.25), 1.35);
    EXPECT_EQ(weight.of_share(0.0), 0.0);
    EXPECT_EQ(weight.of_share(1.0), 0.0);
    auto half = estimated(signals({1, 2}, {2}, {1, 0}, {1, 0}));
    EXPECT_NEAR(half[0], 1.8 * std::sqrt(0.5), 1e-8);
    EXPECT_NEAR(half[1], -1.8 * std::sqrt(0.5), 1e-8);
    EXPECT_EQ(half[1], half[2]);
}
TEST(ObserveR1, GroupsThatAgreeHaveNoSignal) {
    using Numbers = std::vector<double>;
    EXPECT_EQ(estimated(signals({1, 1, 1}, {3}, {1, 1, 1}, {1.7, 1.5, 1})), (Numbers{0, 0, 0}))
        << "all right, though not paid alike";
    EXPECT_EQ(estimated(signals({1, 1, 1}, {3}, {0, 0, 0}, {0.5, 0, 0})), (Numbers{0, 0, 0})) << "none right";
    EXPECT_EQ(estimated(signals({2}, {1}, {1}, {1.7})), (Numbers{0, 0})) << "a group of one";
    EXPECT_EQ(estimated(signals({1, 1}, {2}, {1, 0}, {0.5, 0.5})), (Numbers{0, 0})) << "equal rewards";
    EXPECT_TRUE(estimated(signals({}, {0, 0}, {}, {})).empty());
}
TEST(ObserveR1, TheShareOfRightAnswersIsNotThatOfTheReward) {
    // Half are right, whatever form and bonus add.
    auto batch = signals({1, 1, 1, 1}, {4}, {1, 1, 0, 0}, {1.7, 1.5, 0.5, 0});
    auto signal = estimated(batch);
    const double mean = 0.925;
    double squares = 0;
    for (double r : batch[col::reward{}]) squares += (r - mean) * (r - mean);
    for (std::size_t i = 0; i < 4; ++i)
        EXPECT_NEAR(signal[i], 1.8 * (batch[col::reward{}][i] - mean) / std::sqrt(squares / 3), 1e-8);
}

RC_GTEST_PROP(ObserveR1, TheReturnOfATokenIsItsGroupsSignalLessTheDivergenceToCome, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    auto below = [&](int n) { return std::uniform_int_distribution<int>(0, n - 1)(random); };
    std::vector<std::int64_t> lengths;
    std::vector<double> outcome, reward;
    for (int i = 0; i < 8; ++i) {
        lengths.push_back(below(5));
        outcome.push_back(below(2));
        reward.push_back(outcome.back() + 0.5 * below(2));
    }
    auto batch = signals(lengths, {4, 4}, outcome, reward);
    for (auto& mask : batch[col::mask{}]) mask = below(4) > 0;
    for (auto& logp : batch[col::logp_old{}]) logp = -1.0 - 0.1 * below(10);
    for (auto& logp : batch[col::logp_ref{}]) logp = -1.0 - 0.1 * below(10);
    for (std::size_t t = 0; t < std::size_t(batch.tokens()); ++t)
        if (batch[col::mask{}][t] == 0) batch[col::logp_ref{}][t] = std::numeric_limits<double>::quiet_NaN();
    auto plain = batch;
    auto method = methods::observe_r1;
    method.regularizer.coefficient = 0;
    const auto of_group = estimated(plain, method);
    method.regularizer.coefficient = 0.25;
    const auto whole = estimated(batch, method);
    for (std::size_t i = 0; i < lengths.size(); ++i) {
        double to_come = 0;
        const auto first = std::size_t(batch.token_offsets()[i]);
        for (auto t = std::size_t(batch.token_offsets()[i + 1]); t-- > first;) {
            if (batch[col::mask{}][t] == 0) {
                RC_ASSERT(whole[t] == 0.0);
                continue;
            }
            to_come += batch[col::logp_old{}][t] - batch[col::logp_ref{}][t];
            RC_ASSERT(std::abs(whole[t] - (of_group[t] - 0.25 * to_come)) < 1e-12);
            RC_ASSERT(std::abs(of_group[t]) <= 1.8 * 3 / 2);  // sigma (G - 1) / sqrt(G)
        }
    }
}

TEST(Ladder, FromEasyToHardAndFromShortToLong) {
    using Order = std::vector<std::int64_t>;
    const std::vector<sampler::Rung> rungs{{0.5, 9}, {0.25, 9}, {0.25, 4}, {1.0, 1}, {0.0, 7}, {0.0, 3}, {0.25, 4}};
    EXPECT_EQ(sampler::ladder(rungs, 0), (Order{5, 4, 2, 6, 1, 0, 3})) << "equal ones keep their order";
    EXPECT_EQ(sampler::ladder(rungs, 5), (Order{4, 2, 6, 1, 0, 3})) << "short and always right: dropped";
    EXPECT_EQ(sampler::ladder(rungs, 7), (Order{4, 2, 6, 1, 0, 3})) << "as long as the least stays";
    EXPECT_EQ(sampler::ladder({}, 5), Order{});
    const std::vector<double> lengths{8, 2};  // one of them was cut, and counts in full
    auto rung = sampler::rung(1, 2, std::span<const double>(lengths));
    EXPECT_EQ(rung.difficulty, 0.5);
    EXPECT_EQ(rung.complexity, 5.0);
    EXPECT_EQ(sampler::rung(0, 0, std::span<const double>()).complexity, 0.0);
}
TEST(Ladder, MixingMovesNeighboursAlone) {
    std::vector<std::int64_t> order(50);
    std::vector<double> uniform(50);
    RandomStream stream{Random(3)};
    for (std::size_t k = 0; k < 50; ++k) order[k] = std::int64_t(k), uniform[k] = stream.uniform();
    EXPECT_EQ(sampler::mixed(order, uniform, 0), order);
    EXPECT_EQ(sampler::mixed(order, uniform, 1), order);
    auto changed = sampler::mixed(order, uniform, 5);
    EXPECT_NE(changed, order);
    for (std::size_t i = 0; i < 50; ++i)
        for (std::size_t j = i + 1; j < 50; ++j) EXPECT_LT(changed[i] - changed[j], 5);
}

/// Prompt p is right in its first p % 3 attempts of every 2, in 1 + p % 2 tokens.
struct Source {
    using BatchType = Batch<double, columns<col::groups, col::outcome, col::prompt>>;
    std::vector<std::int64_t> asked;
    std::int64_t prompt_count() const { return 6; }
    template <class RunType>
    void roll_out(RunType&, BatchType& batch, std::span<const std::int64_t> prompts, std::int64_t size,
                  const Generation&) {
        std::vector<std::int64_t> lengths, groups;
        for (std::int64_t p : prompts) {
            asked.push_back(p);
            groups.push_back(size);
            for (std::int64_t k = 0; k < size; ++k) lengths.push_back(1 + p % 2);
        }
        batch = BatchType(offsets_of(lengths), offsets_of(groups));
        for (std::size_t i = 0; i < lengths.size(); ++i) {
            const std::int64_t p = prompts[i / std::size_t(size)], k = std::int64_t(i) % size;
            batch[col::prompt{}][i] = std::int32_t(p);
            batch[col::outcome{}][i] = k % 2 < p % 3 ? 1.0 : 0.0;
        }
    }
};
TEST(Ladder, IsMeasuredOnceAndClimbedAgainAndAgain) {
    sampler::Ladder part{.prompts = 4, .group_size = 3, .attempts = 2, .min_complexity = 2};
    Source source;
    sampler::LadderPosition state;
    backend::Host host;
    roars::Run run{host};
    Source::BatchType batch;
    int scored = 0;
    auto collect = [&] {
        source.asked.clear();
        part.collect(run, state, source, batch, [&](auto&) { ++scored; });
    };
    collect();
    // Difficulties 1, 1/2, 0, 1, 1/2, 0 and complexities 1, 2, 1, 2, 1, 2: prompt 2 is dropped.
    EXPECT_EQ(state.order, (std::vector<std::int64_t>{5, 4, 1, 0, 3}));
    EXPECT_EQ(source.asked, (std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 5, 4, 1, 0}));
    EXPECT_EQ(state.rollouts, 6 * 2 + 4 * 3);
    EXPECT_EQ(batch.groups(), 4);
    collect();
    EXPECT_EQ(source.asked, (std::vector<std::int64_t>{3, 5, 4, 1})) << "behind the last one it begins again";
    EXPECT_EQ(scored, 2) << "attempts that measure are not scored";
    sampler::LadderPosition of_two;
    part.items = 2;
    part.collect(run, of_two, source, batch, [](auto&) {});
    EXPECT_EQ(of_two.order, (std::vector<std::int64_t>{0, 3})) << "evenly spaced";
}
TEST(Ladder, SaysThatNothingIsLeft) {
    struct Sure : Source {
        std::int64_t prompt_count() const { return 0; }
    } source;
    sampler::LadderPosition state;
    backend::Host host;
    roars::Run run{host};
    Source::BatchType batch;
    EXPECT_THROW(sampler::Ladder{}.collect(run, state, source, batch, [](auto&) {}), Error);
}

TEST(ObserveR1, IsRegisteredWithItsSettings) {
    auto method = methods::registered<methods::ObserveR1>("observe-r1");
    EXPECT_EQ(method.sampler.group_size, 8);
    EXPECT_TRUE(set_setting(method, "sampler.min_complexity", "50"));
    EXPECT_TRUE(set_setting(method, "reward.second.bonus", "0.1"));
    EXPECT_TRUE(set_setting(method, "advantage.weight.sigma", "1"));
    EXPECT_TRUE(set_setting(method, "regularizer.coefficient", "0"));
    EXPECT_EQ(method.sampler.min_complexity, 50);
    EXPECT_EQ(method.advantage.base.weight.sigma, 1);
}

/// Answers become right, and the ladder holds every class, the easiest first.
TEST(ObserveR1, ClimbsAndLearns) {
    tasks::ThoughtLength task({}, 1);
    train::TabularLearner learner(task);
    auto method = methods::observe_r1;
    method.sampler.prompts = 16;
    method.sampler.attempts = 64;
    method.reward.second.min_length = 0;
    method.optimizer.step = step::recipe({.learning_rate = 0.1});
    train::Trainer trainer(method, learner);
    backend::Host host;
    roars::Run start{host};
    const double before = learner.evaluate(start).success;
    for (std::int64_t i = 0; i < 60; ++i) {
        roars::Run run{host, Random(5).at(std::uint32_t(i)), Progress{i, 60}};
        trainer.iterate(run);
    }
    EXPECT_EQ(trainer.state.sampler.order, (std::vector<std::int64_t>{0, 1, 2, 3}));
    EXPECT_LT(before, 0.4);
    EXPECT_GT(learner.evaluate(start).success, 0.9);
}

RC_GTEST_PROP(ObserveR1, LossOfAnyCut, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    expect_any_cut(methods::observe_r1, random_objective<methods::ObserveR1>(random, 4), 1);
    RC_ASSERT(!::testing::Test::HasFailure());
}

}  // namespace
}  // namespace roars::observe_r1_test

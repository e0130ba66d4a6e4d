#include "roars/methods/igpo.hpp"

#include <limits>

#include "any_cut.hpp"
#include "roars/metrics/groups.hpp"
#include "roars/reflect.hpp"
#include "roars/tasks/two_hop.hpp"
#include "roars/train/tabular_learner.hpp"
#include "roars/train/trainer.hpp"

namespace roars::igpo_test {
namespace {

using Values = std::vector<double>;
using Lengths = std::vector<std::int64_t>;
constexpr double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();

/// Turns of one token each.
template <class Set>
Batch<double, Set> with_turns(const Lengths& turns, const Lengths& groups) {
    const auto owner = offsets_of(turns);
    Batch<double, Set> batch(owner, offsets_of(groups));
    batch.set_offsets(col::turns{}, offsets_of(Lengths(static_cast<std::size_t>(owner.back()), 1)));
    batch.set_offsets(col::turn_owner{}, owner);
    return batch;
}

using Scores = Batch<double, columns<col::groups, col::turns, col::turn_owner, col::format, col::outcome,
                                     col::confidence, col::reward, col::turn_reward>>;
template <class Method>
Scores scored(const Method& method, const Lengths& turns, const Values& confidence, const Values& format = {}) {
    Scores batch = with_turns<Scores::Columns>(turns, {std::ssize(turns)});
    std::copy(confidence.begin(), confidence.end(), batch[col::confidence{}].begin());
    std::fill(batch[col::format{}].begin(), batch[col::format{}].end(), 1.0);
    std::copy(format.begin(), format.end(), batch[col::format{}].begin());
    std::fill(batch[col::outcome{}].begin(), batch[col::outcome{}].end(), 0.7);
    backend::Host host;
    roars::Run run{host};
    state_of<typename Method::Reward> state;
    roars::detail::call_score(method.reward, run, state, batch);
    return batch;
}
template <class Method>
Values gains(const Method& method, const Lengths& turns, const Values& confidence) {
    Scores batch = scored(method, turns, confidence);
    return {batch[col::turn_reward{}].begin(), batch[col::turn_reward{}].end()};
}

TEST(Igpo, ATurnIsPaidWhatItAddsToTheConfidence) {
    EXPECT_EQ(gains(methods::igpo, {3, 1, 0, 2}, {-4, -2, -3, -1, -2, -2}), (Values{2, -1, 0, 0, 0, 0}))
        << "a sequence of one turn, and one without any, have no gain";
    const Values log{std::log(0.25), std::log(0.5), std::log(0.125)};
    const Values gained = gains(methods::igpo_joint, {3}, log);
    EXPECT_NEAR(gained[0], 0.25, 1e-15);
    EXPECT_NEAR(gained[1], -0.375, 1e-15);
    EXPECT_EQ(gained[2], 0.0);
}

TEST(Igpo, TinyProbabilitiesUnderflowWhereTheirLogarithmsDoNot) {
    EXPECT_EQ(gains(methods::igpo, {2}, {-1000, -800}), (Values{200, 0}));
    EXPECT_EQ(gains(methods::igpo_joint, {2}, {-1000, -800}), (Values{0, 0}));
}

TEST(Igpo, AScoreThatIsNotFiniteGainsNothing) {
    EXPECT_EQ(gains(methods::igpo, {4}, {-4, nan, -1, -2}), (Values{0, 3, -1, 0})) << "the next is compared with -4";
    EXPECT_EQ(gains(methods::igpo, {4}, {-4, -infinity, infinity, -3}), (Values{0, 0, 1, 0}));
    EXPECT_EQ(gains(methods::igpo, {3}, {nan, -2, -1}), (Values{0, 1, 0})) << "nothing to compare the first with";
    EXPECT_EQ(gains(methods::igpo_joint, {3}, {0, -infinity, 0}), (Values{0, 0, 0}));
    EXPECT_EQ(gains(methods::igpo, {2, 2}, {-4, nan, nan, nan}), (Values{0, 0, 0, 0}));
}

TEST(Igpo, NoTrueAnswerNoConfidence) {
    const Values logp{-1, -3, -2};
    Values confidence(4, 7.0);
    backend::Host host;
    reward::mean_log_probability(host, Lengths{0, 0, 2, 2, 3}, std::span(logp), std::span(confidence));
    EXPECT_EQ(confidence, (Values{0, -2, 0, -2}));
    EXPECT_EQ(gains(methods::igpo, {3}, {0, 0, 0}), (Values{0, 0, 0}));
}

TEST(Igpo, ARolloutWithoutItsFormPaysAPenaltyAndKeepsItsGains) {
    Scores batch = scored(methods::igpo, {2, 2}, {-4, -2, -4, -3}, {0, 1});
    EXPECT_EQ(batch[col::reward{}][0], -2.0);
    EXPECT_EQ(batch[col::reward{}][1], 0.7);
    EXPECT_EQ(batch[col::turn_reward{}][0], 2.0);
}

using Signals =
    Batch<double,
          columns<col::groups, col::turns, col::turn_owner, col::mask, col::turn_reward, col::reward, col::advantage>>;
Signals signals(const Lengths& turns, const Lengths& groups, const Values& gain, const Values& reward) {
    Signals batch = with_turns<Signals::Columns>(turns, groups);
    std::copy(gain.begin(), gain.end(), batch[col::turn_reward{}].begin());
    std::copy(reward.begin(), reward.end(), batch[col::reward{}].begin());
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    return batch;
}
template <class Part, class BatchType>
Values estimated(const Part& part, BatchType batch, Progress progress = {}) {
    backend::Host host;
    roars::Run run{host, Random(), progress};
    NoState none;
    roars::detail::call_estimate(part, run, none, batch);
    return {batch[col::advantage{}].begin(), batch[col::advantage{}].end()};
}

double z(double value, const Values& pool) {
    double mean = 0, variance = 0;
    for (double x : pool) mean += x / double(pool.size());
    for (double x : pool) variance += (x - mean) * (x - mean) / double(pool.size());
    return (value - mean) / (std::sqrt(variance) + 1e-6);
}

RC_GTEST_PROP(Igpo, TheReturnOfATurnIsASlowSum, (std::uint32_t seed, bool joint)) {
    std::mt19937 random(seed);
    auto below = [&](int n) { return std::uniform_int_distribution<int>(0, n - 1)(random); };
    std::normal_distribution<double> normal;
    const Lengths groups{2 + below(3), 0, 2 + below(3)};
    Lengths turns;
    for (std::int64_t i = groups[0] + groups[2]; i > 0; --i) turns.push_back(1 + below(4));
    Values gain, reward;
    for (std::int64_t k = offsets_of(turns).back(); k > 0; --k) gain.push_back(normal(random));
    for (std::size_t i = 0; i < turns.size(); ++i) reward.push_back(normal(random));
    const Signals batch = signals(turns, groups, gain, reward);
    const double gamma = 0.9;
    const Values said = joint ? estimated(advantage::TurnReturns<pool::Joint>{.gamma = gamma}, batch)
                              : estimated(advantage::TurnReturns<>{.gamma = gamma}, batch);
    const auto owner = offsets_of(turns), members = offsets_of(groups);
    for (std::size_t g = 0; g < groups.size(); ++g) {
        const auto first = std::size_t(members[g]), last = std::size_t(members[g + 1]);
        Values gains_of, outcomes(reward.begin() + members[g], reward.begin() + members[g + 1]);
        for (std::size_t i = first; i < last; ++i)
            gains_of.insert(gains_of.end(), gain.begin() + owner[i], gain.begin() + owner[i + 1] - 1);
        Values both = outcomes;
        both.insert(both.end(), gains_of.begin(), gains_of.end());
        for (std::size_t i = first; i < last; ++i)
            for (std::int64_t k = owner[i]; k < owner[i + 1]; ++k) {
                double sum = 0, discount = 1;
                for (std::int64_t later = k; later < owner[i + 1]; ++later, discount *= gamma)
                    if (later + 1 == owner[i + 1])
                        sum += discount * z(reward[i], joint ? both : outcomes);
                    else if (joint || gains_of.size() > 1)  // a singleton gives 0
                        sum += discount * z(gain[std::size_t(later)], joint ? both : gains_of);
                RC_ASSERT(std::abs(said[std::size_t(k)] - sum) < 1e-9);
            }
    }
}

/// In a group the gains sum to 0, so without a discount the returns of first turns sum to 0 when all are equally long.
TEST(Igpo, CreditIsZeroSumInAGroup) {
    const Values said = estimated(advantage::TurnReturns<>{}, signals({3, 3}, {2}, {1, 2, 9, 5, -3, 9}, {1, 0}));
    EXPECT_NEAR(said[0] + said[3], 0.0, 1e-12);
    EXPECT_NEAR(said[2], 1.0, 1e-5);
    EXPECT_NEAR(said[5], -1.0, 1e-5);
}

TEST(Igpo, WithoutTurnsBeforeTheAnswerItIsTheGroupsZScore) {
    const Signals batch = signals({1, 1, 1, 1}, {4}, {7, nan, 7, 7}, {1, 0, 0, 3});
    const Values plain = estimated(advantage::GroupZScore{.scale = {.eps = 1e-6, .ddof = 0}}, batch);
    for (const Values& said :
         {estimated(advantage::TurnReturns<>{}, batch), estimated(advantage::TurnReturns<pool::Joint>{}, batch)})
        for (std::size_t t = 0; t < plain.size(); ++t) EXPECT_NEAR(said[t], plain[t], 1e-14);
}

TEST(Igpo, WithoutADifference) {
    const Values zero(4, 0.0);
    EXPECT_EQ(estimated(advantage::TurnReturns<>{}, signals({4}, {1}, {1, 2, 3, 4}, {1})), zero) << "a group of one";
    EXPECT_EQ(estimated(advantage::TurnReturns<pool::Joint>{}, signals({4}, {1}, {1, 2, 3, 4}, {1})), zero);
    const Values equal = estimated(advantage::TurnReturns<>{}, signals({2, 2}, {2}, {0.3, 9, 0.3, 9}, {1, 0}));
    EXPECT_EQ(equal[0], equal[1]) << "equal gains are worth nothing, the outcomes stand";
    EXPECT_NEAR(equal[0], 1.0, 1e-5);
    EXPECT_EQ(estimated(advantage::TurnReturns<>{}, signals({2, 2}, {2}, {0.3, 9, 0.3, 9}, {1, 1})), zero);
    EXPECT_EQ(estimated(advantage::TurnReturns<>{}, signals({2, 1}, {2}, {0.3, 9, 9}, {1, 1})), (Values{0, 0, 0}))
        << "the only gain of its group";
    EXPECT_TRUE(estimated(advantage::TurnReturns<>{}, signals({}, {0, 0}, {}, {})).empty());
}

TEST(Igpo, AGainOfZeroIsATurnLikeAnyOther) {
    const Values said = estimated(advantage::TurnReturns<>{}, signals({3, 2}, {2}, {0, 1, 9, 2, 9}, {1, 1}));
    const double step = 1 / (std::sqrt(2.0 / 3) + 1e-6);  // of 0, 1, 2: mean 1
    EXPECT_NEAR(said[0], -step, 1e-12);
    EXPECT_EQ(said[1], 0.0);
    EXPECT_NEAR(said[3], step, 1e-12);
}

TEST(Igpo, ObservationsGetNothingAndOwnTokensTheReturnOfTheirTurn) {
    Batch<double, Signals::Columns> batch(Lengths{0, 5, 7}, Lengths{0, 2});
    batch.set_offsets(col::turns{}, Lengths{0, 3, 5, 7});
    batch.set_offsets(col::turn_owner{}, Lengths{0, 2, 3});
    const Values mask{1, 1, 0, 1, 0, 0, 0};
    std::copy(mask.begin(), mask.end(), batch[col::mask{}].begin());
    batch[col::reward{}][0] = 1;
    const Values said = estimated(advantage::TurnReturns<>{.gamma = 0.5}, batch);
    const double z_of_one = 0.5 / (0.5 + 1e-6);
    EXPECT_EQ(said, (Values{0.5 * z_of_one, 0.5 * z_of_one, 0, z_of_one, 0, 0, 0}));
}

TEST(Igpo, WeightsOfGainAndOutcomeMayMoveWithTheRun) {
    advantage::TurnReturns<> part{.gain_weight = {1.0, 0.5}, .outcome_weight = {0.5, 1.0}};
    const Signals batch = signals({2, 2}, {2}, {1, 9, -1, 9}, {1, 0});
    const Values start = estimated(part, batch, {0, 10}), middle = estimated(part, batch, {5, 10});
    const double gain = 1 / (1 + 1e-6), outcome = 0.5 / (0.5 + 1e-6);
    EXPECT_NEAR(start[0], gain + 0.5 * outcome, 1e-12);
    EXPECT_NEAR(start[1], 0.5 * outcome, 1e-12);
    EXPECT_NEAR(middle[0], 0.75 * gain + 0.75 * outcome, 1e-12);
    EXPECT_EQ(estimated(methods::igpo.advantage, batch, {5, 10}), estimated(methods::igpo.advantage, batch)) << "off";
}

TEST(Igpo, CollapseIsWhatTeachesNothing) {
    const Values outcome{1, 1, 0, 1, 2, 2, 3}, gain{0.5, 9, 0.5, 8, 1, 7, 2, 7, 1, 6, 2, 6, 5};
    const auto share = metrics::advantage_collapse(Lengths{0, 2, 4, 6, 6, 7}, Lengths{0, 2, 4, 6, 8, 10, 12, 13},
                                                   std::span(gain), std::span(outcome));
    EXPECT_EQ(share.outcome, 0.75);  // of four groups: an empty one has nothing to say
    EXPECT_EQ(share.turn, 0.5) << "equal gains, or none";
    const auto none = metrics::advantage_collapse(Lengths{0, 0}, Lengths{0}, std::span(gain), std::span(outcome));
    EXPECT_EQ(none.outcome, 0.0);
}

using Learner = train::TabularLearner<tasks::TwoHop, double>;
using Columns =
    columns<col::groups, col::turns, col::turn_owner, col::token, col::mask, col::prompt, col::logp, col::confidence>;

/// What the policy that drew the batch thinks, at the temperature that it drew with.
TEST(Igpo, TheConfidenceIsThePolicys) {
    tasks::TwoHop task({}, 3);
    Learner learner(task);
    backend::Host host;
    roars::Run run{host, Random(4)};
    Batch<double, Columns> batch;
    learner.roll_out(run, batch, 12, 20, Generation{.temperature = 2.0});
    std::int64_t hits = 0;
    for (std::size_t i = 0; i < 240; ++i) {
        const std::int64_t prompt = batch[col::prompt{}][i], first = batch.token_offsets()[i];
        const auto turn = std::size_t(batch[col::turn_owner{}][i]);
        ASSERT_EQ(batch[col::turn_owner{}][i + 1] - batch[col::turn_owner{}][i], 3);
        std::int64_t state = task.start(prompt);
        for (std::int64_t t = 0; t < 5; ++t) {
            ASSERT_EQ(batch[col::mask{}][std::size_t(first + t)], t % 2 == 0 ? 1.0 : 0.0);
            if (t % 2 == 0) {
                const auto token = task.true_answer(prompt, state).front();
                double sum = 0, own = learner.policy().logits(token.row)[std::size_t(token.action)];
                for (double logit : learner.policy().logits(token.row)) sum += std::exp(logit / 2);
                ASSERT_NEAR(batch[col::confidence{}][turn + std::size_t(t / 2)], own / 2 - std::log(sum), 1e-12);
                hits += t == 2 && batch[col::confidence{}][turn + 1] > batch[col::confidence{}][turn];
            }
            state = task.next(prompt, state, batch[col::token{}][std::size_t(first + t)]);
        }
    }
    EXPECT_GT(hits, 0);
}

template <class Method>
double trained(Method method, std::int64_t updates) {
    tasks::TwoHop task({}, 1);
    train::TabularLearner<tasks::TwoHop> learner(task);
    method.sampler.prompts = 6;
    method.sampler.group_size = 4;
    method.regularizer.coefficient = 0;
    method.optimizer.step = step::recipe({.learning_rate = 0.05, .weight_decay = 0});
    train::Trainer<Method, train::TabularLearner<tasks::TwoHop>> trainer(method, learner);
    backend::Host host;
    for (std::int64_t i = 0; i < updates; ++i) {
        roars::Run run{host, Random(5).at(std::uint32_t(i)), Progress{i, updates}};
        trainer.iterate(run);
    }
    roars::Run run{host};
    return learner.evaluate(run).success;
}
TEST(Igpo, LearnsToLookUp) {
    EXPECT_LT(trained(methods::igpo, 0), 0.3);
    EXPECT_GT(trained(methods::igpo, 100), 0.8);
    EXPECT_GT(trained(methods::igpo_joint, 100), 0.8);
}

TEST(Igpo, WhatMayBeSwitchedAreFlags) {
    auto method = methods::igpo;
    for (const auto& [flag, text] :
         std::vector<std::pair<std::string, std::string>>{{"advantage.gamma", "0.9"},
                                                          {"advantage.gain_weight.to", "0.5"},
                                                          {"advantage.spread.eps", "0.1"},
                                                          {"reward.first.shut", "-1"}})
        EXPECT_TRUE(set_setting(method, flag, text)) << flag;
    EXPECT_EQ(method.advantage.gamma, 0.9);
    EXPECT_EQ(method.advantage.gain_weight.to, 0.5);
    EXPECT_EQ(method.reward.first.shut, -1.0);
}

}  // namespace
}  // namespace roars::igpo_test

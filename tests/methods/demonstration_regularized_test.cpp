#include <gtest/gtest.h>

#include <numeric>

#include "../advantage/random_batch.hpp"
#include "../limits.hpp"
#include "roars/critic/soft_planning.hpp"
#include "roars/methods/demonstration_regularized.hpp"
#include "roars/metrics/policy_evaluation.hpp"
#include "roars/regularizer/cloned_policy.hpp"
#include "roars/sampler/widest_gap.hpp"
#include "roars/tasks/lock.hpp"
#include "roars/train/finite_learner.hpp"
#include "roars/train/trainer.hpp"

namespace roars::demonstration_regularized_test {
namespace {

using critic::RegularisedMaximum;
using Values = std::vector<double>;
using Wholes = std::vector<std::int64_t>;

Values distributions(Draw& draw, std::size_t rows, std::int64_t width) {
    Values table;
    for (std::size_t i = 0; i < rows; ++i) {
        Values row;
        for (std::int64_t a = 0; a < width; ++a) row.push_back(draw.real(0.01, 1));
        double sum = std::accumulate(row.begin(), row.end(), 0.0);
        for (double p : row) table.push_back(p / sum);
    }
    return table;
}
Values numbers(Draw& draw, std::size_t count, double low, double high) {
    Values values(count);
    for (double& x : values) x = draw.real(low, high);
    return values;
}
FiniteHorizon any_shape(Draw& draw) { return {draw.whole(1, 4), draw.whole(1, 4), draw.whole(1, 4)}; }

RC_GTEST_PROP(RegularisedMaximum, NoDistributionDoesBetter, ()) {
    Draw draw = any_draw();
    std::int64_t actions = draw.whole(1, 5);
    Values q = numbers(draw, std::size_t(actions), -3, 3), reference = distributions(draw, 1, actions),
           policy(q.size());
    RegularisedMaximum part{std::exp(draw.real(-4, 3))};
    auto [value, kl] = part(q, reference, policy);
    auto worth = [&](const Values& p) {
        return std::inner_product(p.begin(), p.end(), q.begin(), 0.0) -
               part.kl_coefficient * metrics::divergence(p, reference);
    };
    RC_ASSERT(close(std::accumulate(policy.begin(), policy.end(), 0.0), 1.0));
    RC_ASSERT(close(value, worth(policy)));
    RC_ASSERT(close(kl, metrics::divergence(policy, reference)));
    for (int i = 0; i < 20; ++i) RC_ASSERT(worth(distributions(draw, 1, actions)) <= value + 1e-9);
    // d value / d q is the policy.
    for (std::size_t a = 0; a < q.size(); ++a) {
        Values moved = q, unused(q.size());
        double h = 1e-6 * std::min(1.0, part.kl_coefficient);
        moved[a] += h;
        double above = part(moved, reference, unused).value;
        moved[a] -= 2 * h;
        RC_ASSERT(std::abs((above - part(moved, reference, unused).value) / (2 * h) - policy[a]) <= 1e-4);
    }
}

TEST(RegularisedMaximum, BothEndsOfTheCoefficient) {
    Values q{1, 3, 3, 2}, reference{0.4, 0.1, 0.3, 0.2}, policy(4);
    for (double c : {0.0, 1e-300, 1e-6}) {
        auto [value, kl] = RegularisedMaximum{c}(q, reference, policy);
        EXPECT_NEAR(value, 3.0, 1e-5) << c;
        EXPECT_NEAR(policy[1], 0.25, 1e-12) << c;
        EXPECT_NEAR(policy[2], 0.75, 1e-12) << c;
        EXPECT_NEAR(kl, -std::log(0.4), 1e-12) << c;
    }
    // A large coefficient: the reference, its mean of q, and no digits lost.
    for (double c : {1e6, 1e12}) {
        auto [value, kl] = RegularisedMaximum{c}(q, reference, policy);
        EXPECT_NEAR(value, 0.4 + 0.3 + 0.9 + 0.4, 1e-6 + 1e-4 * (c > 1e9)) << c;
        for (std::size_t a = 0; a < 4; ++a) EXPECT_NEAR(policy[a], reference[a], 1e-5);
        EXPECT_NEAR(kl, 0.0, 1e-10);
    }
}

TEST(RegularisedMaximum, WhatTheReferenceNeverTakesAndWhatIsForbidden) {
    Values q{100, 1, -infinity}, reference{0, 0.5, 0.5}, policy(3);
    auto [value, kl] = RegularisedMaximum{0.5}(q, reference, policy);
    EXPECT_NEAR(value, 1 + 0.5 * std::log(0.5), 1e-12);
    EXPECT_EQ(policy, (Values{0, 1, 0}));
    EXPECT_NEAR(kl, std::log(2.0), 1e-12);
    EXPECT_EQ(RegularisedMaximum{0.5}(q, Values{0, 0, 0}, policy).value, -infinity);
    // The best action is all but excluded by the reference.
    auto rare = RegularisedMaximum{1.0}(Values{100, 0}, Values{1e-30, 1}, std::span(policy).first(2));
    EXPECT_NEAR(rare.value, 100 + std::log(1e-30), 1e-9);
    EXPECT_NEAR(policy[0], 1.0, 1e-9);
    auto huge = RegularisedMaximum{1e-3}(Values{1e300, 0}, Values{0.5, 0.5}, std::span(policy).first(2));
    EXPECT_EQ(huge.value, 1e300);
    EXPECT_EQ(policy[1], 0.0);
}

RC_GTEST_PROP(SoftPlanning, IsWorthWhatItSaysAndNoPolicyIsWorthMore, ()) {
    Draw draw = any_draw();
    backend::Host host;
    FiniteHorizon shape = any_shape(draw);
    Values transition = distributions(draw, shape.step_actions(), shape.states),
           reward = numbers(draw, shape.step_actions(), 0, 1),
           reference = distributions(draw, shape.step_states(), shape.actions);
    double c = draw.real(0.05, 2);
    auto plan = critic::SoftPlanning{c}.plan(host, shape, transition, reward, reference);
    auto worth_of = [&](const Values& policy) {
        return metrics::evaluate_policy(shape, transition, reward, policy, reference).regularised(c);
    };
    auto best = worth_of(plan.policy);
    auto other = worth_of(distributions(draw, shape.step_states(), shape.actions));
    for (std::size_t s = 0; s < best.size(); ++s) {
        RC_ASSERT(close(best[s], plan.value[s]));
        RC_ASSERT(other[s] <= best[s] + 1e-9);
    }
    // Adding 1 to every reward adds the steps that are left.
    Values more = reward;
    for (double& r : more) r += 1;
    auto shifted = critic::SoftPlanning{c}.plan(host, shape, transition, more, reference);
    for (std::size_t i = 0; i < plan.policy.size(); ++i) RC_ASSERT(close(shifted.policy[i], plan.policy[i]));
    for (std::size_t s = 0; s < best.size(); ++s)
        RC_ASSERT(close(shifted.value[s], plan.value[s] + double(shape.horizon)));
}

/// Counts of `visits` steps from every pair, by a transition table.
Values counts_of(Draw& draw, const FiniteHorizon& shape, const Values& transition, std::int64_t visits) {
    Values counts(shape.transitions());
    for (std::size_t pair = 0; pair < shape.step_actions(); ++pair)
        for (std::int64_t i = 0; i < visits; ++i) {
            double u = draw.real(0, 1);
            std::size_t to = 0, states = std::size_t(shape.states);
            while (to + 1 < states && u >= transition[pair * states + to]) u -= transition[pair * states + to++];
            counts[pair * states + to] += 1;
        }
    return counts;
}

RC_GTEST_PROP(OptimisticPlanning, TheBoundsEncloseThePlanWithoutABonusAndCloseWithTheData, ()) {
    Draw draw = any_draw();
    backend::Host host;
    FiniteHorizon shape = any_shape(draw);
    Values transition = distributions(draw, shape.step_actions(), shape.states),
           reward = numbers(draw, shape.step_actions(), 0, 1),
           reference = distributions(draw, shape.step_states(), shape.actions);
    auto counts = counts_of(draw, shape, transition, draw.whole(1, 30));
    critic::OptimisticPlanning part{.kl_coefficient = 0.3, .bonus_scale = 0.7, .bonus_range = 0.01, .beta = 1.5};
    auto plan = part.plan(host, shape, counts, reward, reference);
    Values frequency = critic::empirical_model(shape, counts);
    auto plain = critic::SoftPlanning{0.3}.plan(host, shape, frequency, reward, reference);
    for (std::size_t i = 0; i < plan.q_upper.size(); ++i) {
        RC_ASSERT(plan.q_lower[i] <= plain.q[i] + 1e-9);
        RC_ASSERT(plan.q_upper[i] >= plain.q[i] - 1e-9);
    }
    critic::OptimisticPlanning none{.kl_coefficient = 0.3, .bonus_scale = 0, .bonus_range = 0};
    auto output = none.plan(host, shape, counts, reward, reference);
    for (std::size_t i = 0; i < output.policy.size(); ++i) RC_ASSERT(close(output.policy[i], plain.policy[i]));
    // A million times the data: the bounds meet.
    for (double& count : counts) count *= 1e6;
    auto more = part.plan(host, shape, counts, reward, reference);
    for (std::size_t i = 0; i < plan.q_upper.size(); ++i) RC_ASSERT(more.q_upper[i] - more.q_lower[i] <= 0.02);
}

TEST(OptimisticPlanning, WithoutDataTheBoundsAreWhatCanBe) {
    backend::Host host;
    FiniteHorizon shape{3, 2, 2};
    Values counts(shape.transitions()), reward(shape.step_actions(), 0.5), reference(shape.step_actions(), 0.5);
    auto plan = critic::OptimisticPlanning{}.plan(host, shape, counts, reward, reference);
    for (std::int64_t h = 0; h < 3; ++h)
        for (std::int64_t s = 0; s < 2; ++s)
            for (std::int64_t a = 0; a < 2; ++a) {
                EXPECT_EQ(plan.q_upper[shape.at(h, s, a)], double(3 - h));
                EXPECT_EQ(plan.q_lower[shape.at(h, s, a)], 0.0);
            }
    EXPECT_THROW(critic::OptimisticPlanning{}.plan(host, shape, Values(3), reward, reference), Error);
    EXPECT_THROW(critic::OptimisticPlanning{}.plan(host, shape, counts, reward, Values(12, 0.0)), Error);
    EXPECT_THROW(critic::OptimisticPlanning{.kl_coefficient = -1}.plan(host, shape, counts, reward, reference), Error);
    counts[3] = -1;
    EXPECT_THROW(critic::OptimisticPlanning{}.plan(host, shape, counts, reward, reference), Error);
    auto nothing = critic::OptimisticPlanning{}.plan(host, {0, 2, 2}, {}, {}, {});
    EXPECT_TRUE(nothing.policy.empty());
}

RC_GTEST_PROP(ClonedPolicy, NoTableHasALowerLoss, ()) {
    Draw draw = any_draw();
    FiniteHorizon shape = any_shape(draw);
    Wholes state, action;
    for (std::int64_t i = draw.whole(0, 6) * shape.horizon; i > 0; --i)
        state.push_back(draw.whole(0, shape.states - 1)), action.push_back(draw.whole(0, shape.actions - 1));
    regularizer::ClonedPolicy part{draw.real(0.1, 2)};
    auto loss = [&](const Values& policy) {
        double sum = -regularizer::ClonedPolicy::log_likelihood(shape, state, action, policy);
        for (double p : policy) sum -= part.weight * std::log(p);
        return sum;
    };
    double best = loss(part.clone(shape, state, action));
    for (int i = 0; i < 10; ++i)
        RC_ASSERT(loss(distributions(draw, shape.step_states(), shape.actions)) >= best - 1e-9);
}

TEST(ClonedPolicy, UniformWhereNobodyWas) {
    FiniteHorizon shape{2, 2, 4};
    auto policy = regularizer::ClonedPolicy{}.clone(shape, Wholes{0, 1}, Wholes{2, 3});
    EXPECT_EQ(policy[shape.at(0, 0, 2)], 0.4);
    EXPECT_EQ(policy[shape.at(0, 0, 1)], 0.2);
    EXPECT_EQ(policy[shape.at(1, 0, 1)], 0.25);
    for (double p : regularizer::ClonedPolicy{}.clone(shape, {}, {})) EXPECT_EQ(p, 0.25);
    EXPECT_THROW(regularizer::ClonedPolicy{}.clone(shape, Wholes{0}, Wholes{2}), Error);
    EXPECT_THROW(regularizer::ClonedPolicy{}.clone(shape, Wholes{0, 2}, Wholes{2, 3}), Error);
    EXPECT_THROW(regularizer::ClonedPolicy{}.clone(shape, Wholes{0, 1}, Wholes{2, 4}), Error);
    EXPECT_THROW(regularizer::ClonedPolicy{0.0}.clone(shape, {}, {}), Error);
}

TEST(WidestGap, OneStepIsLeftAndTheLastDrawIsNowhere) {
    using sampler::WidestGap;
    EXPECT_EQ(WidestGap::switch_step(3, 0.0), 0);
    EXPECT_EQ(WidestGap::switch_step(3, 0.2499), 0);
    EXPECT_EQ(WidestGap::switch_step(3, 0.25), 1);
    EXPECT_EQ(WidestGap::switch_step(3, 0.999), 3);
    EXPECT_EQ(WidestGap::switch_step(3, 1.0), 3);
    FiniteHorizon shape{2, 1, 3};
    Values upper{1, 3, 2, 5, 5, 5}, lower{0, 1, 0, 5, 5, 5}, policy{0.2, 0.3, 0.5, 0.1, 0.1, 0.8};
    EXPECT_EQ(WidestGap::policy(shape, upper, lower, policy, 0), (Values{0, 1, 0, 0.1, 0.1, 0.8}));
    EXPECT_EQ(WidestGap::policy(shape, upper, lower, policy, 1), (Values{0.2, 0.3, 0.5, 1, 0, 0}));
    EXPECT_EQ(WidestGap::policy(shape, upper, lower, policy, 2), policy);
    EXPECT_EQ(WidestGap::gap_bound(shape, upper, lower, 0.5), (Values{4, 0}));
    EXPECT_EQ(WidestGap::gap_bound(shape, upper, lower, 0.0)[1], 0.0);
    EXPECT_THROW(WidestGap::policy(shape, upper, Values{1}, policy, 0), Error);
}

TEST(PolicyEvaluation, DeterministicPoliciesAndReferencesThatExclude) {
    FiniteHorizon shape{1, 1, 2};
    Values transition{1, 1}, reward{1, 5};
    auto worth = [&](const Values& policy, const Values& reference) {
        return metrics::evaluate_policy(shape, transition, reward, policy, reference);
    };
    EXPECT_NEAR(worth({1, 0}, {0.5, 0.5}).trajectory_kl[0], std::log(2.0), 1e-15);
    EXPECT_EQ(worth({1, 0}, {1, 0}).trajectory_kl[0], 0.0);
    EXPECT_EQ(worth({0, 1}, {1, 0}).trajectory_kl[0], infinity);
    EXPECT_EQ(worth({0, 1}, {1, 0}).regularised(0.0)[0], 5.0);
    EXPECT_EQ(worth({0, 1}, {1, 0}).regularised(0.1)[0], -infinity);
    // An infinite divergence in a state that is never reached.
    auto unreached = metrics::evaluate_policy({2, 2, 1}, Values{1, 0, 0, 1, 1, 0, 0, 1}, Values{1, 1, 1, 1},
                                              Values{1, 1, 1, 1}, Values{1, 1, 1, 0});
    EXPECT_EQ(unreached.value, (Values{2, 2}));
    EXPECT_EQ(unreached.trajectory_kl, (Values{0, infinity}));
}

RC_GTEST_PROP(Lock, IsAProblemWhoseKeysAreTheBestPolicy, (std::uint16_t seed)) {
    backend::Host host;
    tasks::Lock lock({.horizon = 4}, seed);
    for (std::size_t pair = 0; pair < lock.shape.step_actions(); ++pair) {
        auto row = std::span(lock.transition).subspan(4 * pair, 4);
        RC_ASSERT(close(std::accumulate(row.begin(), row.end(), 0.0), 1.0));
        RC_ASSERT(lock.reward[pair] >= 0.0 && lock.reward[pair] <= 1.0);
    }
    Values any(lock.shape.step_actions(), 1.0 / 3);
    auto best = critic::SoftPlanning{0.0}.plan(host, lock.shape, lock.transition, lock.reward, any);
    for (std::int64_t h = 0; h < 4; ++h) RC_ASSERT(best.policy[lock.shape.at(h, 0, lock.key[std::size_t(h)])] == 1.0);
    RC_ASSERT(best.value[0] >= std::pow(0.95, 3));
    tasks::Lock same({.horizon = 4}, seed);
    RC_ASSERT(same.reward == lock.reward);
}
TEST(Lock, Draws) {
    const Values chances{0.25, 0.0, 0.75};
    EXPECT_EQ(tasks::Lock::draw(chances, 0.2), 0);
    EXPECT_EQ(tasks::Lock::draw(chances, 0.25), 2);
    EXPECT_EQ(tasks::Lock::draw(chances, 1.0), 2);
    EXPECT_THROW(tasks::Lock({.horizon = 0}), Error);
}

using FiniteLearner = train::FiniteLearner<tasks::Lock>;
using FiniteTrainer = train::Trainer<methods::DemonstrationRegularised, FiniteLearner>;

Values best_policy(const tasks::Lock& lock) {
    backend::Host host;
    const Values uniform(lock.shape.step_actions(), 1.0 / double(lock.shape.actions));
    return critic::SoftPlanning{0.0}.plan(host, lock.shape, lock.transition, lock.reward, uniform).policy;
}
roars::Run<backend::Host> iteration(backend::Host& host, int i) { return {host, Random(3), Progress{i, 100}}; }

TEST(DemonstrationRegularised, TheTrainerPlaysWhatIsPlannedFromWhatWasPlayed) {
    tasks::Lock lock({.horizon = 4}, 2);
    FiniteLearner learner(lock);
    RandomStream shown{Random(5)};
    learner.learn_from_demonstrations(best_policy(lock), 10, shown);
    auto method = methods::demonstration_regularised;
    FiniteTrainer trainer(method, learner);
    backend::Host host;
    Values counts(lock.shape.transitions());
    for (int i = 0; i < 30; ++i) {
        auto run = iteration(host, i);
        trainer.advance(run);
        const auto& batch = trainer.batch();
        ASSERT_EQ(batch.sequences(), i == 0 ? 0 : 1) << "the first plan comes before the first episode";
        ASSERT_EQ(batch.tokens(), i == 0 ? 0 : lock.shape.horizon);
        for (std::int64_t t = 0; t < batch.tokens(); ++t) {
            auto at = std::size_t(t);
            counts[lock.shape.at(t, std::int64_t(batch[col::state{}][at]), batch[col::token{}][at],
                                 std::int64_t(batch[col::next_state{}][at]))] += 1;
        }
        EXPECT_EQ(trainer.state.advantage.counts, counts);
        auto plan =
            method.advantage.planning.plan(host, lock.shape, counts, lock.reward, trainer.state.regularizer.policy);
        EXPECT_EQ(trainer.state.advantage.plan.policy, plan.policy);
    }
    EXPECT_EQ(learner.position.episodes, 29);
}
/// With nothing seen every upper value is what is left of the horizon, so the first plan is the clone itself.
TEST(DemonstrationRegularised, ItBeginsAsItsCloneAndEndsBetterThanIt) {
    tasks::Lock lock({}, 1);
    const Values best = best_policy(lock);
    auto gap_after = [&](std::int64_t demonstrations, int episodes, double& at_first) {
        FiniteLearner learner(lock);
        RandomStream shown{Random(5)};
        learner.learn_from_demonstrations(best, demonstrations, shown);
        FiniteTrainer trainer(methods::demonstration_regularised, learner);
        backend::Host host;
        auto run = iteration(host, 0);
        EXPECT_LT(learner.evaluate(run).played, learner.worth(best)) << "before any plan it is uniform";
        trainer.advance(run);
        auto again = iteration(host, 0);
        trainer.advance(again);  // hands the plan over, and plays it
        at_first = learner.worth(best) - learner.worth(trainer.state.regularizer.policy);
        for (int i = 2; i <= episodes; ++i) {
            auto next = iteration(host, i);
            trainer.advance(next);
        }
        auto last = iteration(host, episodes);
        return learner.worth(best) - learner.evaluate(last).output;
    };
    double clone_of_20 = 0, clone_of_none = 0;
    const double with = gap_after(20, 40, clone_of_20), without = gap_after(0, 10, clone_of_none);
    EXPECT_LT(with, 0.05);
    EXPECT_LT(with, 0.5 * clone_of_20);
    EXPECT_LT(clone_of_20, clone_of_none);
    EXPECT_GT(without, with);
}
/// A clone of many demonstrations knows one way. Exploration leaves it at one step of an episode.
TEST(DemonstrationRegularised, ExplorationSeesActionsThatThePlanDoesNotTake) {
    tasks::Lock lock({.horizon = 5, .hold = 1.0}, 4);
    auto seen = [&](bool explore) {
        FiniteLearner learner(lock);
        RandomStream shown{Random(5)};
        learner.learn_from_demonstrations(best_policy(lock), 3000, shown);
        auto method = methods::demonstration_regularised;
        method.sampler.explore = explore;
        method.advantage.planning.kl_coefficient = 50;
        FiniteTrainer trainer(method, learner);
        backend::Host host;
        for (int i = 0; i < 40; ++i) {
            auto run = iteration(host, i);
            trainer.advance(run);
        }
        int pairs = 0;
        for (std::int64_t h = 0; h < lock.shape.horizon; ++h)
            for (std::int64_t a = 0; a < lock.shape.actions; ++a) {
                double visits = 0;
                for (std::int64_t to = 0; to < lock.shape.states; ++to)
                    visits += trainer.state.advantage.counts[lock.shape.at(h, 0, a, to)];
                pairs += visits > 0;
            }
        return pairs;
    };
    EXPECT_EQ(seen(false), 5) << "the key of every step";
    EXPECT_GE(seen(true), 10);
}
TEST(DemonstrationRegularised, EpisodesAndDemonstrationsOfAnotherLengthAreRefused) {
    using Rows = Batch<double, columns<col::state, col::token, col::next_state, col::mask, col::problem_shape,
                                       col::known_reward, col::reference_policy>>;
    Rows rows{Offsets(Wholes{0, 3})};
    rows.set_width(col::problem_shape{}, 3);
    std::size_t k = 0;
    for (int size : {2, 2, 2}) rows[col::problem_shape{}][k++] = size;
    rows.set_width(col::known_reward{}, 8);
    rows.set_width(col::reference_policy{}, 8);
    std::fill(rows[col::reference_policy{}].begin(), rows[col::reference_policy{}].end(), 0.5);
    backend::Host host;
    roars::Run run{host};
    regularizer::ClonedPolicy::State cloned;
    EXPECT_THROW(regularizer::ClonedPolicy{}.on_dataset(run, cloned, rows), Error);
    advantage::RegularisedPlan::State planned;
    EXPECT_THROW(advantage::RegularisedPlan{}.learn(run, planned, rows), Error);
    Rows of_two{Offsets(Wholes{0, 2})};
    of_two.set_width(col::problem_shape{}, 3);
    k = 0;
    for (int size : {2, 2, 2}) of_two[col::problem_shape{}][k++] = size;
    of_two.set_width(col::known_reward{}, 8);
    of_two.set_width(col::reference_policy{}, 8);
    std::fill(of_two[col::reference_policy{}].begin(), of_two[col::reference_policy{}].end(), 0.5);
    EXPECT_NO_THROW(advantage::RegularisedPlan{}.learn(run, planned, of_two));
    of_two[col::next_state{}][1] = 2;
    EXPECT_THROW(advantage::RegularisedPlan{}.learn(run, planned, of_two), Error);
}

}  // namespace
}  // namespace roars::demonstration_regularized_test

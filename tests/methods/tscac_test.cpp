#include "rows.hpp"

#include <array>
#include <numeric>

#include "roars/advantage/multi_critic.hpp"
#include "roars/methods/tscac.hpp"
#include "roars/metrics/importance_sampling.hpp"
#include "roars/objective.hpp"
#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/surrogates/damped_climb.hpp"
#include "roars/optimizer/surrogates/towards_references.hpp"
#include "roars/regularizer/near_references.hpp"
#include "roars/reward/step_reward.hpp"
#include "roars/tasks/sessions.hpp"
#include "roars/train/log_learner.hpp"
#include "roars/train/staged_trainer.hpp"
#include "roars/train/trainer.hpp"

namespace roars::tscac_test {
namespace {

using Responses = Batch<double, columns<col::step_reward, col::token_reward, col::value, col::next_value,
                                        col::terminated, col::advantage, col::returns, col::grad<col::value>>>;
template <class BatchType, class Column>
void fill(BatchType& batch, Column column, Numbers& numbers, std::int64_t width) {
    batch.set_width(column, width);
    for (double& x : batch[column]) x = numbers.real(-2, 2);
}
Responses responses(Numbers& numbers, std::int64_t rows, std::int64_t width) {
    Responses batch(std::vector<std::int64_t>{0, rows});
    fill(batch, col::step_reward{}, numbers, width);
    fill(batch, col::value{}, numbers, width);
    fill(batch, col::next_value{}, numbers, width);
    for (double& ends : batch[col::terminated{}]) ends = numbers.real(0, 1) < 0.3;
    return batch;
}
template <class Term, class BatchType>
double mean_loss(const Term& term, BatchType& batch) {
    backend::Host host;
    return evaluate(host, batch, {count(host, batch)}, Weighed<Term, aggregate::TokenMean>{term, {}}).loss();
}

RC_GTEST_PROP(Tscac, NoCriticSeesAnotherResponse, (std::uint32_t seed)) {
    Numbers numbers(seed);
    auto batch = responses(numbers, numbers.whole(1, 6), 3);
    backend::Host host;
    roars::Run run{host};
    reward::StepReward{}.score(run, batch);
    advantage::MultiCritic<3> part{.gamma = {0.9, 0.5, 0.0}};
    part.estimate(run, batch);
    for (std::int64_t m = 0; m < 3; ++m) {
        Batch<double, unite_t<Responses::Columns, columns<col::done>>> one(batch.token_offsets());
        for (std::size_t i = 0; i < std::size_t(batch.tokens()); ++i) {
            std::size_t cell = i * 3 + std::size_t(m);
            one[col::value{}][i] = batch[col::value{}][cell];
            one[col::next_value{}][i] = batch[col::next_value{}][cell];
            one[col::terminated{}][i] = batch[col::terminated{}][i];
        }
        one.set_width(col::step_reward{}, 3);
        std::copy(batch[col::step_reward{}].begin(), batch[col::step_reward{}].end(), one[col::step_reward{}].begin());
        reward::Response{m}.score(run, one);
        advantage::MultiCritic<1> alone{.gamma = {part.gamma[std::size_t(m)]}};
        alone.estimate(run, one);
        part.index = m;
        part.estimate(run, batch);
        for (std::size_t i = 0; i < std::size_t(batch.tokens()); ++i) {
            RC_ASSERT(one[col::advantage{}][i] == batch[col::advantage{}][i]);
            RC_ASSERT(one[col::returns{}][i] == batch[col::returns{}][i * 3 + std::size_t(m)]);
        }
    }
}
RC_GTEST_PROP(Tscac, TheSlopesOfTheCriticsAreThose, (std::uint32_t seed)) {
    Numbers numbers(seed);
    auto batch = responses(numbers, numbers.whole(1, 5), 2);
    fill(batch, col::returns{}, numbers, 2);
    critic::SquaredErrors term;
    mean_loss(term, batch);
    Values slope(batch[col::grad<col::value>{}].begin(), batch[col::grad<col::value>{}].end());
    Values value(batch[col::value{}].begin(), batch[col::value{}].end());
    expect_slope(value, slope, [&] {
        std::copy(value.begin(), value.end(), batch[col::value{}].begin());
        return mean_loss(term, batch);
    });
    RC_ASSERT(!::testing::Test::HasFailure());
}
TEST(Tscac, AnEndCutsEveryResponseAndADiscountOfZeroLooksNoFurther) {
    Numbers numbers(1);
    auto batch = responses(numbers, 2, 2);
    backend::Host host;
    roars::Run run{host};
    reward::StepReward{}.score(run, batch);
    batch[col::terminated{}][0] = 1, batch[col::terminated{}][1] = 0;
    batch[col::next_value{}][0] = batch[col::next_value{}][1] = batch[col::next_value{}][3] = nan;
    advantage::MultiCritic<2>{.gamma = {0.9, 0.0}}.estimate(run, batch);
    for (double target : batch[col::returns{}]) EXPECT_TRUE(std::isfinite(target));
    EXPECT_EQ(batch[col::returns{}][3], batch[col::step_reward{}][3]);
    expect_error([&] { advantage::MultiCritic<3>{}.estimate(run, batch); },
                 "token_reward: has rows of 2 values, expected one for each of 3 responses");
    expect_error([&] { advantage::MultiCritic<2>{.index = 2}.estimate(run, batch); }, "index is 2");
    expect_error([&] { reward::Response{2}.score(run, batch); }, "index is 2, expected one of 2");
}

Values random_policy(Numbers& numbers, std::int64_t actions) {
    Values policy = numbers.reals(actions, 0.05, 1);
    double sum = std::accumulate(policy.begin(), policy.end(), 0.0);
    for (double& p : policy) p /= sum;
    return policy;
}
Values logarithms(Values p) {
    for (double& each : p) each = std::log(each);
    return p;
}
/// E[advantage] - sum_i lambda_i KL(policy || policy_i)
double lagrangian(const Values& policy, const Values& log_references, const Values& multiplier,
                  const Values& advantage) {
    double sum = 0;
    for (std::size_t a = 0; a < policy.size(); ++a) sum += policy[a] * advantage[a];
    for (std::size_t i = 0; i < multiplier.size(); ++i)
        if (multiplier[i] > 0)
            sum -= multiplier[i] * regularizer::divergence_from<double>(
                                       policy, View(log_references).subspan(i * policy.size(), policy.size()));
    return sum;
}
Values closest(const Values& log_references, const Values& multiplier, const Values& advantage) {
    Values policy(advantage.size());
    regularizer::closest_policy<double>({log_references, std::ssize(advantage)}, multiplier, advantage, policy);
    return policy;
}
RC_GTEST_PROP(Tscac, NoPolicyIsBetterThanTheClosest, (std::uint32_t seed)) {
    Numbers numbers(seed);
    std::int64_t actions = numbers.whole(1, 6);
    Values references, advantage = numbers.reals(actions), multiplier = numbers.reals(3, 0.1, 1);
    if (numbers.whole(0, 1)) multiplier[1] = 0;
    for (int i = 0; i < 3; ++i)
        for (double p : random_policy(numbers, actions)) references.push_back(std::log(p));
    Values best = closest(references, multiplier, advantage);
    RC_ASSERT(std::abs(std::accumulate(best.begin(), best.end(), 0.0) - 1) < 1e-12);
    double value = lagrangian(best, references, multiplier, advantage);
    for (int i = 0; i < 20; ++i)
        RC_ASSERT(lagrangian(random_policy(numbers, actions), references, multiplier, advantage) <= value + 1e-12);
    for (double& each : advantage) each += 5;  // only differences count
    Values moved = closest(references, multiplier, advantage);
    for (std::size_t a = 0; a < best.size(); ++a) RC_ASSERT(std::abs(best[a] - moved[a]) < 1e-12);
}
TEST(Tscac, AtTheEndsOfTheMultipliers) {
    Values references = logarithms({0.5, 0.5, 0.0, 0.2, 0.3, 0.5});
    EXPECT_EQ(closest(references, {1, 1}, {1, 2, 9})[2], 0.0) << "the first policy forbids it";
    Values alone = closest(references, {0, 1}, {0, 0, 0});
    EXPECT_NEAR(alone[2], 0.5, 1e-12) << "the first policy is left out";
    EXPECT_EQ(closest(references, {1e-300, 1e-300}, {1, 2, 9}), (Values{0, 1, 0})) << "the best that both allow";
    Values near = closest(references, {1e9, 1e9}, {1, 2, 0});
    EXPECT_NEAR(near[0], std::sqrt(0.5 * 0.2) / (std::sqrt(0.5 * 0.2) + std::sqrt(0.5 * 0.3)), 1e-8);
    EXPECT_EQ(regularizer::divergence_from<double>(alone, View(references).first(3)), infinity);
    expect_error([&] { closest(references, {0, 0}, {1, 2, 9}); }, "their sum is 0");
    expect_error([&] { closest(references, {1, -1}, {1, 2, 9}); }, "one is -1");
    expect_error([&] { closest(logarithms({1, 0, 0, 1}), {1, 1}, {0, 0}); }, "no action that all policies allow");
    expect_error([&] { closest(references, {1, 1}, {infinity, 0, 0}); }, "advantage of action 0 is inf");
}

using Towards = Batch<double, columns<col::mask, col::logp, col::logp_behaviour, col::logp_ref, col::advantage,
                                      col::importance_weight, col::grad<col::logp>>>;
/// The weighted likelihood over all actions, weighed by what drew them, has the closest policy as its best one.
RC_GTEST_PROP(Tscac, TheProjectionOfAllActionsIsTheClosestPolicy, (std::uint32_t seed)) {
    Numbers numbers(seed);
    constexpr std::int64_t actions = 4;
    Values first = logarithms(random_policy(numbers, actions)), second = logarithms(random_policy(numbers, actions)),
           behaviour = random_policy(numbers, actions), advantage = numbers.reals(actions);
    surrogate::TowardsReferences<2> term{.multiplier = {0.7, 0.5}, .log_weight_max = 100};
    Towards batch(std::vector<std::int64_t>{0, actions});
    batch.set_width(col::logp_ref{}, 2);
    for (std::size_t a = 0; a < actions; ++a) {
        batch[col::mask{}][a] = 1;
        batch[col::logp_ref{}][2 * a] = first[a];
        batch[col::logp_ref{}][2 * a + 1] = second[a];
        batch[col::logp_behaviour{}][a] = std::log(behaviour[a]);
        batch[col::advantage{}][a] = advantage[a];
    }
    backend::Host host;
    roars::Run run{host};
    term.prepare(run, batch);
    Values policy(actions);  // maximises sum of behaviour weight log policy
    for (std::size_t a = 0; a < actions; ++a) policy[a] = behaviour[a] * batch[col::importance_weight{}][a];
    double sum = std::accumulate(policy.begin(), policy.end(), 0.0);
    for (double& p : policy) p /= sum;
    Values references = first;
    references.insert(references.end(), second.begin(), second.end());
    Values best = closest(references, {0.7, 0.5}, advantage);
    RC_ASSERT(regularizer::divergence_from<double>(policy, logarithms(best)) < 1e-6);
    for (std::size_t a = 0; a < actions; ++a) RC_ASSERT(std::abs(policy[a] - best[a]) < 1e-12);
    for (double& logp : batch[col::logp{}]) logp = -1;
    mean_loss(term, batch);
    for (std::size_t a = 0; a < actions; ++a)
        RC_ASSERT(batch[col::grad<col::logp>{}][a] == -batch[col::importance_weight{}][a] / actions);
}
TEST(Tscac, AForbiddenActionHasNoWeightAndALargeAdvantageIsCapped) {
    surrogate::TowardsReferences<2> term{.multiplier = {1e-4, 0}};
    Towards batch(std::vector<std::int64_t>{0, 3});
    batch.set_width(col::logp_ref{}, 2);
    for (double& mask : batch[col::mask{}]) mask = 1;
    batch[col::mask{}][2] = 0;
    batch[col::advantage{}][0] = batch[col::advantage{}][1] = 1e6;
    batch[col::logp_ref{}][0] = -infinity;
    batch[col::logp_ref{}][3] = -infinity;  // of the policy that is left out
    batch[col::logp_ref{}][4] = nan;
    backend::Host host;
    roars::Run run{host};
    term.prepare(run, batch);
    EXPECT_EQ(batch[col::importance_weight{}][0], 0.0);
    EXPECT_NEAR(batch[col::importance_weight{}][1], 20.0, 1e-12);
    EXPECT_EQ(batch[col::importance_weight{}][2], 0.0);
    EXPECT_TRUE(std::isfinite(mean_loss(term, batch)));
    term.multiplier = {0, 0};
    expect_error([&] { term.prepare(run, batch); }, "their sum is 0");
    batch.set_width(col::logp_ref{}, 1);
    expect_error([&] { surrogate::TowardsReferences<2>{}.prepare(run, batch); }, "logp_ref has 3 values, expected 6");
}

using Actions = Batch<double, columns<col::mask, col::policy_action, col::reference_action, col::q, col::q_gradient,
                                      col::grad<col::policy_action>>>;
/// The critic q(a) = -|a - 1|^2; what damps is held fixed.
RC_GTEST_PROP(Tscac, ThePullAndTheDampedClimbHaveTheirSlopes, (std::uint32_t seed)) {
    Numbers numbers(seed);
    std::int64_t rows = numbers.whole(1, 4), width = numbers.whole(1, 3), policies = numbers.whole(1, 3);
    Actions batch(std::vector<std::int64_t>{0, rows});
    for (double& mask : batch[col::mask{}]) mask = 1;
    fill(batch, col::policy_action{}, numbers, width);
    fill(batch, col::reference_action{}, numbers, policies * width);
    batch.set_width(col::q_gradient{}, width);
    surrogate::DampedClimb climb{.sigma = 0.6, .coefficient = 1.5};
    regularizer::NearReferences near{0.3};
    Values damp;
    for (std::int64_t i = 0; i < rows; ++i)
        damp.push_back(
            climb.similarity<double>(batch.row(col::policy_action{}, i), batch.row(col::reference_action{}, i)));
    auto value = [&] {
        double sum = 0;
        for (std::int64_t i = 0; i < rows; ++i) {
            double q = 0;
            for (std::size_t d = 0; d < std::size_t(width); ++d) {
                double away = batch.row(col::policy_action{}, i)[d] - 1;
                batch.row(col::q_gradient{}, i)[d] = -2 * away;
                q -= away * away;
            }
            batch[col::q{}][std::size_t(i)] = q;
            sum -= climb.coefficient * damp[std::size_t(i)] * q / double(rows);
        }
        return sum;
    };
    auto check = [&](const auto& term, auto&& loss) {
        value();
        mean_loss(term, batch);
        auto gradient = batch[col::grad<col::policy_action>{}];
        Values slope(gradient.begin(), gradient.end()),
            action(batch[col::policy_action{}].begin(), batch[col::policy_action{}].end());
        expect_slope(action, slope, [&] {
            std::copy(action.begin(), action.end(), batch[col::policy_action{}].begin());
            return loss();
        });
    };
    check(climb, value);
    check(near, [&] { return mean_loss(near, batch); });
    RC_ASSERT(!::testing::Test::HasFailure());
    for (double g : damp) RC_ASSERT(g >= 0.0 && g <= 1.0);
}
TEST(Tscac, FarFromTheFrozenPoliciesTheClimbStops) {
    surrogate::DampedClimb climb{.sigma = 0.1};
    Values near{0.5}, far{1e6}, none;
    EXPECT_EQ(climb.similarity<double>(near, near), 1.0) << "a density above 1 is held";
    EXPECT_EQ(climb.similarity<double>(near, far), 0.0);
    EXPECT_EQ(climb.similarity<double>(near, none), 1.0) << "nothing to stay near";
    Actions batch(std::vector<std::int64_t>{0, 1});
    backend::Host host;
    roars::Run run{host};
    expect_error([&] { surrogate::DampedClimb{.sigma = 0}.prepare(run, batch); }, "sigma is 0");
}

RC_GTEST_PROP(Tscac, OfItsOwnRowsAPolicyEarnsTheirMean, (std::uint32_t seed)) {
    Numbers numbers(seed);
    Values logp = numbers.reals(9, -3, 0), reward = numbers.reals(18);
    auto found = metrics::capped_importance_sampling<double>(logp, logp, reward, 2);
    for (std::size_t m = 0; m < 2; ++m) {
        double mean = 0;
        for (std::size_t i = 0; i < 9; ++i) mean += reward[2 * i + m] / 9;
        RC_ASSERT(std::abs(found.estimate[m] - mean) < 1e-12);
    }
    RC_ASSERT(std::abs(found.effective_rows - 9) < 1e-9);
    Values other = numbers.reals(9, -3, 0);  // an estimate lies between the rewards
    auto moved = metrics::capped_importance_sampling<double>(other, logp, reward, 2, 3.0);
    for (double ratio : moved.ratio) RC_ASSERT(ratio <= 3.0);
    RC_ASSERT(moved.estimate[0] >= -2 && moved.estimate[0] <= 2);
}
TEST(Tscac, AnEstimateOfNothingIsNoNumber) {
    Values forbidden{-infinity, -infinity}, behaviour{-1, -infinity}, reward{1, nan}, none;
    auto found = metrics::capped_importance_sampling<double>(forbidden, behaviour, reward, 1);
    EXPECT_EQ(found.ratio, (Values{0, 0}));
    EXPECT_TRUE(std::isnan(found.estimate[0]));
    EXPECT_EQ(found.effective_rows, 0.0);
    EXPECT_TRUE(std::isnan(metrics::capped_importance_sampling<double>(none, none, none, 1).estimate[0]));
    Values half{-1, -infinity};
    EXPECT_EQ(metrics::capped_importance_sampling<double>(half, behaviour, reward, 1).estimate[0], 1.0);
}

/// The whole of the second stage on rows of a log: what the parts say of it together.
TEST(Tscac, TheStagesAreAlgorithmsOfOneResponseEach) {
    using Second = methods::TscacMain<2>;
    static_assert(contains_v<col::logp_ref, Second::Inputs> &&
                  !contains_v<col::logp_ref, methods::TscacResponse::Inputs>);
    Numbers numbers(5);
    Second::BatchFor<double> batch(std::vector<std::int64_t>{0, 1, 2, 3});
    fill(batch, col::step_reward{}, numbers, 3);
    fill(batch, col::logp_ref{}, numbers, 2);
    for (double& logp : batch[col::logp_ref{}]) logp -= 2;
    for (std::size_t i = 0; i < 3; ++i) {
        batch[col::mask{}][i] = 1;
        batch[col::logp{}][i] = numbers.real(-3, 0), batch[col::logp_behaviour{}][i] = numbers.real(-3, 0);
        batch[col::value{}][i] = numbers.real(-1, 1), batch[col::next_value{}][i] = numbers.real(-1, 1);
        batch[col::terminated{}][i] = batch[col::done{}][i] = i == 1;
    }
    Second second{.reward = {2}, .advantage = {.gamma = 0.9, .lambda = 0, .critic = {2.0}}};
    second.optimizer.surrogate.multiplier = {0.5, 1.5};
    auto result = loss(second, batch);
    double expected = 0, error = 0;
    for (std::size_t i = 0; i < 3; ++i) {
        double next = i == 1 ? 0.0 : batch[col::next_value{}][i],
               advantage = batch[col::step_reward{}][3 * i + 2] + 0.9 * next - batch[col::value{}][i],
               closeness = 0.25 * batch[col::logp_ref{}][2 * i] + 0.75 * batch[col::logp_ref{}][2 * i + 1],
               weight = std::min(20.0, std::exp(closeness - batch[col::logp_behaviour{}][i] + advantage / 2));
        expected -= weight * batch[col::logp{}][i] / 3;
        error += advantage * advantage / 3;
        EXPECT_NEAR(batch[col::grad<col::logp>{}][i], -weight / 3, 1e-9);
        EXPECT_NEAR(batch[col::grad<col::value>{}][i], -2 * advantage / 3, 1e-12);
    }
    EXPECT_NEAR(result.term_loss[0], expected, 1e-9);
    EXPECT_NEAR(result.term_loss[1], error, 1e-12);
}

/// Both stages on a log with five responses a step: the main response rises, and a larger multiplier keeps the
/// auxiliary ones better.
TEST(Tscac, TwoStagesOnALogOfFiveResponses) {
    tasks::Sessions task({.users = 3, .items = 6, .rows = 6000}, 1);
    std::array<double, 5> logged{};
    for (const auto& row : task.log())
        for (std::size_t m = 0; m < 5; ++m) logged[m] += double(row.response[m]) / double(task.log().size());
    auto as_logged = task.worth([&](std::int64_t u) { return task.behaviour().subspan(std::size_t(u * 6), 6); });
    for (std::size_t m = 0; m < 5; ++m) EXPECT_NEAR(logged[m], as_logged[m], 0.03 + 0.05 * std::abs(as_logged[m]));

    backend::Host host;
    auto learn = [&](auto method, train::LogLearner& learner, int iterations, std::uint64_t seed) {
        method.sampler.batch_size = 256;
        method.optimizer.step = {.learning_rate = 0.05, .weight_decay = 0};
        train::Trainer<decltype(method), train::LogLearner> trainer(method, learner);
        for (int i = 0; i < iterations; ++i) {
            roars::Run run{host, Random(seed).at(std::uint32_t(i)), Progress{i, iterations}};
            trainer.iterate(run);
        }
    };
    auto two_stages = [&](double multiplier) {
        train::LogLearner learner(task);
        auto second = methods::tscac_main;
        expect_error([&] { learn(second, learner, 1, 9); }, "no policy is frozen");
        for (std::int64_t k = 1; k < 5; ++k) {
            auto first = methods::tscac_response;
            first.reward.index = k;
            learn(first, learner, 100, std::uint64_t(k));
            EXPECT_GT(learner.worth()[std::size_t(k)], as_logged[std::size_t(k)]) << "a policy of response " << k;
            learner.set_reference();
        }
        EXPECT_EQ(learner.frozen().size(), 4u);
        second.optimizer.surrogate.multiplier.fill(multiplier);
        learn(second, learner, 200, 7);
        return learner.worth();
    };
    const auto near = two_stages(1.0), far = two_stages(0.1);
    EXPECT_GT(far[0], 1.15 * as_logged[0]) << "the main response";
    EXPECT_GT(far[0], near[0] + 0.1);
    EXPECT_GT(near[1], far[1] + 0.01) << "clicks";
    EXPECT_GT(near[1], as_logged[1]);
}

/// The same as one method of five stages.
TEST(Tscac, TheStagesFreezeAPolicyOfEachResponse) {
    tasks::Sessions task({.users = 3, .items = 6, .rows = 6000}, 1);
    train::LogLearner learner(task);
    auto method = methods::tscac;
    for_each_algorithm(method, [](auto& algorithm) {
        algorithm.sampler.batch_size = 256;
        algorithm.optimizer.step = {.learning_rate = 0.05, .weight_decay = 0};
    });
    apply(method, [](auto&... stage) { ((stage.iterations = 100), ...); });
    get<4>(method).algorithm.optimizer.surrogate.multiplier.fill(1.0);
    train::StagedTrainer<methods::Tscac, train::LogLearner> trainer(method, learner);
    backend::Host host;
    for (int i = 0; i < 500; ++i) {
        roars::Run run{host, Random(1).at(std::uint32_t(i)), Progress{i, 500}};
        trainer.advance(run);
    }
    auto as_logged = task.worth([&](std::int64_t u) { return task.behaviour().subspan(std::size_t(u * 6), 6); });
    ASSERT_EQ(learner.frozen().size(), 4u);
    for (std::size_t k = 1; k < 5; ++k) EXPECT_GT(learner.worth(learner.frozen()[k - 1])[k], as_logged[k]);
    EXPECT_GT(learner.worth()[1], as_logged[1]);
}

}  // namespace
}  // namespace roars::tscac_test

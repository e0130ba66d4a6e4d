#include <gtest/gtest.h>

#include "../advantage/random_batch.hpp"
#include "roars/critic/double_q.hpp"
#include "roars/critic/multistep.hpp"
#include "roars/critic/soft_actor_critic.hpp"
#include "roars/critic/target_network.hpp"
#include "roars/critic/twin_delayed.hpp"

namespace roars::targets_test {
namespace {

using StepColumns =
    columns<col::token_reward, col::next_value, col::terminated, col::done, col::q, col::logp, col::logp_old>;
using Steps = critic::Steps<double>;
using View = std::span<const double>;

/// The target of any of the parts for several steps.
template <class Part, class BatchType>
std::vector<double> target_of(const Part& part, const BatchType& batch, backend::Host host = {}) {
    std::vector<double> target(static_cast<std::size_t>(batch.tokens()));
    if constexpr (std::is_same_v<Part, critic::Retrace>)
        part.target(host, critic::steps_of(batch), View(batch[col::q{}]), View(batch[col::logp{}]),
                    View(batch[col::logp_old{}]), std::span(target));
    else
        part.target(host, critic::steps_of(batch), std::span(target));
    return target;
}
void expect_close(const std::vector<double>& a, const std::vector<double>& b) {
    RC_ASSERT(a.size() == b.size());
    for (std::size_t t = 0; t < a.size(); ++t) RC_ASSERT(close(a[t], b[t]));
}

RC_GTEST_PROP(MultistepTargets, WithoutLookaheadAreTheOneStepTarget, ()) {
    Draw draw = any_draw();
    auto batch = random_batch<StepColumns>(draw);
    std::vector<double> expected;
    for (std::size_t t = 0; t < batch[col::q{}].size(); ++t)
        expected.push_back(batch[col::token_reward{}][t] +
                           (batch[col::terminated{}][t] != 0 ? 0.0 : 0.9 * batch[col::next_value{}][t]));
    expect_close(target_of(critic::LambdaReturn{.gamma = 0.9, .lambda = 0}, batch), expected);
    expect_close(target_of(critic::Retrace{.gamma = 0.9, .lambda = 0}, batch), expected);
    expect_close(target_of(critic::NStep{.gamma = 0.9, .n = 1}, batch), expected);
}

RC_GTEST_PROP(NStep, OfTheWholeEpisodeIsTheLambdaReturnWithLambdaOne, ()) {
    Draw draw = any_draw();
    auto batch = random_batch<StepColumns>(draw, 40);
    auto whole = target_of(critic::LambdaReturn{.gamma = 0.9, .lambda = 1}, batch, small_grain(draw));
    expect_close(target_of(critic::NStep{.gamma = 0.9, .n = 1000}, batch, small_grain(draw)), whole);
}

RC_GTEST_PROP(Retrace, OnPolicyWithTheValuesOfItsActionsIsTheLambdaReturn, ()) {
    Draw draw = any_draw();
    auto batch = random_batch<StepColumns>(draw);
    std::copy(batch[col::logp{}].begin(), batch[col::logp{}].end(), batch[col::logp_old{}].begin());
    auto offsets = batch.token_offsets();
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
        for (auto t = std::size_t(offsets[i]); t + 1 < std::size_t(offsets[i + 1]); ++t)
            batch[col::q{}][t + 1] = batch[col::next_value{}][t];
    expect_close(target_of(critic::Retrace{.gamma = 0.9, .lambda = 0.7}, batch, small_grain(draw)),
                 target_of(critic::LambdaReturn{.gamma = 0.9, .lambda = 0.7}, batch));
}

template <class Part>
void expect_nothing_from_behind_an_end(const Part& part) {
    Draw draw = any_draw();
    auto batch = random_batch<StepColumns>(draw);
    auto before = target_of(part, batch, small_grain(draw));
    auto offsets = batch.token_offsets();
    // Behind a step that is done everything is another episode, and behind a termination there is no next value.
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
        for (auto t = std::size_t(offsets[i]); t < std::size_t(offsets[i + 1]); ++t) {
            if (batch[col::terminated{}][t] != 0) batch[col::next_value{}][t] = not_a_number;
            if (batch[col::done{}][t] == 0) continue;
            auto after = target_of(part, batch, small_grain(draw));
            for (auto k = std::size_t(offsets[i]); k <= t; ++k) RC_ASSERT(close(after[k], before[k]));
            if (t + 1 < std::size_t(offsets[i + 1])) {
                auto spoilt = batch;
                for (auto k = t + 1; k < std::size_t(offsets[i + 1]); ++k)
                    spoilt[col::token_reward{}][k] = spoilt[col::q{}][k] = not_a_number;
                auto cut = target_of(part, spoilt, small_grain(draw));
                for (auto k = std::size_t(offsets[i]); k <= t; ++k) RC_ASSERT(close(cut[k], before[k]));
            }
        }
}
RC_GTEST_PROP(LambdaReturn, StopsAtAnEnd, ()) { expect_nothing_from_behind_an_end(critic::LambdaReturn{}); }
RC_GTEST_PROP(Retrace, StopsAtAnEnd, ()) { expect_nothing_from_behind_an_end(critic::Retrace{}); }
RC_GTEST_PROP(NStep, StopsAtAnEnd, ()) { expect_nothing_from_behind_an_end(critic::NStep{}); }

TEST(NStep, RefusesZeroSteps) {
    Batch<double, StepColumns> batch(std::vector<std::int64_t>{0, 1});
    EXPECT_THROW(target_of(critic::NStep{.n = 0}, batch), Error);
}

const std::vector<double> reward{1, 2}, terminated{0, 1}, q1{3, not_a_number}, q2{4, not_a_number},
    logp{-1, not_a_number};

TEST(ControlTargets, TakeTheSmallerCriticAndNothingBehindATermination) {
    backend::Host host;
    std::vector<double> target(2);
    critic::SoftActorCritic{.gamma = 0.5}.target(host, 0.1, View(reward), View(terminated), View(q1), View(q2),
                                                 View(logp), std::span(target));
    EXPECT_DOUBLE_EQ(target[0], 1 + 0.5 * (3 + 0.1));
    EXPECT_EQ(target[1], 2.0);
    critic::TwinDelayed{.gamma = 0.5}.target(host, View(reward), View(terminated), View(q1), View(q2),
                                             std::span(target));
    EXPECT_EQ(target, (std::vector<double>{2.5, 2.0}));
}

TEST(SoftActorCritic, RaisesTheTemperatureWhereTheEntropyIsTooSmall) {
    backend::Host host;
    critic::SoftActorCritic sac{.target_entropy = 2.0};
    const std::vector<double> certain{-0.5, -0.5}, spread{-3.0, -3.0};
    EXPECT_DOUBLE_EQ(sac.temperature_slope(host, View(certain)), -1.5);  // descent on log alpha raises it
    EXPECT_DOUBLE_EQ(sac.temperature_slope(host, View(spread)), 1.0);
    EXPECT_EQ(sac.temperature_slope(host, View()), 0.0);
    EXPECT_DOUBLE_EQ(sac.actor_loss(host, 0.1, View(certain), View(spread)), -0.05 + 3.0);
}

TEST(TwinDelayed, ItsActionStaysInBounds) {
    backend::Host host;
    const std::vector<double> policy{0.0, 0.9, -1.0}, noise{100, 100, 0.5};
    std::vector<double> action(3);
    critic::TwinDelayed{.sigma = 0.2, .noise_clip = 0.3}.smooth(host, View(policy), View(noise), std::span(action));
    EXPECT_EQ(action, (std::vector<double>{0.3, 1.0, -0.9}));
}

TEST(DoubleQ, ChoosesOnlineAndValuesByTheTarget) {
    backend::Host host;
    const std::vector<double> online{1, 5, 5, 0, 0, 0}, valued{10, 20, 30, not_a_number, not_a_number, not_a_number};
    std::vector<double> target(2);
    critic::DoubleQ{.gamma = 0.5}.target(host, View(reward), View(terminated), critic::Rows<const double>{online, 3},
                                         critic::Rows<const double>{valued, 3}, std::span(target));
    EXPECT_EQ(target, (std::vector<double>{11.0, 2.0}));
}

TEST(Polyak, GoesFromStandingStillToACopy) {
    backend::Host host;
    const std::vector<double> online{1, 2, 3};
    std::vector<double> target{0, 0, 4};
    critic::Polyak{.tau = 0}.follow(host, View(online), std::span(target));
    EXPECT_EQ(target, (std::vector<double>{0, 0, 4}));
    critic::Polyak{.tau = 0.5}.follow(host, View(online), std::span(target));
    EXPECT_EQ(target, (std::vector<double>{0.5, 1, 3.5}));
    critic::Polyak{.tau = 1}.follow(host, View(online), std::span(target));
    EXPECT_EQ(target, online);
    EXPECT_THROW(critic::Polyak{}.follow(host, View(online).first(2), std::span(target)), Error);
}

}  // namespace
}  // namespace roars::targets_test

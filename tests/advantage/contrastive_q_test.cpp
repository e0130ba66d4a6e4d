#include "roars/advantage/contrastive_q.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "roars/methods/dual_rl.hpp"

namespace roars::contrastive_q_test {
namespace {

// An imitation reads no reward, and f-DVL reads no actions of the policy.
static_assert(!contains_v<col::step_reward, methods::Recoil::Inputs>);
static_assert(contains_v<col::external, methods::Recoil::Inputs>);
static_assert(!contains_v<col::policy_action, methods::Fdvl::Inputs>);

template <class Part>
using BatchOf = Batch<double, unite_t<needs_of<Part>, columns<col::mask, col::advantage>>>;

/// Rows of two numbers a state and one an action; `experts` of them are the expert's, scattered among the others.
template <class Part>
BatchOf<Part> random_rows(std::uint32_t seed, std::int64_t rows, std::int64_t experts) {
    std::mt19937 engine(seed);
    std::uniform_real_distribution<double> any(-1, 1);
    BatchOf<Part> batch(std::vector<std::int64_t>{0, rows});
    batch.set_width(col::state{}, 2), batch.set_width(col::next_state{}, 2);
    for_each_column(needs_of<Part>{}, [&](auto column) {
        for (double& x : batch[column]) x = any(engine);
    });
    for (std::size_t i = 0; i < std::size_t(rows); ++i) {
        batch[col::mask{}][i] = 1;
        batch[col::terminated{}][i] = i % 3 == 2;
        if constexpr (contains_v<col::external, needs_of<Part>>)
            batch[col::external{}][i] = std::int64_t(rows - 1 - std::int64_t(i)) < experts;
    }
    return batch;
}
template <class Part>
Part small(Part part) {
    part.network = {.width = 4, .layers = 1};
    part.step.learning_rate = 0.0;  // the first moments then hold a tenth of the gradient
    part.polyak.tau = 0.0;
    return part;
}
template <class Part>
using StateOf = typename Part::template StateOf<double>;

template <class Part>
double learn(const Part& part, StateOf<Part>& state, BatchOf<Part>& batch) {
    backend::Host host;
    roars::Run run{host, Random(5)};
    part.learn(run, state, batch);
    return state.loss;
}
/// The gradient of the critics' loss by the parameters of `network` is that of the loss.
template <class Part, class Network>
void check_gradient(const Part& part, BatchOf<Part> batch, Network&& network) {
    StateOf<Part> state;
    learn(part, state, batch);
    auto moments = network(state).moments.first;
    ASSERT_FALSE(moments.empty());
    for (std::size_t i = 0; i < moments.size(); ++i) {
        auto loss_at = [&](double step) {
            StateOf<Part> moved = state;
            network(moved).online[i] += step;
            return learn(part, moved, batch);
        };
        const double h = 1e-6, found = (loss_at(h) - loss_at(-h)) / (2 * h);
        EXPECT_NEAR(10 * moments[i], found, 2e-6 * std::max(1.0, std::abs(found))) << "parameter " << i;
    }
}
auto action_values = [](auto& state) -> auto& { return state.action_values; };
auto values = [](auto& state) -> auto& { return state.values; };

TEST(ContrastiveQ, TheCriticsFollowTheSlopesOfRecoil) {
    auto part = small(methods::recoil.advantage);
    for (std::uint32_t seed = 0; seed < 3; ++seed)
        check_gradient(part, random_rows<decltype(part)>(seed, 7, 3), action_values);
    auto stabilised = small(methods::recoil_stabilised.advantage);
    stabilised.action_loss.q_max = 2.0;
    check_gradient(stabilised, random_rows<decltype(stabilised)>(4, 7, 3), action_values);
}
TEST(ContrastiveQ, TheValueFollowsTheSlopesOfItsLoss) {
    auto part = small(methods::recoil.advantage);
    part.action_loss.gamma = 0.0;  // else the critics' constant target moves with it
    check_gradient(part, random_rows<decltype(part)>(6, 7, 3), values);
    auto f_dvl = small(methods::f_dvl.advantage);
    f_dvl.gamma = 0.0;
    check_gradient(f_dvl, random_rows<decltype(f_dvl)>(7, 6, 0), values);
    auto variation = small(methods::f_dvl_variation.advantage);
    variation.gamma = 0.0;
    check_gradient(variation, random_rows<decltype(variation)>(8, 6, 0), values);
}
TEST(ContrastiveQ, CriticsOfFDvlFollowTheHuberLoss) {
    auto part = small(methods::f_dvl.advantage);
    part.action_loss.delta = 0.3;
    check_gradient(part, random_rows<decltype(part)>(9, 6, 0), action_values);
}

TEST(ContrastiveQ, TheExpertsActionsBecomeTheBetterOnes) {
    auto part = methods::recoil.advantage;
    part.network = {.width = 16, .layers = 1};
    part.step.learning_rate = 1e-2;
    part.polyak.tau = 0.1;
    auto batch = random_rows<decltype(part)>(1, 20, 10);
    for (std::size_t i = 0; i < 20; ++i) {
        bool expert = batch[col::external{}][i] != 0;
        batch[col::action{}][i] = expert ? 0.8 : -0.8;
        batch[col::policy_action{}][i] = -0.8;
    }
    StateOf<decltype(part)> state;
    backend::Host host;
    roars::Run run{host, Random(2)};
    for (int i = 0; i < 300; ++i) part.learn(run, state, batch);
    part.estimate(run, state, batch);
    double expert = 0, other = 0;
    for (std::size_t i = 0; i < 20; ++i)
        (batch[col::external{}][i] != 0 ? expert : other) += batch[col::advantage{}][i] / 10;
    EXPECT_GT(expert, 3 * other);
}

TEST(ContrastiveQ, MaskedRowsDoNotCountAndAnEndIsNotLookedBehind) {
    auto part = small(methods::recoil.advantage);
    auto batch = random_rows<decltype(part)>(3, 8, 4);
    batch[col::mask{}][1] = 0;
    auto other = batch;
    other[col::action{}][1] = 0.9, other[col::policy_action{}][1] = -0.9, other[col::state{}][2] = 0.3;
    StateOf<decltype(part)> first, second;
    EXPECT_EQ(learn(part, first, batch), learn(part, second, other));
    backend::Host host;
    roars::Run run{host, Random(5)};
    part.estimate(run, first, batch);
    EXPECT_EQ(batch[col::advantage{}][1], 0.0);
    auto ends = batch;
    for (double& flag : ends[col::terminated{}]) flag = 1;
    auto elsewhere = ends;
    for (double& x : elsewhere[col::next_state{}]) x += 1;
    StateOf<decltype(part)> third, fourth;
    EXPECT_EQ(learn(part, third, ends), learn(part, fourth, elsewhere));
}
TEST(ContrastiveQ, RowsOfOneKindAndNoRows) {
    auto part = small(methods::recoil.advantage);
    StateOf<decltype(part)> state;
    auto no_expert = random_rows<decltype(part)>(3, 4, 0), no_other = random_rows<decltype(part)>(3, 4, 4);
    EXPECT_THROW(learn(part, state, no_expert), Error);
    EXPECT_THROW(learn(part, state, no_other), Error);
    part.action_loss.beta = 1.0;
    EXPECT_TRUE(std::isfinite(learn(part, state, no_other)));
    BatchOf<decltype(part)> empty;
    StateOf<decltype(part)> fresh;
    EXPECT_EQ(learn(part, fresh, empty), 0.0);
}

}  // namespace
}  // namespace roars::contrastive_q_test

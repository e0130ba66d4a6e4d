#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "roars/advantage/conservative_lagrangian.hpp"
#include "roars/critic/action_targets.hpp"
#include "roars/random.hpp"
#include "roars/run.hpp"

namespace roars::conservative_lagrangian_test {
namespace {

using Part = advantage::ActionCritics<critic::SoftTarget, advantage::penalty::ConservativeLagrangian>;
using State = Part::StateOf<double>;
using Rows = Batch<double, unite_t<unite_t<needs_of<Part>, gives_of<Part>>, columns<col::mask>>>;

constexpr std::int64_t rows = 7, samples = 3;

/// Random rows, each with a few sampled actions of known density.
Rows random_rows() {
    Rows batch;
    const std::int64_t whole[] = {0, rows};
    batch.reshape(whole);
    std::uint32_t number = 0;
    auto fill = [&]<class Column>(Column column, std::int64_t width) {
        batch.set_width(column, width);
        fill_normal(Random(17), ++number, batch[column]);
    };
    fill(col::state{}, 2), fill(col::next_state{}, 2), fill(col::action{}, 1), fill(col::policy_action{}, 1);
    fill(col::next_policy_action{}, 1), fill(col::next_bonus{}, 1), fill(col::token_reward{}, 1);
    fill(col::sampled_action{}, samples), fill(col::sampled_logp{}, samples);
    for (std::size_t t = 0; t < std::size_t(rows); ++t) {
        batch[col::mask{}][t] = 1;
        batch[col::terminated{}][t] = t % 3 == 0;
    }
    return batch;
}

struct Critics {
    backend::Host host;
    roars::Run<backend::Host> run{host, Random(3)};
    Rows batch = random_rows();
    Part part{.network = {.width = 5, .layers = 1}, .critics = 2};
    State state;

    double learn() {
        part.learn(run, state, batch);
        return state.loss;
    }
    /// The loss at other numbers; nothing is learned.
    template <class Change>
    double loss_with(Change&& change) const {
        Critics copy;
        copy.part = part;
        copy.part.step.learning_rate = copy.part.penalty.multiplier.step.learning_rate = 0;
        copy.learn();  // opens the networks
        copy.state.networks.online = state.networks.online;
        copy.state.networks.target = state.networks.target;
        copy.state.penalty.multiplier = state.penalty.multiplier;
        change(copy.state);
        return copy.learn();
    }
};

TEST(ConservativeLagrangian, TheCriticsGradientIsThatOfTheLossAtAConstantMultiplier) {
    Critics critics;
    critics.part.step.learning_rate = 0;
    critics.part.penalty.multiplier.step.learning_rate = 0;
    critics.part.penalty.gap = {.weight = 2.0, .temperature = 0.7};
    critics.state.penalty.multiplier.log_weight = 0.4;
    critics.learn();
    const auto& first = critics.state.networks.moments.first;  // 1 - beta1 of the gradient, behind one step
    const double h = 1e-6;
    for (std::size_t i = 0; i < first.size(); ++i) {
        auto at = [&](double by) { return critics.loss_with([&](State& state) { state.networks.online[i] += by; }); };
        EXPECT_NEAR(first[i] / (1 - critics.part.step.beta1), (at(h) - at(-h)) / (2 * h), 1e-5) << i;
    }
}

/// alpha goes up the critics' loss, as a constant factor of its slope by u = log alpha: half of the mean over critics.
TEST(ConservativeLagrangian, TheMultiplierClimbsTheLossThatTheCriticsGoDown) {
    Critics critics;
    critics.part.penalty.multiplier.target = 0.5;
    critics.state.penalty.multiplier.log_weight = -0.3;
    const double h = 1e-6;
    auto before = critics;
    critics.learn();
    before.part.step.learning_rate = 0;
    before.part.penalty.multiplier.step.learning_rate = 0;
    before.learn();
    auto at = [&](double by) {
        return before.loss_with([&](State& state) { state.penalty.multiplier.log_weight += by; });
    };
    const auto& moments = critics.state.penalty.multiplier.moments;
    ASSERT_EQ(moments.steps, 1);
    const double slope = moments.first[0] / (1 - critics.part.penalty.multiplier.step.beta1);
    EXPECT_NEAR(slope, -0.5 * (at(h) - at(-h)) / (2 * h) / double(critics.part.critics), 1e-6);
}

TEST(ConservativeLagrangian, TheMultiplierRisesAboveTheThresholdAndFallsBelowIt) {
    auto change = [](double threshold_above_gap) {
        Critics critics;
        critics.learn();
        critics.state.penalty.multiplier = {};
        critics.part.penalty.multiplier.target = critics.state.penalty.gap + threshold_above_gap;
        critics.part.step.learning_rate = 0;
        for (int i = 0; i < 5; ++i) critics.learn();
        return critics.state.penalty.multiplier.log_weight;
    };
    EXPECT_GT(change(-0.5), 0.0);
    EXPECT_LT(change(0.5), 0.0);
}

/// One state, an action a row that pays 0, 1, ... 6, all of them sampled: the table of values that the data says has
/// the gap log sum_j e^j - 3, and no table has a smaller one than log 7.
TEST(ConservativeLagrangian, TheGapComesDownToTheThresholdAndAMultiplierWithoutWorkVanishes) {
    Critics critics;
    Rows& batch = critics.batch;
    batch.set_width(col::sampled_action{}, rows), batch.set_width(col::sampled_logp{}, rows);
    double sum = 0;
    for (std::size_t t = 0; t < std::size_t(rows); ++t) {
        batch[col::state{}][2 * t] = batch[col::state{}][2 * t + 1] = 0;
        batch[col::action{}][t] = double(t) / 3 - 1;
        batch[col::token_reward{}][t] = double(t);
        batch[col::terminated{}][t] = 1;
        for (std::size_t j = 0; j < std::size_t(rows); ++j) {
            batch[col::sampled_action{}][std::size_t(rows) * t + j] = double(j) / 3 - 1;
            batch[col::sampled_logp{}][std::size_t(rows) * t + j] = 0;
        }
        sum += std::exp(double(t));
    }
    const double of_the_data = std::log(sum) - 3;
    auto settle = [&](double threshold) {
        critics.state = {};
        critics.part.network.width = 16;
        critics.part.step.learning_rate = 3e-3;
        critics.part.penalty.gap.weight = 1.0;
        critics.part.penalty.multiplier = {.target = threshold, .step = {.learning_rate = 3e-3}};
        for (int i = 0; i < 6000; ++i) critics.learn();
        return critics.state.penalty.gap;
    };
    auto weight = [&] { return critics.part.penalty.multiplier.weight(critics.state.penalty.multiplier); };
    ASSERT_GT(of_the_data, 3.4);
    EXPECT_NEAR(settle(2.5), 2.5, 0.02);
    EXPECT_GT(weight(), 0.5);
    EXPECT_NEAR(settle(3.0), 3.0, 0.02);
    EXPECT_GT(weight(), 0.5);
    EXPECT_NEAR(settle(4.0), of_the_data, 0.02);
    const double before = weight();
    EXPECT_LT(before, 0.05);
    for (int i = 0; i < 6000; ++i) critics.learn();
    EXPECT_LT(weight(), 0.1 * before) << "and it goes on falling";
}

}  // namespace
}  // namespace roars::conservative_lagrangian_test

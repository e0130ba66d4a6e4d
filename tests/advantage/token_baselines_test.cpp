#include <gtest/gtest.h>

#include "random_batch.hpp"
#include "roars/advantage/exponential_weight.hpp"
#include "roars/advantage/optimal_token_baseline.hpp"
#include "roars/advantage/reward_to_go.hpp"

namespace roars::token_baselines_test {
namespace {

using advantage::OptimalTokenBaseline;
using advantage::RewardToGo;
using BaselineColumns = columns<col::groups, col::mask, col::token_reward, col::logp_old, col::sum_pi_squared,
                                col::importance_weight, col::greedy_outcome, col::advantage>;
using Weighted = OptimalTokenBaseline<weight::Column<col::importance_weight>>;

RC_GTEST_PROP(Remax, IsTheRewardToGoAboveTheGreedyAnswer, ()) {
    Draw draw = any_draw();
    auto batch = random_batch<BaselineColumns>(draw);
    spoil_masked(batch, columns<col::token_reward>{});
    auto to_go = estimated(RewardToGo{}, batch);
    auto remax = estimated(advantage::Remax{}, batch, small_grain(draw));
    auto offsets = batch.token_offsets();
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
        for (auto t = std::size_t(offsets[i]); t < std::size_t(offsets[i + 1]); ++t)
            RC_ASSERT(close(remax[t], batch[col::mask{}][t] != 0 ? to_go[t] - batch[col::greedy_outcome{}][i] : 0.0));
}

RC_GTEST_PROP(OptimalTokenBaseline, WeighedByTheEnergyTheAdvantagesAtAPlaceSumToZero, ()) {
    Draw draw = any_draw();
    auto batch = random_batch<BaselineColumns>(draw);
    spoil_masked(batch, columns<col::token_reward, col::logp_old, col::sum_pi_squared, col::importance_weight>{});
    auto advantage = estimated(Weighted{.eps = 0.0}, batch, small_grain(draw));
    auto to_go = estimated(RewardToGo{}, batch);
    auto tokens = batch.token_offsets();
    auto groups = batch[col::groups{}];
    for (std::size_t g = 0; g + 1 < groups.size(); ++g)
        for (std::int64_t place = 0; place < 20; ++place) {
            double product = 0, size = 0;
            std::vector<std::size_t> here;
            bool alone = true, first = true;
            for (auto i = std::size_t(groups[g]); i < std::size_t(groups[g + 1]); ++i) {
                if (tokens[i] + place >= tokens[i + 1]) continue;
                alone = first, first = false;
                if (batch[col::mask{}][std::size_t(tokens[i] + place)] == 0) continue;
                double energy = 0;
                for (std::int64_t t = tokens[i]; t <= tokens[i] + place; ++t) {
                    auto k = std::size_t(t);
                    if (batch[col::mask{}][k] != 0)
                        energy += (1 - 2 * std::exp(batch[col::logp_old{}][k]) + batch[col::sum_pi_squared{}][k]) *
                                  std::pow(batch[col::importance_weight{}][k], 2);
                }
                here.push_back(std::size_t(tokens[i] + place));
                product += energy * advantage[here.back()];
                size += std::abs(energy * advantage[here.back()]);
            }
            if (alone)
                for (std::size_t t : here) RC_ASSERT(close(advantage[t], to_go[t]));
            else
                RC_ASSERT(std::abs(product) <= 1e-8 * std::max(1.0, size));
        }
    for (std::size_t t = 0; t < advantage.size(); ++t)
        if (batch[col::mask{}][t] == 0) RC_ASSERT(advantage[t] == 0.0);
}

TEST(OptimalTokenBaseline, OfEqualEnergiesIsTheMean) {
    Batch<double, BaselineColumns> batch(std::vector<std::int64_t>{0, 1, 2}, std::vector<std::int64_t>{0, 2});
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    std::fill(batch[col::logp_old{}].begin(), batch[col::logp_old{}].end(), std::log(0.25));
    batch[col::token_reward{}][0] = 3.0;
    batch[col::token_reward{}][1] = 1.0;
    auto advantage = estimated(OptimalTokenBaseline<>{}, batch);
    EXPECT_NEAR(advantage[0], 1.0, 1e-7);
    EXPECT_NEAR(advantage[1], -1.0, 1e-7);
}

TEST(ExponentialWeight, IsCappedAndMasked) {
    Batch<double, columns<col::mask, col::q, col::value, col::advantage>> batch(std::vector<std::int64_t>{0, 4});
    std::copy_n(std::vector<double>{1, 1, 1, 0}.begin(), 4, batch[col::mask{}].begin());
    std::copy_n(std::vector<double>{0.5, 1000, -1e6, not_a_number}.begin(), 4, batch[col::q{}].begin());
    auto weight = estimated(advantage::ExponentialWeight<>{.temperature = 2.0, .cap = 7.0}, batch);
    EXPECT_DOUBLE_EQ(weight[0], std::exp(1.0));
    EXPECT_EQ(weight[1], 7.0);
    EXPECT_EQ(weight[2], 0.0);
    EXPECT_EQ(weight[3], 0.0);
}

}  // namespace
}  // namespace roars::token_baselines_test

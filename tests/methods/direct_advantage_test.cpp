#include "roars/methods/direct_advantage.hpp"
#include "../limits.hpp"

#include <limits>

#include "random_objective.hpp"
#include "roars/metrics/regression_optimum.hpp"

namespace roars::direct_advantage_test {
namespace {

using Candidates = Batch<double, columns<col::groups, col::reward, col::next_value, col::terminated, col::answer,
                                         col::sequence_advantage, col::selected>>;

/// Candidates of two tokens each.
Candidates candidates(const std::vector<std::int64_t>& states, const std::vector<double>& q,
                      const std::vector<int>& action, double gap = 0.1, const std::vector<int>& terminal = {}) {
    Candidates batch(offsets_of(std::vector<std::int64_t>(q.size(), 2)), offsets_of(states));
    for (std::size_t i = 0; i < q.size(); ++i) {
        bool ends = i < terminal.size() && terminal[i];
        batch[col::answer{}][i] = action[i];
        batch[col::reward{}][i] = ends ? q[i] : nan;
        batch[col::next_value{}][2 * i] = nan;
        batch[col::next_value{}][2 * i + 1] = ends ? nan : q[i];
        batch[col::terminated{}][2 * i + 1] = ends;
    }
    backend::Host host;
    roars::Run run{host};
    advantage::CandidateSteps{.gap = gap}.estimate(run, batch);
    return batch;
}
std::vector<double> selected(const Candidates& batch) {
    return {batch[col::selected{}].begin(), batch[col::selected{}].end()};
}
std::vector<double> advantages(const Candidates& batch) {
    return {batch[col::sequence_advantage{}].begin(), batch[col::sequence_advantage{}].end()};
}

TEST(DirectAdvantage, CandidatesAgainstEachOther) {
    auto batch = candidates({4}, {0.5, 0.25, 0.25, 1.0}, {7, 3, 3, 9}, 0.1, {0, 0, 0, 1});
    EXPECT_EQ(advantages(batch), (std::vector<double>{0.0, -0.25, -0.25, 0.5})) << "duplicates count in the mean";
    EXPECT_EQ(selected(batch), (std::vector<double>{1, 1, 0, 1})) << "and are kept once";
    EXPECT_EQ(selected(candidates({3}, {0.5, 0.5, 0.5}, {1, 1, 1})), (std::vector<double>{0, 0, 0}));
    EXPECT_EQ(advantages(candidates({3}, {0.1, 0.1, 0.1}, {1, 1, 1})), (std::vector<double>{0, 0, 0}));
    EXPECT_EQ(selected(candidates({2}, {0.25, 0.5}, {0, 1}, 0.25)), (std::vector<double>{1, 1})) << "on the threshold";
    EXPECT_EQ(selected(candidates({2}, {0.25, 0.4375}, {0, 1}, 0.25)), (std::vector<double>{0, 0}));
    EXPECT_EQ(advantages(candidates({2}, {0, 1}, {0, 1}, 0.1, {1, 1})), (std::vector<double>{-0.5, 0.5})) << "all end";
    EXPECT_EQ(selected(candidates({0, 1, 2}, {0.5, 0.0, 1.0}, {0, 0, 1})), (std::vector<double>{0, 1, 1}));
    EXPECT_TRUE(selected(candidates({}, {}, {})).empty());
}

RC_GTEST_PROP(DirectAdvantage, AdvantagesOfAStateSumToNothing, ()) {
    auto q = *rc::gen::nonEmpty(rc::gen::container<std::vector<double>>(
        rc::gen::map(rc::gen::inRange(0, 100), [](int x) { return x / 100.0; })));
    std::vector<int> action(q.size());
    for (std::size_t i = 0; i < q.size(); ++i) action[i] = int(i % 3);
    auto batch = candidates({std::int64_t(q.size())}, q, action);
    double sum = 0;
    for (double a : advantages(batch)) sum += a;
    RC_ASSERT(std::abs(sum) < 1e-12);
}

RC_GTEST_PROP(DirectAdvantage, LossOfAnyCutAndItsGradient, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    auto batch = random_objective<methods::DirectAdvantage>(random, 4);
    auto method = methods::direct_advantage;
    method.optimizer.surrogate.beta = 0.5;
    expect_any_cut(method, batch, 1);
    expect_finite_difference(method, batch);
    RC_ASSERT(!::testing::Test::HasFailure());
}

TEST(DirectAdvantage, AStepWithoutATrainableTokenIsAConstantOfTheMean) {
    Batch<double, ObjectiveColumns<methods::DirectAdvantage>> batch(offsets_of({2, 1, 0, 1}), offsets_of({2, 2}));
    auto advantage = batch[col::sequence_advantage{}];
    for (std::size_t i = 0; i < 4; ++i) {
        advantage[i] = double(i) - 1.0;
        batch[col::selected{}][i] = i != 1;
    }
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    std::fill(batch[col::logp{}].begin(), batch[col::logp{}].end(), -1.0);
    std::fill(batch[col::logp_ref{}].begin(), batch[col::logp_ref{}].end(), -1.5);
    auto method = methods::direct_advantage;
    method.optimizer.surrogate.beta = 2.0;
    // (A / beta - u)^2 / 2: (-0.5 - 1)^2, unselected, (0.5 - 0)^2, (1 - 0.5)^2
    auto said = objective_of(method, batch);
    EXPECT_NEAR(said.loss, 0.5 * (2.25 + 0.25 + 0.25) / 3.0, 1e-15);
    EXPECT_EQ(said.gradient[2], 0.0) << "of a step that is not selected";
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 0.0);
    said = objective_of(method, batch);
    EXPECT_NEAR(said.loss, 0.5 * (0.25 + 0.25 + 1.0) / 3.0, 1e-15);
    for (double slope : said.gradient) EXPECT_EQ(slope, 0.0);
    std::fill(batch[col::selected{}].begin(), batch[col::selected{}].end(), 0.0);
    EXPECT_EQ(objective_of(method, batch).loss, 0.0) << "nothing is left after the filter";
}

TEST(DirectAdvantage, TheCriticLearnsTheShareOfSuccess) {
    using Method = methods::DirectAdvantageCritic;
    Batch<double, Method::Columns> batch(offsets_of({1, 2, 0, 0, 2}), offsets_of({3, 0, 1, 1}));
    for (std::size_t i = 0; i < 5; ++i) batch[col::outcome{}][i] = i == 1 || i == 4;
    for (auto& value : batch[col::value{}]) value = 60.0;
    auto result = roars::loss(methods::direct_advantage_critic, batch);
    EXPECT_EQ((std::vector<double>(batch[col::keep{}].begin(), batch[col::keep{}].end())),
              (std::vector<double>{1, 0, 0, 1, 0}));
    EXPECT_DOUBLE_EQ(batch[col::returns{}][0], 1.0 / 3.0);
    EXPECT_EQ(batch[col::returns{}][3], 1.0);
    EXPECT_NEAR(result.loss(), 0.5 * (60.0 * 2.0 / 3.0), 1e-12) << "saturated and finite";
    EXPECT_NEAR(batch[col::grad<col::value>{}][0], 0.5 * (1.0 - 1.0 / 3.0), 1e-12);
    for (auto& value : batch[col::value{}]) value = -60.0;
    EXPECT_NEAR(roars::loss(methods::direct_advantage_critic, batch).loss(), 0.5 * (60.0 / 3.0 + 60.0), 1e-12);
    Batch<double, Method::Columns> nothing(offsets_of({0, 0}), offsets_of({0, 2}));
    EXPECT_EQ(roars::loss(methods::direct_advantage_critic, nothing).loss(), 0.0);
}

struct Problem {
    std::vector<double> reference, nu, advantage;
    double beta;

    double loss(const std::vector<double>& policy) const {
        double sum = 0;
        for (std::size_t a = 0; a < policy.size(); ++a) {
            double error = advantage[a] / beta - std::log(policy[a] / reference[a]);
            sum += 0.5 * nu[a] * error * error;
        }
        return sum;
    }
};
Problem random_problem(std::mt19937& random, bool centred) {
    auto real = [&](double low, double high) { return std::uniform_real_distribution<double>(low, high)(random); };
    std::size_t n = std::uniform_int_distribution<std::size_t>(2, 6)(random);
    Problem p{std::vector<double>(n), std::vector<double>(n), std::vector<double>(n), real(0.05, 1.0)};
    double sum = 0, weight = 0, mean = 0;
    for (std::size_t a = 0; a < n; ++a) sum += p.reference[a] = real(0.05, 1), weight += p.nu[a] = real(0.05, 1);
    for (std::size_t a = 0; a < n; ++a) {
        p.reference[a] /= sum;
        p.nu[a] /= weight;
        mean += p.reference[a] * (p.advantage[a] = real(-1, 1));
    }
    for (std::size_t a = 0; a < n; ++a) p.advantage[a] -= centred ? mean : std::min(0.0, mean);
    return p;
}

RC_GTEST_PROP(DirectAdvantage, TheExactPolicyIsTheMinimumAndImproves, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    Problem p = random_problem(random, true);
    auto best = metrics::regression_optimum(p.reference, p.nu, p.advantage, p.beta);
    double sum = 0;
    for (double each : best.policy) sum += each;
    RC_ASSERT(std::abs(sum - 1.0) < 1e-12 && best.lambda >= 0.0 && best.improvement >= -1e-12);
    for (std::size_t a = 0; a < best.policy.size(); ++a) {
        double u = std::log(best.policy[a] / p.reference[a]);
        RC_ASSERT(std::abs(p.advantage[a] / p.beta - u - best.lambda * best.policy[a] / p.nu[a]) < 1e-8);
    }
    // Moving a little probability from one action to another never lowers the loss.
    for (std::size_t a = 0; a < best.policy.size(); ++a)
        for (std::size_t b = 0; b < best.policy.size(); ++b) {
            auto moved = best.policy;
            double step = 1e-4 * std::min(moved[a], moved[b]);
            moved[a] += step;
            moved[b] -= step;
            RC_ASSERT(p.loss(moved) >= p.loss(best.policy) - 1e-13);
        }
}

TEST(DirectAdvantage, ExactPolicyAtItsEdges) {
    const std::vector<double> half{0.5, 0.5}, none{0.0, 0.0};
    auto same = metrics::regression_optimum(half, half, none, 0.01);
    EXPECT_NEAR(same.policy[0], 0.5, 1e-12);
    EXPECT_NEAR(same.lambda, 0.0, 1e-9);
    EXPECT_NEAR(same.improvement, 0.0, 1e-12);
    const std::vector<double> far{-1.0, 1.0};
    auto sharp = metrics::regression_optimum(half, half, far, 1e-4);
    EXPECT_NEAR(sharp.policy[1], 1.0, 1e-12) << "e^{10000} in between";
    EXPECT_NEAR(sharp.improvement, 1.0, 1e-3);
    const std::vector<double> missing{0.0, 1.0};
    EXPECT_EQ(metrics::regression_optimum(missing, half, far, 0.5).policy, (std::vector<double>{0.0, 1.0}));
    EXPECT_THROW(metrics::regression_optimum(half, missing, far, 0.5), Error);
    EXPECT_THROW(metrics::regression_optimum(half, half, far, 0.0), Error);
    EXPECT_THROW(metrics::regression_optimum(half, half, {}, 1.0), Error);
    const std::vector<double> low{-0.1, -0.2};
    auto below = metrics::regression_optimum(half, half, low, 1.0);
    EXPECT_LT(below.lambda, 0.0);
    EXPECT_NEAR(below.policy[0] + below.policy[1], 1.0, 1e-12);
}

TEST(DirectAdvantage, SolutionsAreKeptAsEvenlyAsTheyCome) {
    auto kept = [](std::vector<double> outcome, std::int64_t count) {
        return sampler::balanced(std::span<const double>(outcome), count);
    };
    using Index = std::vector<std::int64_t>;
    EXPECT_EQ(kept({0, 0, 0, 1, 1, 1}, 4), (Index{0, 1, 3, 4}));
    EXPECT_EQ(kept({1, 1, 1, 0, 1}, 4), (Index{0, 1, 2, 3}));
    EXPECT_EQ(kept({0, 0, 0}, 2), (Index{0, 1}));
    EXPECT_EQ(kept({1, 0, 1, 0}, 3), (Index{0, 1, 2}));
    EXPECT_EQ(kept({1, 0}, 9), (Index{0, 1}));
    EXPECT_TRUE(kept({}, 3).empty());
    EXPECT_TRUE(kept({1}, 0).empty());
}

}  // namespace
}  // namespace roars::direct_advantage_test

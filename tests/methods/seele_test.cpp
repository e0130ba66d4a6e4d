#include "roars/methods/seele.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "../limits.hpp"
#include "roars/metrics/difficulty.hpp"
#include "roars/tasks/solution_steps.hpp"
#include "roars/train/checkpoint.hpp"
#include "roars/train/tabular_learner.hpp"
#include "roars/train/trainer.hpp"

namespace roars::seele_test {
namespace {

using Points = std::vector<ResponsePoint>;

TEST(ItemResponse, RateIsTheInverseOfAccuracy) {
    const ItemResponse curve{.slope = 12, .shift = -0.4, .guess = 0.1};
    for (double rate : {0.2, 0.4, 0.7}) EXPECT_NEAR(curve.rate(curve.accuracy(rate)), rate, 1e-12);
    EXPECT_EQ(curve.rate(0.1), 0) << "guessing reaches it";
    EXPECT_EQ(curve.rate(0.05), 0);
    EXPECT_EQ(curve.rate(1), 1);
    EXPECT_EQ((ItemResponse{.slope = 0, .shift = 0, .guess = 0}.rate(0.5)), 0);
    EXPECT_EQ((ItemResponse{.slope = -3, .shift = 0, .guess = 0}.rate(0.5)), 0);
    EXPECT_EQ((ItemResponse{.slope = 1, .shift = -2, .guess = 0}.rate(0.5)), 1) << "clipped";
    EXPECT_EQ((ItemResponse{.slope = 1, .shift = 2, .guess = 0}.rate(0.5)), 0);
}

TEST(ItemResponse, TheExponentIsHeld) {
    const ItemResponse steep{.slope = 1e6, .shift = -0.5, .guess = 0.25};
    EXPECT_GT(steep.accuracy(0), 0.25 - 1e-15);
    EXPECT_NEAR(steep.accuracy(0), 0.25, 1e-20 + 1e-15);
    EXPECT_EQ(steep.accuracy(1), 1);
}

TEST(ItemResponse, PointsOfARateAreAveragedAndTheMarginsAdded) {
    const Points points = response_points(Points{{0.5, 0.25}, {0.2, 0.0}, {0.5, 0.75}});
    ASSERT_EQ(points.size(), 4U);
    const double rate[]{0, 0.2, 0.5, 1}, accuracy[]{0, 0, 0.5, 1};
    for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(points[i].rate, rate[i]);
        EXPECT_EQ(points[i].accuracy, accuracy[i]);
    }
    const Points tried = response_points(Points{{1, 0.5}, {0, 0.25}});
    ASSERT_EQ(tried.size(), 2U) << "what was tried at the margins is believed";
    EXPECT_EQ(tried[0].accuracy, 0.25);
    EXPECT_EQ(tried[1].accuracy, 0.5);
    EXPECT_EQ(response_points(Points{}).size(), 2U);
}

TEST(ItemResponse, FindsTheCurveThatThePointsLieOn) {
    RandomStream random{Random(7)};
    for (int n = 0; n < 300; ++n) {
        const ItemResponse curve{5 + 30 * random.uniform(), -random.uniform(), 0.3 * random.uniform()};
        Points points;
        for (int i = 0; i < 7; ++i) points.push_back({double(i) / 6, curve.accuracy(double(i) / 6)});
        const FittedResponse fitted = fit_item_response(points);
        EXPECT_LT(fitted.sum_of_squares, 1e-12) << curve.slope << ' ' << curve.shift << ' ' << curve.guess;
        for (const ResponsePoint& point : points) EXPECT_NEAR(fitted.curve.accuracy(point.rate), point.accuracy, 1e-6);
    }
}

bool within(const ItemResponse& curve, const ItemResponseFit& fit) {
    auto inside = [](double low, double x, double high) { return low <= x && x <= high; };
    return inside(fit.lowest.slope, curve.slope, fit.highest.slope) &&
           inside(fit.lowest.shift, curve.shift, fit.highest.shift) &&
           inside(fit.lowest.guess, curve.guess, fit.highest.guess);
}

TEST(ItemResponse, AnyPointsGiveACurveWithinTheBounds) {
    const ItemResponseFit fit;
    RandomStream random{Random(8)};
    for (int n = 0; n < 300; ++n) {
        Points points;
        for (std::int64_t i = random.below(5); i >= 0; --i)
            points.push_back({double(random.below(17)) / 16, double(random.below(5)) / 4});
        points = response_points(points);
        const FittedResponse fitted = fit_item_response(points);
        EXPECT_TRUE(within(fitted.curve, fit));
        double start = 0;
        for (const ResponsePoint& p : points) start += std::pow(fit.start.accuracy(p.rate) - p.accuracy, 2);
        EXPECT_LE(fitted.sum_of_squares, start);
        const double rate = fitted.curve.rate(0.5);
        EXPECT_TRUE(rate >= 0 && rate <= 1) << rate;
    }
}

TEST(LeastSquares, SaysWhatDoesNotFit) {
    EXPECT_THROW(fit_item_response(Points{}, {.start = {.slope = 60}}), Error);
    EXPECT_THROW(fit_item_response(Points{}, {.start = {.slope = nan}}), Error);
    EXPECT_THROW(fit_item_response(Points{}, {.lowest = {.slope = 20}, .highest = {.slope = 15}}), Error);
}

/// min (x - 3)^2 + (x + y - 1)^2: x = 3, y = -2; with y >= 0 it is x = 2, y = 0.
TEST(LeastSquares, StopsAtABound) {
    using Vector = std::array<double, 2>;
    auto residual = [](std::int64_t i, const Vector& x) {
        return i == 0 ? Residual<2>{x[0] - 3, {1, 0}} : Residual<2>{x[0] + x[1] - 1, {1, 1}};
    };
    auto free = least_squares<2>(residual, 2, Vector{0, 0}, Vector{-9, -9}, Vector{9, 9});
    EXPECT_NEAR(free.at[0], 3, 1e-7);
    EXPECT_NEAR(free.at[1], -2, 1e-7);
    auto held = least_squares<2>(residual, 2, Vector{0, 5}, Vector{-9, 0}, Vector{9, 9});
    EXPECT_NEAR(held.at[0], 2, 1e-7);
    EXPECT_EQ(held.at[1], 0);
    EXPECT_NEAR(held.sum_of_squares, 2, 1e-12);
    auto fixed = least_squares<2>(residual, 2, Vector{1, 1}, Vector{1, 1}, Vector{1, 1});
    EXPECT_EQ(fixed.at, (Vector{1, 1}));
}

TEST(Hints, OneTokenIsLeftToGenerate) {
    EXPECT_EQ(sampler::hint_length(0.5, 5), 3) << "floor(2.5 + 0.5)";
    EXPECT_EQ(sampler::hint_length(0.99, 16), 15);
    EXPECT_EQ(sampler::hint_length(1, 16), 15);
    EXPECT_EQ(sampler::hint_length(1, 1), 0);
    EXPECT_EQ(sampler::hint_length(1, 0), 0);
    EXPECT_EQ(sampler::hint_length(0, 16), 0);
    EXPECT_EQ(sampler::longest_hint(1), 0);
    EXPECT_EQ(sampler::longest_hint(0), 0);
    EXPECT_EQ(sampler::longest_hint(4), 0.75);
}

/// Accuracies that no curve has: the rate stays a number that leaves a token.
TEST(Hints, WhateverIsSeenTheRateStaysInRange) {
    const sampler::FittedHints part;
    const Points all_wrong{{0.75, 0}, {0.9, 0}, {0.95, 0}}, all_right{{0.75, 1}, {0.5, 1}, {0.1, 1}},
        flat{{0.9, 0.25}, {0.5, 0.25}, {0.1, 0.25}}, same{{0.5, 0.25}, {0.5, 0.5}, {0.5, 0.25}},
        falling{{0.2, 1}, {0.8, 0}}, at_margins{{0, 1}, {1, 0}}, one{{0.9375, 0.25}}, none{};
    for (const Points& tried : {all_wrong, all_right, flat, same, falling, at_margins, one, none})
        for (double target : {0.0, 0.01, 0.5, 0.99, 1.0}) {
            sampler::FittedHints aiming = part;
            aiming.target = target;
            for (std::int64_t tokens : {1, 2, 16}) {
                const double rate = aiming.next_rate(tried, tokens);
                EXPECT_TRUE(rate >= 0 && rate <= sampler::longest_hint(tokens)) << rate << ' ' << target;
            }
        }
    EXPECT_GT(part.next_rate(all_wrong, 16), part.next_rate(all_right, 16));
    sampler::FittedHints below = part;
    below.fit.start.guess = below.fit.lowest.guess = 0.2;
    below.target = 0.1;
    EXPECT_EQ(below.next_rate(flat, 16), 0) << "a target below guessing needs no hint";
}

using Task = tasks::SolutionSteps;
using Learner = train::TabularLearner<Task>;
using SmallSeele = train::Trainer<methods::Seele, Learner>;

methods::Seele small() {
    methods::Seele method = methods::seele;
    method.sampler = {.prompts = 4, .rounds = 3, .completions = 5};
    method.optimizer.minibatches = 1;
    method.optimizer.step = step::recipe({.learning_rate = 0.1, .weight_decay = 0});
    return method;
}
const tasks::SolutionStepsSettings small_task{.prompts = 6, .length = 5, .rows = 12, .tokens = 4};

/// What a batch should be: groups of a prompt, round behind round, every hint the beginning of its solution.
void expect_hinted(const SmallSeele::BatchType& batch, const Task& task, std::int64_t rounds,
                   std::int64_t completions) {
    ASSERT_EQ(batch.sequences(), batch.groups() * rounds * completions);
    for (std::int64_t i = 0; i < batch.sequences(); ++i) {
        const auto first = static_cast<std::size_t>(batch.token_offsets()[std::size_t(i)]);
        const std::int64_t prompt = batch[col::prompt{}][std::size_t(i)];
        EXPECT_EQ(prompt, batch[col::prompt{}][std::size_t(i / (rounds * completions) * rounds * completions)]);
        const auto solution = task.solution(prompt);
        bool hint = true;
        for (std::size_t t = 0; t < solution.size(); ++t) {
            const bool given = batch[col::external{}][first + t] != 0;
            EXPECT_FALSE(given && !hint) << "hints lead";
            hint = hint && given;
            EXPECT_EQ(batch[col::mask{}][first + t], given ? 0 : 1);
            EXPECT_TRUE(!given || batch[col::token{}][first + t] == solution[t]);
        }
        EXPECT_FALSE(hint) << "a token is left";
    }
}

TEST(Seele, RollsOutInRoundsAndRemembersTheRate) {
    Task task(small_task, 3);
    Learner learner(task);
    SmallSeele trainer(small(), learner);
    backend::Host host;
    for (std::uint32_t n = 0; n < 6; ++n) {
        const std::vector<double> before = trainer.state.sampler.rate;
        roars::Run run{host, Random(1).at(n)};
        trainer.iterate(run);
        expect_hinted(trainer.batch(), task, 3, 5);
        for (std::int64_t g = 0; g < trainer.batch().groups(); ++g) {
            const auto first = static_cast<std::size_t>(trainer.batch()[col::groups{}][std::size_t(g)]);
            const auto prompt = static_cast<std::size_t>(trainer.batch()[col::prompt{}][first]);
            const bool known = prompt < before.size() && before[prompt] >= 0;
            const std::int64_t expected = sampler::hint_length(known ? before[prompt] : 0.8, 5);
            std::int64_t shown = 0;
            for (std::int64_t t = trainer.batch().token_offsets()[first];
                 t < trainer.batch().token_offsets()[first + 1]; ++t)
                shown += trainer.batch()[col::external{}][std::size_t(t)] != 0;
            EXPECT_EQ(shown, expected) << "the first round's hint";
        }
    }
    EXPECT_EQ(trainer.state.sampler.rate.size(), 6U);
    for (double rate : trainer.state.sampler.rate) EXPECT_TRUE(rate >= 0 && rate <= 0.8) << rate;
    EXPECT_EQ(trainer.state.sampler.rollouts, 6 * 4 * 15);

    Tensors file;
    train::write_state(file, trainer.state.sampler, "sampler");
    sampler::HintRates again;
    train::read_state(file, again, "sampler");
    EXPECT_EQ(again.rate, trainer.state.sampler.rate) << "a checkpoint holds them";
}

TEST(Seele, AnswersOfOneTokenHaveNoHint) {
    Task task({.prompts = 4, .length = 1, .rows = 2, .tokens = 4});
    Learner learner(task);
    SmallSeele trainer(small(), learner);
    backend::Host host;
    roars::Run run{host};
    trainer.iterate(run);
    for (auto external : trainer.batch()[col::external{}]) EXPECT_EQ(external, 0);
    for (double rate : trainer.state.sampler.rate) EXPECT_EQ(rate, 0);
}

TEST(Seele, RoundsOfNothingAreRefused) {
    Task task(small_task);
    Learner learner(task);
    backend::Host host;
    roars::Run run{host};
    methods::Seele method = small();
    method.sampler.rounds = 0;
    EXPECT_THROW(SmallSeele(method, learner).iterate(run), Error);
    method = small();
    method.sampler.completions = 0;
    EXPECT_THROW(SmallSeele(method, learner).iterate(run), Error);
    SmallSeele::BatchType batch;
    const std::int64_t prompts[]{0}, given[]{5};
    EXPECT_THROW(learner.complete_solutions(run, batch, std::span(prompts), std::span(given), 1, Generation{}), Error);
}

using Learnt = Batch<double, columns<col::groups, col::mask, col::external, col::logp, col::logp_old, col::logp_ref,
                                     col::outcome, col::reward, col::advantage, col::grad<col::logp>>>;

/// All rewards equal: the advantage is 0, and the hints are imitated all the same. Hints have no ratio and no KL, so
/// whatever stands there does not matter.
TEST(Seele, HintsAreImitatedAndNothingElse) {
    Learnt batch(std::vector<std::int64_t>{0, 3, 5}, std::vector<std::int64_t>{0, 2});
    for (std::size_t t = 0; t < 5; ++t) {
        const bool hint = t < 2;
        batch[col::external{}][t] = hint;
        batch[col::mask{}][t] = hint ? 0 : 1;
        batch[col::logp{}][t] = -0.5;
        batch[col::logp_old{}][t] = hint ? nan : -0.5;
        batch[col::logp_ref{}][t] = hint ? infinity : -0.5;
    }
    auto learnt = [&] { return loss(methods::seele, batch).loss(); };
    batch[col::outcome{}][0] = batch[col::outcome{}][1] = 1;
    EXPECT_NEAR(learnt(), 1e-3 * (0.5 + 0.5) / 2, 1e-15);
    const double imitation[]{-0.5e-3, -0.5e-3, 0, 0, 0};
    for (std::size_t t = 0; t < 5; ++t) EXPECT_NEAR(batch[col::grad<col::logp>{}][t], imitation[t], 1e-15) << t;

    batch[col::outcome{}][1] = 0;
    learnt();
    const double both[]{-0.5e-3, -0.5e-3, -0.25, 0.25, 0.25};
    for (std::size_t t = 0; t < 5; ++t) EXPECT_NEAR(batch[col::grad<col::logp>{}][t], both[t], 1e-15) << t;
    EXPECT_EQ(batch[col::advantage{}][0], 0.5) << "of all rollouts, whatever their hints";
}

TEST(Seele, AnEmptyBatchCostsNothing) {
    Learnt batch(std::vector<std::int64_t>{0}, std::vector<std::int64_t>{0});
    EXPECT_EQ(loss(methods::seele, batch).loss(), 0);
}

/// Hints are what a right answer of 16 steps is learnt by.
TEST(Seele, LearnsWhatIsNeverRightWithoutAHint) {
    const tasks::SolutionStepsSettings settings{.prompts = 8, .length = 10, .rows = 16, .tokens = 8, .right = 0.3};
    auto trained = []<class Method>(Method method, const tasks::SolutionStepsSettings& asked) {
        method.optimizer.minibatches = 1;
        method.optimizer.step = step::recipe({.learning_rate = 0.2, .weight_decay = 0});
        Task task(asked, 2);
        Learner learner(task);
        train::Trainer<Method, Learner> trainer(method, learner);
        backend::Host host;
        for (std::uint32_t n = 0; n < 40; ++n) {
            roars::Run run{host, Random(1).at(n), Progress{n, 40}};
            trainer.iterate(run);
        }
        return tasks::mean_exact_score(task, learner.policy().logits()).success;
    };
    methods::Seele hinted = methods::seele;
    hinted.sampler = {.prompts = 8, .rounds = 4, .completions = 4};
    methods::FadingHints none = methods::fading_hints;
    none.sampler = {.prompts = 8, .group_size = 16, .first = 0, .last = 0};
    get<1>(hinted.regularizer).coefficient = get<1>(none.regularizer).coefficient = 0;
    EXPECT_GT(trained(hinted, settings), 0.3);
    EXPECT_LT(trained(none, settings), 0.01);
}

TEST(FadingHints, GoFromTheFirstRateToTheLast) {
    Task task(small_task);
    Learner learner(task);
    methods::FadingHints method = methods::fading_hints;
    method.sampler = {.prompts = 2, .group_size = 3};
    method.optimizer.minibatches = 1;
    train::Trainer<methods::FadingHints, Learner> trainer(method, learner);
    backend::Host host;
    const std::int64_t expected[]{4, 4, 3, 1};  // of 5 tokens: all but one, 0.75, 0.5 rounded up, 0.25
    for (std::uint32_t n = 0; n < 4; ++n) {
        roars::Run run{host, Random(1).at(n), Progress{n, 4}};
        trainer.iterate(run);
        double shown = 0;
        for (auto external : trainer.batch()[col::external{}]) shown += external;
        EXPECT_EQ(shown, double(6 * expected[n])) << n;
    }
}

TEST(DescentBound, IsLargestWhereHalfIsRight) {
    using List = std::vector<double>;
    EXPECT_DOUBLE_EQ(metrics::descent_bound(List{0.5}, 0.1), 1.25);
    EXPECT_DOUBLE_EQ(metrics::descent_bound(List{0.5, 0, 1}, 0.1), 1.25 / 3);
    EXPECT_EQ(metrics::descent_bound(List{0, 1}, 0.0), 0.0) << "nothing to learn, and nothing to be held by";
    EXPECT_EQ(metrics::descent_bound(List{}, 0.1), 0);
}

}  // namespace
}  // namespace roars::seele_test

#include "roars/methods/light_if.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "../limits.hpp"
#include "random_objective.hpp"
#include "roars/reflect.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/tasks/constraints.hpp"
#include "roars/train/tabular_learner.hpp"
#include "roars/train/trainer.hpp"

namespace roars::light_if_test {
namespace {

using List = std::vector<double>;
constexpr reward::DenseConstraints dense{};

TEST(DenseConstraints, EachBoundHasItsRuleAndItsPoints) {
    auto points = [](double count, double low, double high) {
        auto met = dense.met(List{count, low, high, 0.2});
        EXPECT_EQ(met.all, met.points > 0);
        return met.points;
    };
    EXPECT_EQ(points(2, 2, 4), 0.1);
    EXPECT_EQ(points(4, 2, 4), 0.1);
    EXPECT_EQ(points(1, 2, 4), 0.0);
    EXPECT_EQ(points(5, 2, 4), 0.0);
    EXPECT_EQ(points(3, 3, 3), 0.2) << "exact: its own points";
    EXPECT_EQ(points(4, 3, 3), 0.0);
    EXPECT_EQ(points(3, 3, 0), 0.05) << "at least";
    EXPECT_EQ(points(9, 3, -1), 0.05);
    EXPECT_EQ(points(2, 3, 1), 0.0);
    EXPECT_EQ(points(2, 0, 2), 0.05) << "at most";
    EXPECT_EQ(points(0, -1, 2), 0.05);
    EXPECT_EQ(points(3, 0, 2), 0.0);
    EXPECT_EQ(points(0, 0, 0), 0.05) << "forbidden";
    EXPECT_EQ(points(1, 0, -3), 0.0);
}

TEST(DenseConstraints, AllOfNothingIsMetAndNothingUnfinishedCounts) {
    Batch<double, columns<col::constraints, col::format, col::reward>> batch(std::vector<std::int64_t>(5, 0));
    batch.set_width(col::constraints{}, 8);
    const List rows[]{{1, 1, 1, 0.1, 0, 0, 2, 0.1},    // both
                      {1, 1, 1, 0.1, 3, 0, 2, 0.1},    // one of two
                      {1, 1, 1, 0.2, nan, 3, 3, 0.2},  // there is only one
                      {1, 1, 1, 0.1, 0, 0, 2, 0.1}};   // the first again, without an end
    for (std::size_t i = 0; i < 4; ++i)
        std::copy(rows[i].begin(), rows[i].end(), batch.row(col::constraints{}, std::int64_t(i)).begin());
    std::fill(batch[col::format{}].begin(), batch[col::format{}].end() - 1, 1.0);
    backend::Host host;
    roars::Run run{host};
    NoState none;
    detail::call_score(methods::light_if.reward, run, none, batch);
    const double expected[]{1.15, 0.1, 1.2, 0.0};
    for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(batch[col::reward{}][i], expected[i], 1e-15) << i;
    batch.set_width(col::constraints{}, 0);
    detail::call_score(methods::light_if.reward, run, none, batch);
    EXPECT_EQ(batch[col::reward{}][0], 1.0) << "no constraints";
}

TEST(LengthScaled, LongerPaysUntilItDoesNotEnd) {
    const reward::LengthScaled<reward::Verified> part{.max_length = 100};
    EXPECT_EQ(part.of(1.0, 0), 0.0);
    EXPECT_NEAR(part.of(1.0, 50), 1.0, 1e-15);
    EXPECT_GT(part.of(1.0, 99), 1.99);
    EXPECT_EQ(part.of(1.0, 100), -2.0);
    EXPECT_EQ(part.of(0.0, 200), -2.0);
    EXPECT_NEAR(part.of(0.2, 50), 0.2, 1e-15) << "good enough";
    EXPECT_NEAR(part.of(0.199, 50), -0.5, 1e-15);
}

using Spread =
    Batch<double,
          columns<col::mask, col::logp, col::entropy, col::advantage, col::entropy_weight, col::grad<col::entropy>>>;
double spread_out(const regularizer::CovarianceEntropy& term, Spread& batch) {
    backend::Host host;
    roars::Run run{host};
    detail::prepare_base(term, run, batch, detail::reduce_base(term, run, batch));
    Weighed weighed{term, term.aggregate};
    return evaluate(host, batch, {count<col::mask>(host, batch)}, weighed).loss();
}

TEST(CovarianceEntropy, IsASoftmaxWithinTheSequenceUnderACap) {
    // A token alone; four tokens; nothing trainable; nothing.
    Spread batch(offsets_of({1, 4, 2, 0}));
    for (std::size_t t = 0; t < 5; ++t) {
        batch[col::mask{}][t] = batch[col::entropy{}][t] = 1;
        batch[col::logp{}][t] = -0.1 * double(t);
        batch[col::advantage{}][t] = 0.5;
    }
    for (std::size_t t = 5; t < 7; ++t)
        batch[col::logp{}][t] = batch[col::advantage{}][t] = batch[col::entropy{}][t] = nan;
    EXPECT_NEAR(spread_out({.scale = 10, .most = 5}, batch), -(5.0 + 4 * 2.5) / 5, 1e-15)
        << "equal advantages: the same share for each";
    EXPECT_NEAR(spread_out({.scale = 3, .most = 5}, batch), -6.0 / 5, 1e-15);
    const double weight[]{3, 0.75, 0.75, 0.75, 0.75, 0, 0};
    for (std::size_t t = 0; t < 7; ++t) EXPECT_NEAR(batch[col::entropy_weight{}][t], weight[t], 1e-15) << t;
    EXPECT_NEAR(batch[col::grad<col::entropy>{}][1], -0.75 / 5, 1e-15);
    EXPECT_EQ(batch[col::grad<col::entropy>{}][5], 0.0);

    batch[col::mask{}][2] = 0;
    batch[col::logp{}][2] = nan;
    EXPECT_NEAR(spread_out({.scale = 3, .most = 5}, batch), -6.0 / 4, 1e-15) << "three share what four did";
    EXPECT_EQ(batch[col::entropy_weight{}][2], 0.0);
    batch[col::advantage{}][1] = 1e6;
    batch[col::logp{}][1] = 0;
    EXPECT_NEAR(spread_out({.scale = 3, .most = 2}, batch), -(2.0 + 2.0) / 4, 1e-9)
        << "sure and praised, all goes to it";
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 0.0);
    EXPECT_EQ(spread_out({}, batch), 0.0);
}

using Learnt = Batch<double, columns<col::mask, col::logp, col::entropy, col::importance_weight, col::grad<col::logp>>>;
/// The gradients; logp counts where the mask says so.
List imitated(surrogate::UnfittedLikelihood term, const List& logp, const List& entropy, List mask = {}) {
    Learnt batch(offsets_of({std::ssize(logp)}));
    mask.resize(logp.size(), 1.0);
    std::copy(logp.begin(), logp.end(), batch[col::logp{}].begin());
    std::copy(entropy.begin(), entropy.end(), batch[col::entropy{}].begin());
    std::copy(mask.begin(), mask.end(), batch[col::mask{}].begin());
    backend::Host host;
    roars::Run run{host};
    auto sums = detail::reduce_base(term, run, batch);
    detail::prepare_base(term, run, batch, sums);
    Weighed weighed{term, surrogate::UnfittedLikelihood::Aggregate{}};
    auto result = evaluate(host, batch, {count<col::mask>(host, batch)}, weighed);
    List gradient(batch[col::grad<col::logp>{}].begin(), batch[col::grad<col::logp>{}].end());
    double loss = 0;
    for (std::size_t t = 0; t < logp.size(); ++t)
        if (gradient[t] != 0) loss += gradient[t] * logp[t];
    EXPECT_NEAR(result.loss(), loss, 1e-15);
    return gradient;
}

TEST(UnfittedLikelihood, KeepsTheLargestAndOfEqualOnesTheFirst) {
    EXPECT_EQ(imitated({.fraction = 0.5}, {-1, -2, -3, -0.1}, {0, 0, 0, 0}), (List{0, -0.5, -0.5, 0}));
    EXPECT_EQ(imitated({.fraction = 0.5}, {-1, -2, -3, -0.1}, {0, 2, 3, 0}), (List{-0.5, 0, -0.5, 0}))
        << "what is unsure anyhow is fitted";
    EXPECT_EQ(imitated({.fraction = 0.5}, {-1, -1, -1, -1}, {1, 1, 1, 1}), (List{-0.5, -0.5, 0, 0}));
    EXPECT_EQ(imitated({.fraction = 0.5}, {nan, -1, -1, -1, nan}, {nan, 1, 1, 1, 1}, {0, 1, 1, 1, 0}),
              (List{0, -1, 0, 0, 0}))
        << "half of three is one";
    EXPECT_EQ(imitated({.fraction = 0.1}, {-1, -2}, {0, 0}), (List{0, -1})) << "at least one";
    EXPECT_EQ(imitated({}, {-1}, {5}), (List{-1}));
    EXPECT_EQ(imitated({.fraction = 1}, {-1, -2}, {0, 0}), (List{-0.5, -0.5}));
    EXPECT_EQ(imitated({}, {nan}, {nan}, {0}), (List{0}));
    EXPECT_EQ(imitated({}, {}, {}), List{});
}

RC_GTEST_PROP(LightIf, AnyCutGivesTheSame, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    expect_any_cut(methods::light_if, random_objective<methods::LightIf>(random, 5), 2);
    auto batch = random_objective<methods::EntropySft>(random, 5);
    expect_any_cut(methods::entropy_sft, batch, 2);
    std::fill(batch[col::logp{}].begin(), batch[col::logp{}].end(), -1.0);
    std::fill(batch[col::entropy{}].begin(), batch[col::entropy{}].end(), 0.5);
    expect_any_cut(methods::entropy_sft, batch, 1);  // all of them equal
}

TEST(LightIf, BonusAndShareAreFlags) {
    auto method = methods::light_if;
    EXPECT_TRUE(set_setting(method, "regularizer.covariance_entropy.scale", "0.2"));
    EXPECT_EQ(get<1>(method.regularizer).scale, 0.2);
    auto tuning = methods::entropy_sft;
    EXPECT_TRUE(set_setting(tuning, "optimizer.surrogate.fraction", "0.5"));
    EXPECT_EQ(tuning.optimizer.surrogate.fraction, 0.5);
    auto zero = methods::light_if_zero;
    EXPECT_TRUE(set_setting(zero, "reward.max_length", "9"));
    EXPECT_TRUE(set_setting(zero, "reward.behind.range", "0.3"));
    EXPECT_EQ(zero.reward.base.behind.range, 0.3);
}

TEST(LightIf, PartialCreditFindsWhatIsNeverMetAtOnce) {
    using Task = tasks::Constraints;
    auto trained = []<class Method>(Method method) {
        method.sampler = {.prompts = 8, .group_size = 8};
        method.optimizer.minibatches = 1;
        method.optimizer.step = step::recipe({.learning_rate = 0.1, .weight_decay = 0});
        get<1>(method.regularizer).scale = 0.1;
        Task task({}, 1);
        train::TabularLearner<Task> learner(task);
        train::Trainer<Method, train::TabularLearner<Task>> trainer(method, learner);
        backend::Host host;
        for (std::uint32_t i = 0; i < 60; ++i) {
            roars::Run run{host, Random(1).at(i)};
            trainer.iterate(run);
        }
        return tasks::mean_exact_score(task, learner.policy().logits());
    };
    auto score = trained(methods::light_if);
    EXPECT_GT(score.success, 0.9);
    EXPECT_GT(score.entropy, 1.0);
}

}  // namespace
}  // namespace roars::light_if_test

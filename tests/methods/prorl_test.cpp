#include "roars/methods/prorl.hpp"
#include "../limits.hpp"

#include <limits>
#include <numeric>

#include "random_objective.hpp"
#include "roars/metrics/estimates.hpp"
#include "roars/tasks/bandit_prompts.hpp"
#include "roars/train/tabular_learner.hpp"
#include "roars/train/trainer.hpp"

namespace roars::prorl_test {
namespace {

using begin_again::OnPlateau;

std::vector<int> resets(const OnPlateau& part, const std::vector<double>& scores) {
    OnPlateau::State state;
    std::vector<int> at;
    for (std::size_t i = 0; i < scores.size(); ++i)
        if (part.evaluated(state, scores[i])) at.push_back(int(i));
    EXPECT_EQ(state.resets, std::ssize(at));
    return at;
}

TEST(ProRl, ResetsWhereValidationStandsStillOrFalls) {
    OnPlateau part{.patience = 3, .min_improvement = 0.01, .max_drop = 0.05};
    EXPECT_EQ(resets(part, {0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5}), (std::vector<int>{3, 6}))
        << "every third after the first";
    EXPECT_EQ(resets(part, {0.5}), std::vector<int>{});
    EXPECT_EQ(resets(part, {-1e300}), std::vector<int>{});
    EXPECT_EQ(resets(part, {0.5, 0.44}), std::vector<int>{1});
    EXPECT_EQ(resets(part, {0.5, 0.46}), std::vector<int>{});
    EXPECT_EQ(resets(part, {0.5, 0.6, 0.7, 0.8}), std::vector<int>{});
    EXPECT_EQ(resets(part, {0.5, nan, nan, 0.52}), std::vector<int>{}) << "no improvement, and no fall";
    EXPECT_EQ(resets(part, {0.5, nan, nan, 0.505}), std::vector<int>{3});
    EXPECT_EQ(resets(part, {0.5, 0.44, 0.44, 0.44, 0.44}), (std::vector<int>{1, 4})) << "best begins again too";
}

RC_GTEST_PROP(ProRl, NeverTheFirstAndNeverWhileItRises, (std::vector<std::uint8_t> steps)) {
    OnPlateau part{.patience = 2, .min_improvement = 0.0, .max_drop = 0.1};
    OnPlateau::State state;
    double score = 0;
    for (std::uint8_t step : steps) RC_ASSERT(!part.evaluated(state, score += 1.0 + step));
}

struct Session {
    tasks::BanditPrompts task{{.prompts = 4, .answers = 6, .right = 2, .spread = 0.5}, 1};
    train::TabularLearner<tasks::BanditPrompts> learner{task};
    backend::Host host;
    std::int64_t iteration = 0;

    template <class Trainer>
    double divergence_of_next(Trainer& trainer) {
        roars::Run run{host, Random(7).at(std::uint32_t(iteration)), Progress{iteration, 100}};
        ++iteration;
        for (const auto& [name, value] : trainer.iterate(run))
            if (name == "kl") return value;
        return std::nan("");
    }
};
template <class Method>
Method small(Method method) {
    method.sampler.prompts = 4;
    method.sampler.group_size = 16;
    method.optimizer.minibatches = 1;
    method.optimizer.step.base.base.learning_rate = 0.1;
    return method;
}

TEST(ProRl, BehindAResetTheReferenceIsThePolicyAndTheMomentsAreGone) {
    Session session;
    auto method = small(methods::prorl_scheduled);
    get<1>(method.regularizer).when.iterations = 3;
    train::Trainer trainer(method, session.learner);
    std::vector<double> kl;
    for (int i = 0; i < 7; ++i) {
        kl.push_back(session.divergence_of_next(trainer));
        bool reset = i == 2 || i == 5;
        EXPECT_EQ(trainer.state.optimizer.steps, reset ? 0 : (i + 1) % 3);
        EXPECT_EQ(trainer.state.optimizer.base.base.first.empty(), reset);
    }
    EXPECT_EQ(get<1>(trainer.state.regularizer).resets, 2);
    for (int i : {0, 3, 6}) EXPECT_EQ(kl[std::size_t(i)], 0.0) << "exactly, at the first update behind a reset";
    for (int i : {1, 2, 4, 5}) EXPECT_GT(kl[std::size_t(i)], 0.0) << "a snapshot, which does not move with the policy";
}

TEST(ProRl, EvaluationsReachTheRegularizer) {
    Session session;
    auto method = small(methods::prorl);
    get<1>(method.regularizer).when.patience = 1;
    train::Trainer trainer(method, session.learner);
    session.divergence_of_next(trainer);
    session.divergence_of_next(trainer);
    EXPECT_GT(session.divergence_of_next(trainer), 0.0);
    roars::Run run{session.host};
    trainer.evaluated(run, 0.5);
    EXPECT_GT(trainer.state.optimizer.steps, 0) << "the first evaluation never resets";
    EXPECT_GT(session.divergence_of_next(trainer), 0.0);
    trainer.evaluated(run, 0.5);
    EXPECT_EQ(trainer.state.optimizer.steps, 0);
    EXPECT_EQ(session.divergence_of_next(trainer), 0.0);
}

RC_GTEST_PROP(ProRl, LossOfAnyCut, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    auto batch = random_objective<methods::ProRl>(random, 4);
    expect_any_cut(methods::prorl, batch, 1);
    expect_any_cut(methods::prorl, batch, 3);
    RC_ASSERT(!::testing::Test::HasFailure());
}

TEST(ProRl, FarFromTheReferenceTheDivergenceIsNotCutOff) {
    std::mt19937 random(1);
    auto batch = random_objective<methods::ProRl>(random, 1);
    while (batch.tokens() == 0) batch = random_objective<methods::ProRl>(random, 1);
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    std::fill(batch[col::logp{}].begin(), batch[col::logp{}].end(), -7.0);
    std::fill(batch[col::logp_ref{}].begin(), batch[col::logp_ref{}].end(), -1.0);
    EXPECT_NEAR(objective_of(methods::prorl, batch).term_loss[1], 5e-4 * (std::exp(6.0) - 6.0 - 1.0), 1e-12);
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 0.0);
    EXPECT_EQ(objective_of(methods::prorl, batch).loss, 0.0);
}

TEST(ProRl, AnAnswerThatDidNotEndIsWorthATenth) {
    auto reward = methods::prorl.reward;
    EXPECT_EQ(reward.amended(1.0, true), 0.1);
    EXPECT_EQ(reward.amended(1.0, false), 1.0);
    EXPECT_EQ(reward.amended(-1.0, true), -0.1) << "a negative reward too: stated, not repaired";
}

RC_GTEST_PROP(ProRl, PassAtKIsWithinItsBound, ()) {
    auto correct =
        *rc::gen::nonEmpty(rc::gen::container<std::vector<std::int64_t>>(rc::gen::inRange<std::int64_t>(0, 17)));
    for (std::int64_t k = 2; k <= 32; k *= 2) {
        double pass = 0;
        for (std::int64_t c : correct) pass += 1.0 - std::pow(1.0 - double(c) / 16.0, double(k));
        RC_ASSERT(pass / double(correct.size()) <= metrics::pass_at_k_bound(16, correct, k) + 1e-12);
    }
}
TEST(ProRl, TheBoundOfEqualProblemsIsTheirPassAtK) {
    const std::vector<std::int64_t> correct{4, 4, 4};
    EXPECT_NEAR(metrics::pass_at_k_bound(16, correct, 3), 1.0 - std::pow(0.75, 3), 1e-15);
    EXPECT_EQ(metrics::pass_at_k_bound(16, {}, 3), 0.0);
}

}  // namespace
}  // namespace roars::prorl_test

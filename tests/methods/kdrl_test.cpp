#include "roars/methods/kdrl.hpp"

#include <limits>

#include "random_objective.hpp"

namespace roars::kdrl_test {
namespace {

/// The pull of the method's last term: its loss and gradient, with marks by the rewards.
template <class Method, class BatchType>
Objective pull(const Method& method, BatchType batch, const std::vector<double>& reward = {}) {
    backend::Host host;
    roars::Run run{host};
    auto rewarded = std::move(batch).with(columns<col::reward, col::penalty_weight>{});
    std::copy(reward.begin(), reward.end(), rewarded[col::reward{}].begin());
    typename Method::State state;
    roars::detail::call_shape(method.regularizer, run, state.regularizer, rewarded);
    std::fill(rewarded[col::advantage{}].begin(), rewarded[col::advantage{}].end(), 0.0);
    std::copy(rewarded[col::logp{}].begin(), rewarded[col::logp{}].end(), rewarded[col::logp_old{}].begin());
    return objective_of(method, rewarded);
}
template <class Method>
Batch<double, ObjectiveColumns<Method>> dense(std::uint32_t seed) {
    std::mt19937 random(seed);
    auto batch = random_objective<Method>(random, 3);
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    return batch;
}

RC_GTEST_PROP(Kdrl, LossOfAnyCut, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    expect_any_cut(methods::kdrl, random_objective<methods::Kdrl>(random, 4), 1);
    expect_any_cut(methods::kdrl_constant, random_objective<methods::ConstantKdrl>(random, 4), 2);
    expect_any_cut(methods::kdrl_wrong_answers, random_objective<methods::ResponseMaskedKdrl>(random, 4), 1);
    expect_any_cut(methods::kdrl_unsolved_groups, random_objective<methods::GroupMaskedKdrl>(random, 4), 3);
    RC_ASSERT(!::testing::Test::HasFailure());
}

/// On policy d loss / d logp = -(A + beta keep (logp_teacher - logp)) / N: a token reward next to the advantage.
TEST(Kdrl, GradientIsThatOfATokenReward) {
    using Method = methods::ResponseMaskedKdrl;
    auto batch = dense<Method>(5);
    std::copy(batch[col::logp{}].begin(), batch[col::logp{}].end(), batch[col::logp_old{}].begin());
    auto said = objective_of(methods::kdrl_wrong_answers, batch);
    for (std::int64_t i = 0; i < batch.sequences(); ++i)
        for (auto t = std::size_t(batch.token_offsets()[std::size_t(i)]);
             t < std::size_t(batch.token_offsets()[std::size_t(i) + 1]); ++t) {
            double d = batch[col::logp_teacher{}][t] - batch[col::logp{}][t];
            double keep = batch[col::penalty_weight{}][std::size_t(i)];
            EXPECT_NEAR(said.gradient[t], -(batch[col::advantage{}][t] + 2e-3 * keep * d) / double(batch.tokens()),
                        1e-14);
        }
}

TEST(Kdrl, ATeacherThatIsTheStudentPullsNowhere) {
    auto batch = dense<methods::Kdrl>(1);
    std::copy(batch[col::logp{}].begin(), batch[col::logp{}].end(), batch[col::logp_teacher{}].begin());
    auto said = pull(methods::kdrl, batch);
    EXPECT_EQ(said.term_loss[1], 0.0);
    for (double slope : said.gradient) EXPECT_EQ(std::abs(slope), 0.0);
}

TEST(Kdrl, MasksByReward) {
    auto batch = dense<methods::ConstantKdrl>(2);
    auto marked = [&](const auto& method, const std::vector<double>& reward) {
        return pull(method, batch, reward).term_loss[1];
    };
    double all = marked(methods::kdrl_constant, {});
    ASSERT_GT(all, 0.0);
    EXPECT_EQ(marked(methods::kdrl_wrong_answers, {1, 2, 0.5, 1, 1, 1}), 0.0) << "all right";
    EXPECT_EQ(marked(methods::kdrl_wrong_answers, {0, -1, 0, 0, 0, -3}), all) << "right is a reward above 0";
    EXPECT_EQ(marked(methods::kdrl_unsolved_groups, {0, 0, 0, -1, 0, 0}), all);
    EXPECT_EQ(marked(methods::kdrl_unsolved_groups, {0, 1, 1, 0, 0, 1}), 0.0);
    double one = marked(methods::kdrl_wrong_answers, {0, 1, 1, 1, 1, 1});
    EXPECT_NEAR(marked(methods::kdrl_wrong_answers, {1, 0, 0, 0, 0, 0}) + one, all, 1e-15)
        << "divided by all trainable tokens, whatever is marked";
}

TEST(Kdrl, FarTeachersAreNotClippedAndImpossibleOnesRefused) {
    auto batch = dense<methods::ConstantKdrl>(3);
    std::fill(batch[col::logp{}].begin(), batch[col::logp{}].end(), -1.0);
    for (double d : {30.0, -30.0, -300.0}) {
        std::fill(batch[col::logp_teacher{}].begin(), batch[col::logp_teacher{}].end(), -1.0 + d);
        EXPECT_NEAR(pull(methods::kdrl_constant, batch).term_loss[1], 2e-3 * 0.5 * d * d, 1e-10);
    }
    batch[col::logp_teacher{}][0] = -std::numeric_limits<double>::infinity();
    try {
        pull(methods::kdrl_constant, batch);
        ADD_FAILURE() << "expected an error";
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("logp_teacher of token 0"), std::string::npos) << error.what();
    }
    batch[col::mask{}][0] = 0.0;
    EXPECT_TRUE(std::isfinite(pull(methods::kdrl_constant, batch).loss));
}

TEST(Kdrl, TheCoefficientFollowsTheUpdatesAndNotBelowItsFloor) {
    auto part = methods::kdrl.regularizer;
    decltype(part)::State state;
    backend::Host host;
    roars::Run run{host};
    Result<> result;
    double before = part.in_force(state);
    EXPECT_EQ(before, 5e-3) << "steps count from 0";
    for (int step = 1; step < 200; ++step) {
        part.observe(run, state, result);
        EXPECT_LE(part.in_force(state), before);
        EXPECT_GE(before = part.in_force(state), 1e-3);
        EXPECT_EQ(std::get<0>(part.terms(state)).coefficient, before);
    }
    EXPECT_EQ(before, 1e-3);
    part.schedule.decay = 0.0;
    EXPECT_EQ(part.in_force(state), 5e-3) << "no decay is constant";
}

RC_GTEST_PROP(Kdrl, EstimatorsAgreeNearTheTeacher, ()) {
    double d = double(*rc::gen::inRange(-1000, 1001)) * 1e-6;
    RC_ASSERT(std::abs(kl::K2::of(d).value - kl::ExactK3::of(d).value) <= std::abs(d * d * d));
    RC_ASSERT(std::abs(kl::ExactK3::of(d).slope - (1.0 - std::exp(-d))) < 1e-15);
}
TEST(Kdrl, ExactK3IsFiniteInFloat) {
    auto far = kl::ExactK3::of(-1000.0f);
    EXPECT_TRUE(std::isfinite(far.value));
    EXPECT_EQ(far.slope, 0.0f);
    EXPECT_NEAR(kl::ExactK3::of(50.0).value, 49.0, 1e-12);
}

}  // namespace
}  // namespace roars::kdrl_test

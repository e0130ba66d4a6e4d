#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "roars/methods/dapo.hpp"
#include "roars/sampler/curriculum.hpp"

namespace roars::external_engine_test {
namespace {

/// What an engine has, and DAPO's formulas over it, written out token by token: arXiv 2503.14476, eq. 8, 9 and 13.
struct Engine {
    std::vector<std::int64_t> token_offsets{0, 3, 5, 9, 11, 14, 16, 17, 17}, prompts{0, 3, 6, 8};
    std::vector<double> logp{-0.9, -1.1, -0.2, -2.0, -0.7, -0.3, -1.6, -0.8, -0.5,
                             -1.2, -0.4, -0.6, -1.9, -1.0, -0.1, -2.3, -0.7};
    std::vector<double> logp_old{-1.3, -1.0, -0.2, -1.5, -0.9, -0.3, -1.4, -0.8, -0.6,
                                 -1.3, -0.4, -0.9, -1.8, -1.0, -0.2, -2.1, -0.2};
    std::vector<double> mask{1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    std::vector<double> rewards{1, 0, 1, 0, 0, 1, 1, 1};
    double max_length = 4, buffer = 2, low = 0.2, high = 0.28;

    std::vector<double> reward, advantage, gradient;
    double loss = 0, clipped = 0, ratio = 0, kl = 0;

    void by_hand(const std::vector<double>& trainable) {
        std::size_t sequences = rewards.size();
        double tokens = 0;
        for (double each : trainable) tokens += each;
        for (std::size_t i = 0; i < sequences; ++i) {
            double length = double(token_offsets[i + 1] - token_offsets[i]), allowed = max_length - buffer;
            double penalty = length <= allowed ? 0 : length <= max_length ? (allowed - length) / buffer : -1;
            reward.push_back(rewards[i] + penalty);
        }
        advantage.resize(logp.size()), gradient.resize(logp.size());
        for (std::size_t g = 0; g + 1 < prompts.size(); ++g) {
            auto first = std::size_t(prompts[g]), last = std::size_t(prompts[g + 1]);
            double n = double(last - first), mean = 0, variance = 0;
            for (auto i = first; i < last; ++i) mean += reward[i] / n;
            for (auto i = first; i < last; ++i) variance += (reward[i] - mean) * (reward[i] - mean) / (n - 1);
            for (auto i = first; i < last; ++i)
                for (auto t = std::size_t(token_offsets[i]); t < std::size_t(token_offsets[i + 1]); ++t) {
                    double a = variance > 0 ? (reward[i] - mean) / (std::sqrt(variance) + 1e-6) : 0;
                    advantage[t] = a;
                    if (trainable[t] == 0) continue;
                    double r = std::exp(logp[t] - logp_old[t]), held = std::clamp(r, 1 - low, 1 + high);
                    loss += -std::min(r * a, held * a) / tokens;
                    gradient[t] = r * a <= held * a ? -r * a / tokens : 0;
                    clipped += (held * a < r * a) / tokens;
                    ratio += r / tokens;
                    kl += (logp_old[t] - logp[t]) / tokens;
                }
        }
    }
    methods::Dapo dapo() const {
        auto dapo = methods::dapo;
        dapo.reward = {reward::Verified{}, reward::SoftOverlong{.max_length = max_length, .buffer = buffer}};
        dapo.optimizer.surrogate = {.low = low, .high = high};
        return dapo;
    }
    auto borrowed() {
        return view<double>(token_offsets, prompts)
            .borrow(col::logp{}, logp)
            .borrow(col::logp_old{}, logp_old)
            .borrow(col::outcome{}, rewards);
    }
    template <class BatchType, class ResultType>
    void expect_equal(const BatchType& batch, const ResultType& result) const {
        for (std::size_t i = 0; i < reward.size(); ++i) EXPECT_NEAR(batch[col::reward{}][i], reward[i], 1e-14) << i;
        for (std::size_t t = 0; t < logp.size(); ++t) {
            EXPECT_NEAR(batch[col::advantage{}][t], advantage[t], 1e-12) << t;
            EXPECT_NEAR(batch[col::grad<col::logp>{}][t], gradient[t], 1e-13) << t;
        }
        EXPECT_NEAR(result.loss(), loss, 1e-13);
        EXPECT_NEAR(result.metric("clip_fraction"), clipped, 1e-14);
        EXPECT_NEAR(result.metric("ratio"), ratio, 1e-13);
        EXPECT_NEAR(result.metric("approx_kl"), kl, 1e-13);
    }
};

TEST(ExternalEngine, GetsDaposNumbersFromItsArrays) {
    Engine engine;
    engine.by_hand(std::vector<double>(engine.logp.size(), 1.0));
    auto batch = complete<methods::Dapo>(engine.borrowed());
    auto result = loss(engine.dapo(), batch);
    engine.expect_equal(batch, result);
    EXPECT_GT(result.metric("clip_fraction"), 0);
    EXPECT_TRUE(std::isnan(result.metric("no such metric")));
}

TEST(ExternalEngine, LendsItsMask) {
    Engine engine;
    engine.by_hand(engine.mask);
    auto batch = complete<methods::Dapo>(engine.borrowed().borrow(col::mask{}, engine.mask));
    engine.expect_equal(batch, loss(engine.dapo(), batch));
    EXPECT_EQ(batch[col::grad<col::logp>{}][6], 0.0);
}

TEST(ExternalEngine, ReceivesTheGradientInItsOwnMemoryPieceByPiece) {
    Engine engine;
    engine.by_hand(engine.mask);
    std::vector<double> gradient(engine.logp.size(), 99.0);
    auto batch = complete<methods::Dapo>(
        engine.borrowed().borrow(col::mask{}, engine.mask).borrow(col::grad<col::logp>{}, gradient));
    backend::Host host;
    roars::Run run{host};
    methods::Dapo::State state;
    auto dapo = engine.dapo();
    dapo.score(run, state, batch);
    dapo.estimate(run, state, batch);
    auto totals = dapo.totals(run, state, batch);
    decltype(dapo.objective(run, state, batch)) sum;
    for (std::int64_t g = 0; g < batch.groups(); ++g) {
        auto micro_batch = batch.slice_groups(g, g + 1);
        sum += dapo.objective(run, state, micro_batch, totals);
    }
    engine.expect_equal(batch, sum);
    EXPECT_EQ(batch[col::grad<col::logp>{}].data(), gradient.data());
}

/// What the sampler alone reads (here: which prompt it was) is no business of an engine that has sampled.
TEST(ExternalEngine, IsNotAskedForWhatTheSamplerReads) {
    using Curriculum = Algorithm<sampler::Curriculum, reward::Sum<reward::Verified, reward::SoftOverlong>,
                                 advantage::GroupZScore, regularizer::None, methods::Dapo::Optimizer>;
    static_assert(contains_v<col::prompt, Curriculum::Inputs> && !contains_v<col::prompt, Curriculum::SampledInputs>);
    Engine engine;
    engine.by_hand(std::vector<double>(engine.logp.size(), 1.0));
    Curriculum algorithm{.reward = engine.dapo().reward, .optimizer = engine.dapo().optimizer};
    auto batch = complete<Curriculum>(engine.borrowed());
    engine.expect_equal(batch, loss(algorithm, batch));
}

/// An engine that has shaped its rewards, or has advantages of its own, leaves out what it does not want.
TEST(ExternalEngine, LeavesStagesOut) {
    Engine engine;
    engine.by_hand(std::vector<double>(engine.logp.size(), 1.0));
    auto batch = complete<methods::Dapo>(engine.borrowed());
    backend::Host host;
    roars::Run run{host};
    methods::Dapo::State state;
    std::copy(engine.advantage.begin(), engine.advantage.end(), batch[col::advantage{}].begin());
    std::copy(engine.reward.begin(), engine.reward.end(), batch[col::reward{}].begin());
    engine.expect_equal(batch, engine.dapo().objective(run, state, batch));
}

}  // namespace
}  // namespace roars::external_engine_test

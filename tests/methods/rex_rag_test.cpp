#include "roars/methods/rex_rag.hpp"

#include <array>
#include <map>
#include <set>

#include "any_cut.hpp"
#include "roars/methods/grpo.hpp"
#include "roars/reflect.hpp"
#include "roars/tasks/temptation.hpp"
#include "roars/tasks/tool_chain.hpp"
#include "roars/train/checkpoint.hpp"
#include "roars/train/trainer.hpp"
#include "roars/train/with_continuations.hpp"

namespace roars::rex_rag_test {
namespace {

static_assert(SamplerPart<sampler::ProbedFailures>);
using Learner = train::WithContinuations<tasks::Temptation>;
static_assert(fits_v<methods::RexRag, Learner> && train::draws_from<methods::RexRag, Learner>);
static_assert(!train::draws_from<methods::RexRag, train::WithContinuations<tasks::ToolChain>>, "it has no hints");
using Hints = std::vector<std::int32_t>;
using Places = std::vector<std::int64_t>;

std::vector<double> probabilities(const Hints& token, const Places& offsets) {
    return sampler::hint_probabilities(token, offsets);
}
TEST(HintProbabilities, AreSharesOfThoseThatGoOnAlike) {
    // 9 1 | 9 1 2 | 9 3 | 9: the last ends where the others go on.
    EXPECT_EQ(probabilities({9, 1, 9, 1, 2, 9, 3, 9}, {0, 2, 5, 7, 8}),
              (std::vector<double>{1, 2.0 / 3, 1, 2.0 / 3, 1, 1, 1.0 / 3, 1}));
    EXPECT_EQ(probabilities({4, 5, 6}, {0, 3}), (std::vector<double>{1, 1, 1})) << "a pool of one hint";
    EXPECT_EQ(probabilities({1, 7, 2, 7}, {0, 2, 4}), (std::vector<double>{0.5, 1, 0.5, 1}))
        << "the same token behind another one is another place";
    EXPECT_TRUE(probabilities({}, {0}).empty());
    EXPECT_TRUE(probabilities({}, {0, 0}).empty());
}
/// Where no hint is the beginning of another, the product along one is its share of the pool.
RC_GTEST_PROP(HintProbabilities, MultiplyToTheShareOfAHint, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    Hints token;
    Places offsets{0};
    std::map<Hints, int> count;
    const int hints = 1 + int(random() % 6);
    for (int h = 0; h < hints; ++h) {
        Hints hint{std::int32_t(random() % 2), std::int32_t(random() % 2), std::int32_t(random() % 3)};
        token.insert(token.end(), hint.begin(), hint.end());
        offsets.push_back(std::ssize(token));
        ++count[hint];
    }
    auto p = probabilities(token, offsets);
    for (std::size_t h = 0; h < std::size_t(hints); ++h)
        RC_ASSERT(
            std::abs(
                p[3 * h] * p[3 * h + 1] * p[3 * h + 2] -
                double(count[Hints(token.begin() + std::ptrdiff_t(3 * h), token.begin() + std::ptrdiff_t(3 * h + 3))]) /
                    hints) < 1e-12);
}

TEST(PlanProbes, OnlyFailuresWhoseGateIsOpen) {
    std::vector<double> reward{0.2, 1, 1.2, 0, 0.1}, gate{0.1, 0, 0, 0.3, 0.2}, pick{0, 0, 0, 0, 0.999};
    Places turns{3, 2, 2, 2, 0};
    auto plan = sampler::plan_probes(reward, gate, pick, turns, 30, 0.25);
    EXPECT_EQ(plan.source, (Places{0, 4}));
    EXPECT_EQ(plan.kept_turns, (Places{2, 0})) << "of no turns none is taken";
    EXPECT_EQ(plan.hint, (Places{0, 29}));
    EXPECT_NEAR(plan.failure_rate, 0.6, 1e-12);
    EXPECT_EQ(sampler::plan_probes({}, {}, {}, {}, 30, 1.0).failure_rate, 0.0);
}

TEST(MostPlausible, TheHighestFirstAndOfEqualOnesTheFirst) {
    std::vector<double> score{-3, -1, -3, -2};
    EXPECT_EQ(sampler::most_plausible(score, 3), (Places{1, 3, 0}));
    EXPECT_EQ(sampler::most_plausible(score, 9), (Places{1, 3, 0, 2})) << "fewer probes than may stay";
    EXPECT_TRUE(sampler::most_plausible(score, 0).empty());
    EXPECT_TRUE(sampler::most_plausible({}, 3).empty());
}

TEST(MixtureBehaviour, Edges) {
    const sampler::MixtureBehaviour none{0.0, 0.5}, all_failed{0.25, 1.0}, some{0.25, 0.5}, nothing{0.25, 0.0};
    EXPECT_EQ(none.original(-1.5), -1.5) << "without a probe b is the old policy, exactly";
    EXPECT_EQ(none.continued(-1.5), -1.5);
    EXPECT_NEAR(all_failed.copied(-1.5, 3), -1.5, 1e-12) << "that all failed says nothing of a rollout";
    EXPECT_NEAR(nothing.copied(-1.5, 3), -1.5, 1e-12) << "no division by a rate of 0";
    EXPECT_NEAR(some.copied(-0.1, 1), std::log(1.25) - 0.1, 1e-12);
    EXPECT_GT(some.copied(-0.1, 1), 0.0) << "a ratio of densities may exceed 1";
    double whole = 0;  // of a mixture of probes alone: the failure is divided out once
    for (int t = 0; t < 4; ++t) whole += sampler::MixtureBehaviour{1.0, 0.3}.copied(0.0, 4);
    EXPECT_NEAR(whole, -std::log(0.3), 1e-12);
    EXPECT_NEAR(some.hint(-1e30, 0.5), std::log(0.125), 1e-12) << "a hint that the policy would never say";
    EXPECT_NEAR(some.hint(-800, 0), some.original(-800), 1e-12) << "a hint that only the policy would say";
    EXPECT_EQ((sampler::MixtureBehaviour{}.hint(-800, 0.5)), -800) << "no probes: the policy alone";
}

TEST(FromBehaviour, IsTheSurrogateOnTheOtherColumn) {
    using Term = surrogate::FromBehaviour<surrogate::Clip>;
    Term term{{.low = 0.2, .high = 0.2}};
    surrogate::Clip clip{.low = 0.2, .high = 0.2};
    std::mt19937 random(3);
    std::normal_distribution<double> normal;
    for (int k = 0; k < 100; ++k) {
        double logp = normal(random), behaviour = normal(random) / 3 + logp, advantage = normal(random);
        auto said = term.token(
            Token<double, columns<col::logp, col::logp_behaviour, col::advantage>>{{logp}, {behaviour}, {advantage}});
        auto plain = clip.token(
            Token<double, columns<col::logp, col::logp_old, col::advantage>>{{logp}, {behaviour}, {advantage}});
        EXPECT_EQ(said.loss, plain.loss);
        EXPECT_EQ(said.slope[0], plain.slope[0]);
        EXPECT_EQ(said.metric, plain.metric);
    }
    // A hint that the policy hardly says: a ratio near 0, which only blame is cut at.
    Token<double, columns<col::logp, col::logp_behaviour, col::advantage>> praised{{-8}, {-1}, {1}}, blamed = praised;
    static_cast<roars::detail::Cell<double, col::advantage>&>(blamed).value = -1;
    EXPECT_LT(term.token(praised).slope[0], 0.0);
    EXPECT_EQ(term.token(blamed).slope[0], 0.0);
}

using RexBatch = Batch<float, unite_t<typename methods::RexRag::Columns, typename Learner::keeps>>;
struct Collected {
    RexBatch batch;
    sampler::ProbedFailures::State state;
    std::int64_t rollouts = 0;
};
Collected collected(const sampler::ProbedFailures& sampler, const tasks::TemptationSettings& settings,
                    std::uint64_t seed = 1) {
    tasks::Temptation task(settings, 3);
    Learner learner(task);
    backend::Host host;
    roars::Run run{host, Random(seed)};
    Collected made;
    sampler.collect(run, made.state, learner, made.batch, [](auto&) {});
    made.rollouts = learner.position.rollouts;
    return made;
}

TEST(ProbedFailures, ProbesJoinTheGroupTheyComeFrom) {
    const tasks::TemptationSettings settings{.temptation = 3, .hint_logit = -3};
    const Collected made = collected({.prompts = 16, .group_size = 5, .probability = 0.7, .keep_ratio = 0.3}, settings);
    const RexBatch& batch = made.batch;
    const auto& state = made.state;
    tasks::Temptation task(settings, 3);
    ASSERT_EQ(batch.groups(), 16);
    EXPECT_EQ(state.kept_probes, 24) << "0.3 of 80";
    EXPECT_EQ(batch.sequences(), 80 + 24);
    EXPECT_EQ(made.rollouts, 80 + state.probes);
    EXPECT_EQ(state.rollouts, made.rollouts);
    EXPECT_GT(state.probes, 30);
    EXPECT_NEAR(state.keep_ratio, 0.9 * 0.3 + 0.1 * double(state.right_probes) / double(state.probes), 1e-12);
    const double mix = 24.0 / 104;
    double failures = 0;
    for (std::size_t g = 0; g < 16; ++g)
        for (std::int64_t k = 0; k < 5; ++k)
            failures += batch[col::outcome{}][std::size_t(batch[col::groups{}][g] + k)] < 1;
    const sampler::MixtureBehaviour mixture{mix, failures / 80};
    for (std::size_t g = 0; g < 16; ++g) {
        std::multiset<int> failed;  // first paths of answers that may be reopened
        for (std::int64_t k = batch[col::groups{}][g]; k < batch[col::groups{}][g + 1]; ++k) {
            const auto i = std::size_t(k), t = std::size_t(batch.token_offsets()[i]);
            const auto size = std::size_t(batch.token_offsets()[i + 1]) - t;
            auto old = [&](std::size_t at) { return double(batch[col::logp_old{}][t + at]); };
            EXPECT_EQ(batch[col::prompt{}][i], batch[col::prompt{}][std::size_t(batch[col::groups{}][g])]);
            std::vector<double> expected;
            if (k - batch[col::groups{}][g] < 5) {
                for (std::size_t at = 0; at < size; ++at) expected.push_back(mixture.original(old(at)));
                if (size == 2 && batch[col::outcome{}][i] < 1) failed.insert(batch[col::token{}][t]);
            } else {
                ASSERT_EQ(size, 3U);
                auto source = failed.find(batch[col::token{}][t]);
                ASSERT_NE(source, failed.end()) << "each failure is probed once";
                failed.erase(source);
                expected = {mixture.copied(old(0), 1), mixture.hint(old(1), 1.0 / 3), old(2)};
                EXPECT_GE(batch[col::token{}][t + 1], 1);
                EXPECT_EQ(batch[col::outcome{}][i],
                          float(task.success(batch[col::prompt{}][i], 13 + batch[col::token{}][t + 2])));
            }
            for (std::size_t at = 0; at < size; ++at) {
                EXPECT_NEAR(batch[col::logp_behaviour{}][t + at], expected[at], 1e-5);
                EXPECT_EQ(batch[col::mask{}][t + at], 1.0f) << "hints are learnt";
            }
        }
    }
}

TEST(ProbedFailures, HintsAreDrawnFromThePoolAndTheLikeliestStay) {
    const tasks::TemptationSettings settings{.paths = 4, .hints = 4};
    auto all = collected({.prompts = 100, .probability = 1, .keep_ratio = 1}, settings);
    ASSERT_GT(all.state.probes, 400);
    EXPECT_EQ(all.state.kept_probes, all.state.probes) << "fewer probes than may stay: all";
    std::map<int, int> hints;
    for (std::size_t i = 0; i < std::size_t(all.batch.sequences()); ++i)
        if (auto t = std::size_t(all.batch.token_offsets()[i]); all.batch.token_offsets()[i + 1] - std::int64_t(t) == 3)
            ++hints[all.batch[col::token{}][t + 1]];
    const double n = double(all.state.probes);
    for (int h = 1; h <= 4; ++h) EXPECT_NEAR(hints[h], n / 4, 5 * std::sqrt(n * 3 / 16)) << h;

    tasks::Temptation task(settings, 3);
    Learner learner(task);
    for (std::int64_t row = 0; row < task.rows(); ++row)
        if (row % 9 >= 1 && row % 9 <= 4) learner.policy().logits(row)[2] += 3;
    backend::Host host;
    roars::Run run{host, Random(1)};
    RexBatch batch;
    sampler::ProbedFailures::State state;
    sampler::ProbedFailures{.prompts = 100, .probability = 1, .keep_ratio = 0.1}.collect(run, state, learner, batch,
                                                                                         [](auto&) {});
    EXPECT_EQ(state.kept_probes, 50);
    for (std::size_t g = 0; g < 100; ++g)
        for (std::int64_t k = batch[col::groups{}][g] + 5; k < batch[col::groups{}][g + 1]; ++k)
            EXPECT_EQ(batch[col::token{}][std::size_t(batch.token_offsets()[std::size_t(k)]) + 1], 2);
}

TEST(ProbedFailures, WithoutRoomOrFailureThereIsNoProbe) {
    auto too_few = collected({.prompts = 2, .probability = 1, .keep_ratio = 0.08}, {});
    EXPECT_GT(too_few.state.probes, 0);
    EXPECT_EQ(too_few.state.kept_probes, 0) << "0.8 of a probe";
    EXPECT_EQ(too_few.batch.sequences(), 10);
    auto none = collected({.prompts = 2, .probability = 0}, {});
    EXPECT_EQ(none.state.probes, 0);
    EXPECT_EQ(none.state.batches, 0) << "the ratio stays";
    for (const auto* each : {&too_few.batch, &none.batch})
        for (std::size_t t = 0; t < std::size_t(each->tokens()); ++t)
            EXPECT_EQ((*each)[col::logp_behaviour{}][t], (*each)[col::logp_old{}][t]) << "the old policy, exactly";
}

TEST(ProbedFailures, TheKeepRatioFollowsWhatProbesAreWorth) {
    sampler::ProbedFailures part;
    sampler::ProbedFailures::State state;
    EXPECT_EQ(part.ratio(state), 0.08);
    state.batches = 1;
    state.keep_ratio = part.next_ratio(0.08, 1.0);
    EXPECT_NEAR(part.ratio(state), 0.9 * 0.08 + 0.1, 1e-15);
    EXPECT_EQ(part.next_ratio(0.0, 0.0), 0.0);
}

TEST(RexRag, WithoutProbesItIsGrpo) {
    tasks::Temptation task({.temptation = 1, .hint_logit = -30}, 3);  // answers of equal length
    Learner learner(task);
    train::TabularLearner<tasks::Temptation> plain(task);
    methods::RexRag rex = methods::rex_rag;
    rex.sampler = {.prompts = 8, .group_size = 5, .probability = 0};
    methods::Grpo grpo = methods::grpo;
    grpo.sampler = {.prompts = 8, .group_size = 5};
    grpo.regularizer = rex.regularizer;
    rex.optimizer.minibatches = 1;
    rex.optimizer.step = grpo.optimizer.step = step::recipe({.learning_rate = 0.05});
    train::Trainer<methods::RexRag, Learner> first(rex, learner);
    train::Trainer<methods::Grpo, train::TabularLearner<tasks::Temptation>> second(grpo, plain);
    backend::Host host;
    for (std::int64_t i = 0; i < 5; ++i) {
        roars::Run run{host, Random(5).at(std::uint32_t(i)), Progress{i, 5}};
        first.iterate(run);
        second.iterate(run);
    }
    for (std::size_t k = 0; k < learner.parameters().values().size(); ++k)
        EXPECT_NEAR(learner.parameters().values()[k], plain.parameters().values()[k], 1e-5);
}

TEST(RexRag, TheRewardIsTheVerdictAndAShareOfTheForm) {
    Batch<double, columns<col::outcome, col::format, col::truncated, col::reward>> batch(offsets_of({1, 1, 1, 1}));
    std::vector<double> outcome{1, 0, 0, 0}, format{0.5, 1, 0.25, 1}, truncated{0, 0, 0, 1};
    std::copy(outcome.begin(), outcome.end(), batch[col::outcome{}].begin());
    std::copy(format.begin(), format.end(), batch[col::format{}].begin());
    std::copy(truncated.begin(), truncated.end(), batch[col::truncated{}].begin());
    backend::Host host;
    roars::Run run{host};
    NoState state;
    roars::detail::call_score(methods::rex_rag.reward, run, state, batch);
    std::vector<double> expected{1.1, 0.2, 0.05, 0};
    for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(batch[col::reward{}][i], expected[i], 1e-12) << i;
}

TEST(RexRag, SettingsAreFlags) {
    auto method = methods::rex_rag;
    EXPECT_TRUE(set_setting(method, "sampler.keep_ratio", "0.5"));
    EXPECT_TRUE(set_setting(method, "optimizer.surrogate.high", "0.3"));
    EXPECT_EQ(method.sampler.keep_ratio, 0.5);
    EXPECT_EQ(method.optimizer.surrogate.base.high, 0.3);
}

/// A share `mix` of a batch are probes: how far the expected gradient is from that of the policy's own rollouts, by
/// enumeration, where tokens are weighed by nothing, by the mixture's ratio at each, or whole rollouts by the ratio of
/// their densities.
class Correction {
public:
    explicit Correction(std::uint64_t seed) {
        RandomStream noise{Random(seed, Purpose::noise)};
        first_ = {3, 0, 0, 0};
        for (double& logit : first_) logit += 0.3 * noise.normal();
        for (auto& row : hint_)
            for (std::size_t h = 0; h < row.size(); ++h) row[h] = h == 0 ? 0.0 : -3 + 0.3 * noise.normal();
        for (auto& row : second_)
            for (double& logit : row) logit = 0.5 * noise.normal();
        for (std::size_t p = 0; p < 4; ++p) {
            success_ += p == right ? p_of(first_, p) * p_of(hint_[p], 0) : 0;
            for (std::size_t h = 1; h < 4; ++h)
                success_ += p_of(first_, p) * p_of(hint_[p], h) * p_of(second_[p], right);
            failures_ += p == right ? 0 : p_of(first_, p) * p_of(hint_[p], 0);
        }
    }
    struct Errors {
        double uncorrected = 0, tokens = 0, sequences = 0;
    };
    Errors errors(double mix) const {
        const sampler::MixtureBehaviour mixture{mix, failures_};
        Gradient own{}, uncorrected{}, tokens{}, sequences{};
        for (std::size_t p = 0; p < 4; ++p)
            for (std::size_t h = 0; h < 4; ++h)
                for (std::size_t q = 0; q < (h == 0 ? 1 : 4); ++q) {
                    const bool last = h > 0;
                    const double p1 = p_of(first_, p), p2 = p_of(hint_[p], h), p3 = last ? p_of(second_[p], q) : 1.0;
                    const double density = p1 * p2 * p3;
                    const double of_probes = last && p != right ? p1 * p_of(hint_[p], 0) / failures_ / 3 * p3 : 0.0;
                    const double advantage = double((last ? q : p) == right) - success_;
                    using Ratios = std::array<double, 3>;
                    auto ratio = [](double logp, double behaviour) { return std::exp(logp - behaviour); };
                    auto original = [&](double x) { return ratio(std::log(x), mixture.original(std::log(x))); };
                    const Ratios of_original{original(p1), original(p2), original(p3)};
                    const Ratios of_probe{ratio(std::log(p1), mixture.copied(std::log(p1), 1)),
                                          ratio(std::log(p2), mixture.hint(std::log(p2), 1.0 / 3)),
                                          ratio(std::log(p3), mixture.continued(std::log(p3)))};
                    const double sampled = (1 - mix) * density + mix * of_probes, whole = density / sampled;
                    add(own, density * advantage, {1, 1, 1}, p, h, q);
                    add(uncorrected, sampled * advantage, {1, 1, 1}, p, h, q);
                    add(tokens, (1 - mix) * density * advantage, of_original, p, h, q);
                    add(tokens, mix * of_probes * advantage, of_probe, p, h, q);
                    add(sequences, sampled * advantage, {whole, whole, whole}, p, h, q);
                }
        return {distance(uncorrected, own), distance(tokens, own), distance(sequences, own)};
    }

private:
    static constexpr std::size_t right = 2;
    using Row = std::array<double, 4>;
    using Gradient = std::array<Row, 9>;  // the first choice, the hints behind each path, the second choices

    static double p_of(const Row& logits, std::size_t a) {
        double sum = 0;
        for (double logit : logits) sum += std::exp(logit);
        return std::exp(logits[a]) / sum;
    }
    static void add_row(Row& gradient, const Row& logits, std::size_t a, double factor) {
        for (std::size_t k = 0; k < 4; ++k) gradient[k] += factor * (double(k == a) - p_of(logits, k));
    }
    void add(Gradient& to, double factor, const std::array<double, 3>& ratio, std::size_t p, std::size_t h,
             std::size_t q) const {
        add_row(to[0], first_, p, factor * ratio[0]);
        add_row(to[1 + p], hint_[p], h, factor * ratio[1]);
        if (h > 0) add_row(to[5 + p], second_[p], q, factor * ratio[2]);
    }
    static double distance(const Gradient& is, const Gradient& should) {
        double error = 0, size = 0;
        for (std::size_t r = 0; r < is.size(); ++r)
            for (std::size_t k = 0; k < 4; ++k) {
                error += (is[r][k] - should[r][k]) * (is[r][k] - should[r][k]);
                size += should[r][k] * should[r][k];
            }
        return std::sqrt(error / size);
    }

    Row first_{};
    std::array<Row, 4> hint_{}, second_{};
    double success_ = 0, failures_ = 0;
};

TEST(RexRag, TheMixturesRatioBringsTheGradientNearer) {
    for (double mix : {0.1, 0.3}) {
        Correction::Errors mean;
        for (std::uint64_t draw = 0; draw < 10; ++draw) {
            auto errors = Correction(draw).errors(mix);
            mean.uncorrected += errors.uncorrected / 10;
            mean.tokens += errors.tokens / 10;
            mean.sequences = std::max(mean.sequences, errors.sequences);
        }
        EXPECT_LT(mean.tokens, mean.uncorrected) << mix;
        EXPECT_LT(mean.sequences, 1e-9) << mix;
    }
}

/// Stopped in the middle, written, read and gone on with, it is the same run bit for bit.
TEST(RexRag, GoesOnFromACheckpoint) {
    tasks::Temptation task({.temptation = 2}, 2);
    auto method = methods::rex_rag;
    method.sampler.prompts = 8;
    method.optimizer.minibatches = 1;
    method.optimizer.step = step::recipe({.learning_rate = 0.05});
    using Trainer = train::Trainer<methods::RexRag, Learner>;
    backend::Host host;
    auto iterate = [&](Trainer& trainer, std::int64_t from, std::int64_t to) {
        for (std::int64_t i = from; i < to; ++i) {
            roars::Run run{host, Random(4).at(std::uint32_t(i)), Progress{i, 20}};
            trainer.iterate(run);
        }
    };
    Learner whole(task), resumed(task);
    Trainer all(method, whole), rest(method, resumed);
    iterate(all, 0, 10);
    Tensors file;
    whole.write(file);
    train::write_state(file, all.state, "method");
    train::write_state(file, whole.position, "position");
    resumed.read(file);
    train::read_state(file, rest.state, "method");
    train::read_state(file, resumed.position, "position");
    EXPECT_EQ(rest.state.sampler.keep_ratio, all.state.sampler.keep_ratio);
    EXPECT_GT(rest.state.sampler.batches, 0);
    iterate(all, 10, 20);
    iterate(rest, 10, 20);
    EXPECT_EQ(std::vector<float>(whole.parameters().values().begin(), whole.parameters().values().end()),
              std::vector<float>(resumed.parameters().values().begin(), resumed.parameters().values().end()));
}

TEST(RexRag, EscapesTheTemptation) {
    tasks::Temptation task({}, 2);
    Learner learner(task);
    auto method = methods::rex_rag;
    method.sampler.prompts = 8;
    method.optimizer.minibatches = 1;
    method.optimizer.step = step::recipe({.learning_rate = 0.05});
    train::Trainer<methods::RexRag, Learner> trainer(method, learner);
    backend::Host host;
    roars::Run start{host};
    EXPECT_LT(learner.evaluate(start).success, 0.01);
    for (std::int64_t i = 0; i < 110; ++i) {
        roars::Run run{host, Random(4).at(std::uint32_t(i)), Progress{i, 110}};
        trainer.iterate(run);
    }
    EXPECT_GT(learner.evaluate(start).success, 0.8);
    EXPECT_GT(trainer.state.sampler.keep_ratio, 0.08);
}

}  // namespace
}  // namespace roars::rex_rag_test

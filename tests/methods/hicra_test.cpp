#include "roars/methods/hicra.hpp"

#include "random_objective.hpp"
#include "roars/reflect.hpp"
#include "roars/tasks/factorised_targets.hpp"
#include "roars/train/tabular_learner.hpp"
#include "roars/train/trainer.hpp"

namespace roars::hicra_test {
namespace {

using Signals = Batch<double, columns<col::groups, col::mask, col::reward, col::planning, col::advantage>>;

template <class Advantage>
std::vector<double> estimated(const Advantage& part, Signals batch) {
    backend::Host host;
    roars::Run run{host};
    state_of<Advantage> state;
    roars::detail::call_estimate(part, run, state, batch);
    return {batch[col::advantage{}].begin(), batch[col::advantage{}].end()};
}
Signals random_signals(std::mt19937& random) {
    auto below = [&](int n) { return std::uniform_int_distribution<int>(0, n - 1)(random); };
    std::vector<std::int64_t> lengths, groups;
    for (int g = 0; g < 4; ++g) {
        groups.push_back(below(4));
        for (std::int64_t i = 0; i < groups.back(); ++i) lengths.push_back(below(5));
    }
    Signals batch(offsets_of(lengths), offsets_of(groups));
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    for (auto& reward : batch[col::reward{}]) reward = below(3) - 1;
    for (auto& mark : batch[col::planning{}]) mark = below(2);
    return batch;
}

RC_GTEST_PROP(Hicra, PlansGetMoreCreditAndLessBlame, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    Signals batch = random_signals(random);
    auto plain = estimated(advantage::GroupMean{}, batch), modulated = estimated(methods::hicra.advantage, batch);
    for (std::size_t t = 0; t < plain.size(); ++t) {
        double more = batch[col::planning{}][t] != 0 ? 0.2 * std::abs(plain[t]) : 0.0;
        RC_ASSERT(std::abs(modulated[t] - plain[t] - more) < 1e-15);
        RC_ASSERT(plain[t] * modulated[t] >= 0.0);  // the sign is kept
    }
    std::fill(batch[col::planning{}].begin(), batch[col::planning{}].end(), 0.0);
    RC_ASSERT(estimated(methods::hicra.advantage, batch) == plain);  // no plan: GRPO without the spread
}

TEST(Hicra, AlphaOfOneTakesTheBlameAndMoreTurnsItIntoPraise) {
    Signals batch(offsets_of({1, 1}), offsets_of({2}));
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    std::fill(batch[col::planning{}].begin(), batch[col::planning{}].end(), 1.0);
    batch[col::reward{}][1] = 1.0;
    auto part = methods::hicra.advantage;
    part.weight.alpha = 1.0;
    EXPECT_EQ(estimated(part, batch), (std::vector<double>{0.0, 1.0}));
    part.weight.alpha = 2.0;
    EXPECT_EQ(estimated(part, batch), (std::vector<double>{0.5, 1.5}));
    batch[col::reward{}][1] = 0.0;
    EXPECT_EQ(estimated(part, batch), (std::vector<double>{0.0, 0.0})) << "a constant group";
}

std::vector<std::string> cautions(const auto& method) {
    std::vector<std::string> said;
    for (const auto& [flag, words] : cautions_in(method)) said.push_back(flag + ": " + std::string(words));
    return said;
}

TEST(Hicra, AlphaOfOneOrMoreIsAllowedWithAWarning) {
    auto method = methods::hicra;
    EXPECT_EQ(cautions(method), std::vector<std::string>{});
    method.advantage.weight.alpha = 1.0;
    ASSERT_EQ(cautions(method).size(), 1u);
    EXPECT_EQ(cautions(method)[0].rfind("advantage.weight: alpha of 1 or more", 0), 0u) << cautions(method)[0];
}

struct Grams {
    std::vector<std::int32_t> tokens;
    std::vector<std::int64_t> offsets;
    void add(const std::vector<std::vector<std::int32_t>>& grams) {
        std::vector<std::int64_t> lengths;
        for (const auto& gram : grams) {
            tokens.insert(tokens.end(), gram.begin(), gram.end());
            lengths.push_back(std::ssize(gram));
        }
        offsets = offsets_of(lengths);
    }
    metrics::RaggedTokens view() const { return {tokens, offsets}; }
};
Grams grams_of(const std::vector<std::vector<std::int32_t>>& grams) {
    Grams all;
    all.add(grams);
    return all;
}
struct Marks {
    std::vector<double> mark;
    std::vector<std::int64_t> count;
};
Marks marks(const std::vector<std::int64_t>& lengths, const std::vector<std::int32_t>& tokens, const Grams& grams) {
    Marks result{std::vector<double>(tokens.size(), 7.0), {}};
    result.count = metrics::mark_grams(offsets_of(lengths), tokens, grams.view(), std::span<double>(result.mark));
    return result;
}

TEST(Hicra, GramsStandWithinOneSequence) {
    auto found = marks({2, 2}, {1, 2, 1, 1}, grams_of({{1, 2}, {2, 1}, {1, 1}, {}, {1, 2, 1}}));
    EXPECT_EQ(found.mark, (std::vector<double>{1, 1, 1, 1}));
    EXPECT_EQ(found.count, (std::vector<std::int64_t>{1, 0, 1, 0, 0})) << "2 1 and 1 2 1 would cross the border";
    EXPECT_EQ(marks({4}, {1, 1, 1, 1}, grams_of({{1, 1}})).count, std::vector<std::int64_t>{3})
        << "overlapping ones count";
    EXPECT_EQ(marks({1, 0, 1}, {1, 2}, grams_of({{1, 2}})).mark, (std::vector<double>{0, 0}));
    EXPECT_TRUE(marks({}, {}, grams_of({{1}})).mark.empty());
    EXPECT_EQ(marks({2}, {1, 2}, grams_of({})).mark, (std::vector<double>{0, 0}));
}

RC_GTEST_PROP(Hicra, MarksAreThoseOfASlowSearch, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    auto below = [&](int n) { return std::uniform_int_distribution<int>(0, n - 1)(random); };
    std::vector<std::int64_t> lengths;
    for (int i = 0; i < 4; ++i) lengths.push_back(below(12));
    auto offsets = offsets_of(lengths);
    std::vector<std::int32_t> tokens(static_cast<std::size_t>(offsets.back()));
    for (auto& token : tokens) token = below(3);
    std::vector<std::vector<std::int32_t>> grams(5);
    for (auto& gram : grams)
        for (int k = below(4); k > 0; --k) gram.push_back(below(3));
    std::vector<double> expected(tokens.size());
    std::vector<std::int64_t> count(grams.size());
    for (std::size_t g = 0; g < grams.size(); ++g)
        for (std::size_t i = 0; i < lengths.size(); ++i)
            for (std::int64_t t = offsets[i]; t + std::ssize(grams[g]) <= offsets[i + 1] && !grams[g].empty(); ++t) {
                if (!std::equal(grams[g].begin(), grams[g].end(), tokens.begin() + t)) continue;
                ++count[g];
                std::fill_n(expected.begin() + t, grams[g].size(), 1.0);
            }
    auto found = marks(lengths, tokens, grams_of(grams));
    RC_ASSERT(found.mark == expected && found.count == count);
}

TEST(Hicra, MiningKeepsTheMostFrequentFifth) {
    using Index = std::vector<std::int64_t>;
    auto mine = [](Index cluster, std::int64_t clusters, Index grams, Index documents, double fraction = 0.2) {
        return metrics::mine_grams(cluster, clusters, grams, documents, fraction);
    };
    EXPECT_EQ(mine({0, 0}, 1, {1}, {0, 1}).grams, (Index{0, 1})) << "the only cluster stays, with all its grams";
    EXPECT_TRUE(mine({0, 1}, 2, {}, {0, 0, 0}).grams.empty()) << "what never occurs is never kept";
    Index cluster(15), all(15), documents{0, 15};
    for (std::int64_t g = 0; g < 15; ++g) cluster[std::size_t(g)] = all[std::size_t(g)] = g;
    EXPECT_EQ(mine(cluster, 15, all, documents).kept_clusters, (Index{0, 1, 2})) << "0.2 * 15 is 3, ties by number";
    auto twice = mine({0, 1, 1}, 2, {1, 2, 1, 0}, {0, 3, 4});
    EXPECT_EQ(twice.document_frequency, (Index{1, 1})) << "a document counts once";
    EXPECT_EQ(twice.kept_clusters, Index{0});
    EXPECT_THROW(mine({0, 2}, 2, {0}, {0, 1}), Error);
    EXPECT_THROW(mine({0}, 1, {1}, {0, 1}), Error);
    EXPECT_TRUE(mine({0}, 1, {0}, {0, 1}, 0.0).grams.empty());
}

TEST(Hicra, EntropiesOfNothingAreZero) {
    EXPECT_EQ(metrics::semantic_entropy(std::vector<std::int64_t>{0, 0}), 0.0);
    EXPECT_EQ(metrics::semantic_entropy({}), 0.0);
    EXPECT_EQ(metrics::semantic_entropy(std::vector<std::int64_t>{5}), 0.0);
    EXPECT_NEAR(metrics::semantic_entropy(std::vector<std::int64_t>{3, 0, 3}), std::log(2.0), 1e-15);
    std::vector<double> x{1, 2, 4}, mark{0, 0, 0}, mask{1, 0, 1};
    auto mean = metrics::split_mean(std::span(x), std::span(mark), std::span(mask));
    EXPECT_EQ(mean.marked.mean, 0.0);
    EXPECT_EQ(mean.marked.count, 0);
    EXPECT_EQ(mean.others.mean, 2.5);
    EXPECT_NEAR(metrics::perplexity(-std::log(8.0)), 8.0, 1e-14);
}

/// Every strategy of the task is a gram, so the first token of every answer is a plan.
TEST(Hicra, TrainsWithTheGramsOfItsState) {
    tasks::FactorisedTargets task(
        {.prompts = 4, .length = 2, .symbols = 3, .easy_prompts = 4, .strategies = 6, .shared = true}, 1);
    train::TabularLearner learner(task);
    auto method = methods::hicra;
    method.sampler.first.prompts = 4;
    method.optimizer.step.base.base.learning_rate = 0.05;
    train::Trainer trainer(method, learner);
    for (std::int64_t s = 3; s < 6; ++s) {
        trainer.state.sampler.second.tokens.push_back(s);
        trainer.state.sampler.second.offsets.push_back(s - 2);
    }
    backend::Host host;
    double before = 0, after = 0;
    for (int i = 0; i < 60; ++i) {
        roars::Run run{host, Random(3).at(std::uint32_t(i)), Progress{i, 60}};
        if (i == 0) before = learner.evaluate(run).success;
        trainer.iterate(run);
        after = learner.evaluate(run).success;
        const auto& count = trainer.state.sampler.second.occurrences;
        ASSERT_EQ(count.size(), 3u);
        EXPECT_LE(count[0] + count[1] + count[2], 32) << "at most one plan for each answer";
    }
    EXPECT_GT(after, before + 0.1);
}

RC_GTEST_PROP(Hicra, LossOfAnyCut, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    expect_any_cut(methods::hicra, random_objective<methods::Hicra>(random, 4), 1);
    RC_ASSERT(!::testing::Test::HasFailure());
}

}  // namespace
}  // namespace roars::hicra_test

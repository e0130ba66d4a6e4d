#include "roars/methods/arpo.hpp"

#include <map>
#include <set>

#include "any_cut.hpp"
#include "roars/methods/grpo.hpp"
#include "roars/reflect.hpp"
#include "roars/tasks/tool_chain.hpp"
#include "roars/train/trainer.hpp"
#include "roars/train/with_continuations.hpp"

namespace roars::arpo_test {
namespace {

static_assert(SamplerPart<sampler::EntropyBranches>);
using Learner = train::WithContinuations<tasks::ToolChain>;
static_assert(fits_v<methods::Arpo, Learner> && fits_v<methods::ArpoHard, Learner>);
static_assert(train::draws_from<methods::Arpo, Learner> &&
              !train::draws_from<methods::Arpo, train::TabularLearner<tasks::ToolChain>>);

TEST(WindowEntropy, IsTheSumOfTheFirstTokensInUnitsOfTheLargest) {
    std::vector<double> entropy{std::log(8.0), std::log(2.0), 5.0};
    std::span<const double> all(entropy);
    EXPECT_NEAR(sampler::window_entropy(all, 2, 8), 1 + 1.0 / 3, 1e-12);
    EXPECT_NEAR(sampler::window_entropy(all.first(1), 20, 8), 1.0, 1e-12) << "a segment shorter than the window";
    EXPECT_EQ(sampler::window_entropy(all.first(0), 20, 8), 0.0);
    std::vector<double> none{0.0};
    EXPECT_EQ(sampler::window_entropy(std::span<const double>(none), 1, 1), 0.0) << "one option has no entropy";
}

TEST(EntropyRule, BranchesWithTheProbabilityItSays) {
    sampler::EntropyRule rule{.alpha = 0.5, .beta = 0.2};
    for (double delta : {-4.0, -1.0, 0.0, 0.5, 1.0, 4.0}) {
        int branches = 0;
        for (int k = 0; k < 1000; ++k) branches += rule.branches((k + 0.5) / 1000, delta);
        EXPECT_NEAR(branches / 1000.0, rule.probability(delta), 1e-9) << delta;
    }
    EXPECT_EQ(rule.probability(-4), 0.0);
    EXPECT_EQ(rule.probability(4), 1.0);
    rule.beta = 0;
    EXPECT_EQ(rule.probability(100), rule.probability(-100)) << "without beta the entropy does not matter";
}

sampler::BranchRound round_of(const sampler::EntropyRule& rule, const std::vector<sampler::BranchSource>& sources,
                              std::int64_t rollouts, std::int64_t budget, double u) {
    return rule.round(sources, rollouts, budget, [&] { return u; });
}
TEST(EntropyRule, ARoundKeepsToItsBudget) {
    sampler::EntropyRule rule{.beam = 3};
    std::vector<sampler::BranchSource> sources{{true, 0, 0}, {false, 0, 9}, {true, 0, 0}, {true, 0, 0}};
    auto made = round_of(rule, sources, 4, 7, 0.1);
    EXPECT_EQ(made.branches, (std::vector<std::int64_t>{2, 0, 1, 0})) << "what is left is one branch, then none";
    EXPECT_EQ(made.uniforms, 3);
    EXPECT_EQ(made.fresh, 0);
    made = round_of(rule, sources, 4, 7, 0.9);
    EXPECT_EQ(made.branches, (std::vector<std::int64_t>{0, 0, 0, 0}));
    EXPECT_EQ(made.uniforms, 6);
    EXPECT_EQ(round_of(rule, sources, 7, 7, 0.1).uniforms, 0) << "the budget is spent";
    EXPECT_EQ(round_of(rule, {{false, 0, 0}}, 1, 4, 0.1).fresh, 1);
    EXPECT_EQ(round_of(rule, {{false, 0, 0}}, 4, 4, 0.1).fresh, 0);
    EXPECT_EQ(round_of({.beam = 1}, sources, 4, 7, 0.1).uniforms, 0) << "a beam of one is the source alone";
}

using ArpoBatch = Batch<float, unite_t<typename methods::ArpoHard::Columns, typename Learner::keeps>>;

/// One batch of this sampler; `calls` is what it paid.
ArpoBatch drawn(const sampler::EntropyBranches& sampler, std::uint64_t seed, std::int64_t* calls = nullptr,
                sampler::SpentOnBranches* spent = nullptr) {
    tasks::ToolChain task({.first_logit = 1}, 3);
    Learner learner(task);
    backend::Host host;
    roars::Run run{host, Random(seed)};
    ArpoBatch batch;
    sampler::SpentOnBranches state;
    sampler.collect(run, state, learner, batch, [](auto&) {});
    if (calls) *calls = learner.position.tool_results;
    if (spent) *spent = state;
    return batch;
}

TEST(EntropyBranches, EveryGroupIsWholeAndABranchIsItsParentUpToTheCut) {
    for (std::uint64_t seed : {1, 2, 3}) {
        std::int64_t calls = 0;
        sampler::SpentOnBranches spent;
        auto batch =
            drawn({.prompts = 12, .rollouts = 9, .initial = 2, .window = 1, .rule = {.beam = 3}}, seed, &calls, &spent);
        ASSERT_EQ(batch.groups(), 12);
        ASSERT_EQ(batch.sequences(), 12 * 9);
        std::int64_t branches = 0, paid = 0, deep = 0;
        for (std::size_t i = 0; i < 12 * 9; ++i) {
            const std::size_t first = i / 9 * 9;
            const std::int64_t parent = batch[col::branch_parent{}][i], cut = batch[col::branch_token{}][i];
            EXPECT_EQ(batch[col::prompt{}][i], batch[col::prompt{}][first]);
            ASSERT_EQ(batch.token_offsets()[i + 1] - batch.token_offsets()[i], 5);
            paid += cut == 0 ? 2 : cut == 2 ? 1 : 0;
            if (parent < 0) {
                EXPECT_EQ(cut, 0);
                continue;
            }
            ++branches;
            ASSERT_LT(parent, std::int64_t(i - first));
            deep += batch[col::branch_parent{}][first + std::size_t(parent)] >= 0;
            EXPECT_TRUE(cut == 2 || cut == 4) << "behind a result";
            for (std::size_t t = 0; t < std::size_t(cut); ++t)
                EXPECT_EQ(batch[col::token{}][5 * i + t], batch[col::token{}][5 * (first + std::size_t(parent)) + t]);
        }
        EXPECT_EQ(branches, spent.branches);
        EXPECT_EQ(spent.rollouts, 12 * 9);
        EXPECT_EQ(calls, paid) << "calls of shared prefixes are paid once";
        EXPECT_GT(branches, 12);
        EXPECT_GT(deep, 0) << "a branch is a parent in later rounds";
    }
}

/// The first tokens of a branch behind its cut are drawn anew: together with its parent's they are a sample.
TEST(EntropyBranches, BranchesGoOnByThemselves) {
    auto batch = drawn({.prompts = 60, .rollouts = 8, .initial = 4, .window = 1}, 5);
    int same = 0, all = 0;
    for (std::size_t i = 0; i < 480; ++i) {
        if (batch[col::branch_parent{}][i] < 0) continue;
        std::size_t parent = i / 8 * 8 + std::size_t(batch[col::branch_parent{}][i]);
        same += batch[col::token{}][5 * i + 4] == batch[col::token{}][5 * parent + 4];
        ++all;
    }
    ASSERT_GT(all, 150);
    EXPECT_NEAR(same / double(all), 1.0 / 8, 5 * std::sqrt(1.0 / 8 * 7 / 8 / all)) << "the last decision is uniform";
}

TEST(EntropyBranches, MoreBranchesGrowWhereTheEntropyHasRisen) {
    auto shares = [](double beta) {
        std::map<std::int64_t, int> at;
        auto batch = drawn({.prompts = 300, .rollouts = 8, .initial = 4, .window = 1, .rule = {.beta = beta}}, 6);
        for (std::int32_t cut : batch[col::branch_token{}]) ++at[cut];
        return double(at[2]);
    };
    // At the start: 0.36 of ln 8 for the first decision's four options, 0.87 for the second.
    EXPECT_GT(shares(2.0), 1.2 * shares(0.0));
    EXPECT_LT(shares(-1.0), 0.5 * shares(0.0));
}

TEST(EntropyBranches, WithNothingToBranchItIsGrpo) {
    tasks::ToolChain task({}, 3);
    Learner learner(task);
    train::TabularLearner<tasks::ToolChain> plain(task);
    methods::Arpo arpo = methods::arpo;
    arpo.sampler = {.prompts = 6, .rollouts = 4, .initial = 4};
    arpo.optimizer.minibatches = 1;
    methods::Grpo grpo = methods::grpo;
    grpo.sampler = {.prompts = 6, .group_size = 4};
    grpo.regularizer.coefficient = 0;
    get<1>(arpo.reward.behind.behind).bonus = 0;
    arpo.optimizer.step = grpo.optimizer.step = step::recipe({.learning_rate = 0.05});
    train::Trainer<methods::Arpo, Learner> first(arpo, learner);
    train::Trainer<methods::Grpo, train::TabularLearner<tasks::ToolChain>> second(grpo, plain);
    backend::Host host;
    for (std::int64_t i = 0; i < 5; ++i) {
        roars::Run run{host, Random(5).at(std::uint32_t(i)), Progress{i, 5}};
        first.iterate(run);
        second.iterate(run);
    }
    EXPECT_EQ(learner.position.tool_results, plain.position.tool_results);
    EXPECT_EQ(learner.position.tool_results, 5 * 24 * 2);
    for (std::size_t k = 0; k < learner.parameters().values().size(); ++k)
        EXPECT_NEAR(learner.parameters().values()[k], plain.parameters().values()[k], 1e-5);
    EXPECT_EQ(first.state.sampler.branches, 0);
    arpo.sampler.initial = 5;
    ArpoBatch batch;
    roars::Run run{host, Random(5)};
    EXPECT_THROW(arpo.sampler.collect(run, first.state.sampler, learner, batch, [](auto&) {}), Error);
}

/// Rollouts of "o" own tokens and "." observations; it counts what is asked of it, and goes on as it began.
struct Written {
    using BatchType =
        Batch<double, columns<col::groups, col::prompt, col::mask, col::entropy, col::branch_parent, col::token>>;
    std::string text;
    std::vector<std::int64_t> cuts{};
    std::int64_t rolled_out = 0;

    double vocabulary() const { return 8; }
    BatchType written(std::int64_t count) const {
        std::vector<std::int64_t> offsets{0};
        for (std::int64_t i = 0; i < count; ++i) offsets.push_back(offsets.back() + std::ssize(text));
        BatchType batch{Offsets(offsets)};
        for (std::size_t t = 0; t < batch[col::mask{}].size(); ++t)
            batch[col::mask{}][t] = text[t % text.size()] == 'o' ? 1.0 : 0.0;
        return batch;
    }
    template <class RunType>
    void roll_out(RunType&, BatchType& batch, std::int64_t prompts, std::int64_t size, const Generation&) {
        batch = written(prompts * size);
        rolled_out += prompts * size;
    }
    template <class RunType>
    void roll_out(RunType& run, BatchType& batch, std::span<const std::int64_t> prompts, std::int64_t size,
                  const Generation& generation) {
        roll_out(run, batch, std::ssize(prompts), size, generation);
    }
    template <class RunType>
    void go_on(RunType&, BatchType& batch, const BatchType&, std::span<const sampler::Continuation> all,
               const Generation&) {
        batch = written(std::ssize(all));
        for (const auto& each : all) cuts.push_back(each.tokens);
    }
};
std::multiset<std::int64_t> cuts_of(const std::string& text, std::int64_t rollouts, std::int64_t rolled_out) {
    Written source{text};
    sampler::EntropyBranches sampler{
        .prompts = 1, .rollouts = rollouts, .initial = 1, .window = 1, .rule = {.alpha = 1.0}};
    backend::Host host;
    roars::Run run{host};
    sampler::SpentOnBranches state;
    Written::BatchType batch;
    sampler.collect(run, state, source, batch, [](auto&) {});
    EXPECT_EQ(batch.sequences(), rollouts);
    EXPECT_EQ(source.rolled_out, rolled_out);
    return {source.cuts.begin(), source.cuts.end()};
}
TEST(EntropyBranches, WhereARolloutMayBranch) {
    using Cuts = std::multiset<std::int64_t>;
    EXPECT_EQ(cuts_of("ooo", 4, 4), Cuts()) << "no tool was called: fresh rollouts, one after the other";
    EXPECT_EQ(cuts_of("o..", 3, 3), Cuts()) << "it ended with the result";
    EXPECT_EQ(cuts_of("..oo", 3, 3), Cuts()) << "nothing was asked before the first observation";
    EXPECT_EQ(cuts_of("oo..o", 2, 1), Cuts{4});
    EXPECT_EQ(cuts_of("oo..o", 5, 3), (Cuts{4, 4})) << "two rollouts, then a new one and its branch, then a new one";
    EXPECT_EQ(cuts_of("o.o.o", 4, 1), (Cuts{2, 4, 4})) << "in the second round the branch branches too";
    EXPECT_EQ(cuts_of("", 3, 3), Cuts());
}

using SharedBatch =
    Batch<double, columns<col::groups, col::mask, col::reward, col::branch_parent, col::branch_token, col::advantage>>;
using Shared = advantage::SharedTokens<advantage::GroupZScore>;
SharedBatch shared_batch(const std::vector<std::int64_t>& lengths, const std::vector<std::int64_t>& groups,
                         const std::vector<std::int32_t>& parent, const std::vector<std::int32_t>& cut,
                         const std::vector<double>& reward) {
    SharedBatch batch(offsets_of(lengths), groups);
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    std::copy(parent.begin(), parent.end(), batch[col::branch_parent{}].begin());
    std::copy(cut.begin(), cut.end(), batch[col::branch_token{}].begin());
    std::copy(reward.begin(), reward.end(), batch[col::reward{}].begin());
    return batch;
}
template <class Part>
std::vector<double> estimated(const Part& part, SharedBatch batch) {
    backend::Host host;
    roars::Run run{host};
    state_of<Part> state{};
    roars::detail::call_estimate(part, run, state, batch);
    return {batch[col::advantage{}].begin(), batch[col::advantage{}].end()};
}

TEST(SharedTokens, ATokenHasTheMeanOfThoseWhoShareIt) {
    // The second branches off the first at its very end, the third off the second behind one token.
    auto batch = shared_batch({2, 3, 3, 1}, {0, 4}, {-1, 0, 1, -1}, {0, 2, 1, 0}, {1, 0, 0, 1});
    auto soft = estimated(advantage::GroupZScore{}, batch), hard = estimated(Shared{}, batch);
    const double up = soft[0], down = soft[2];
    EXPECT_NEAR(up, -down, 1e-12);
    std::vector<double> expected{-up / 3, 0, -up / 3, 0, down, -up / 3, down, down, up};
    ASSERT_EQ(hard.size(), expected.size());
    for (std::size_t t = 0; t < expected.size(); ++t) EXPECT_NEAR(hard[t], expected[t], 1e-12) << t;
}
TEST(SharedTokens, Edges) {
    for (double a : estimated(Shared{}, shared_batch({2, 3}, {0, 2}, {-1, 0}, {0, 2}, {1, 1}))) EXPECT_EQ(a, 0.0);
    EXPECT_TRUE(estimated(Shared{}, shared_batch({}, {0, 0}, {}, {}, {})).empty());
    // Parents are counted within their group; a group of one, and an empty sequence.
    auto batch = shared_batch({1, 2, 0, 2}, {0, 1, 4}, {-1, -1, 0, 0}, {0, 0, 0, 1}, {5, 1, 0, 0});
    auto hard = estimated(Shared{}, batch), soft = estimated(advantage::GroupZScore{}, batch);
    EXPECT_EQ(hard[0], 0.0);
    EXPECT_NEAR(hard[1], (soft[1] + soft[3]) / 2, 1e-12);
    EXPECT_EQ(hard[1], hard[3]);
    EXPECT_EQ(hard[2], soft[2]);
    EXPECT_EQ(hard[4], soft[4]);
    // A parent may stand behind its branch; what is its own parent shares with nobody.
    hard = estimated(Shared{}, shared_batch({1, 1, 1}, {0, 2, 3}, {1, -1, 0}, {1, 0, 1}, {1, 0, 3}));
    EXPECT_NEAR(hard[0], 0, 1e-12);
    EXPECT_NEAR(hard[1], 0, 1e-12);
    EXPECT_EQ(hard[2], 0);
}

/// Unclipped, both attributions have the same gradient on a shared token; and no attribution adds or takes anything.
RC_GTEST_PROP(SharedTokens, TheCopiesOfATokenKeepTheirSum, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    auto below = [&](std::int64_t n) { return std::int64_t(random() % std::uint64_t(n)); };
    std::vector<std::int64_t> lengths, groups{0};
    std::vector<std::int32_t> parent, cut;
    std::vector<double> reward;
    std::map<std::vector<std::int64_t>, std::vector<std::size_t>> copies;  // group, origin, place -> tokens
    std::vector<std::vector<std::vector<std::int64_t>>> names;
    std::size_t token = 0;
    for (std::int64_t g = 0; g < 3; ++g) {
        const std::int64_t first = std::ssize(lengths);
        for (std::int64_t i = 0; i < 5; ++i) {
            bool branch = i > 0 && below(3) > 0;
            parent.push_back(branch ? std::int32_t(below(i)) : -1);
            auto from = branch ? std::size_t(first + parent.back()) : 0;
            cut.push_back(branch ? std::int32_t(below(lengths[from] + 1)) : 0);
            lengths.push_back(cut.back() + below(4));
            reward.push_back(double(below(3)));
            names.emplace_back();
            for (std::int64_t t = 0; t < lengths.back(); ++t) {
                names.back().push_back(t < cut.back() ? names[from][std::size_t(t)]
                                                      : std::vector<std::int64_t>{g, i, t});
                copies[names.back().back()].push_back(token++);
            }
        }
        groups.push_back(std::ssize(lengths));
    }
    auto batch = shared_batch(lengths, groups, parent, cut, reward);
    auto soft = estimated(advantage::GroupZScore{}, batch), hard = estimated(Shared{}, batch);
    for (const auto& [name, tokens] : copies) {
        double sum = 0;
        for (std::size_t t : tokens) sum += soft[t];
        for (std::size_t t : tokens) RC_ASSERT(std::abs(hard[t] - sum / double(tokens.size())) < 1e-12);
    }
}

TEST(Arpo, TheRewardIsFormThenAccuracyThenABonus) {
    Batch<double, columns<col::outcome, col::format, col::tool_kinds, col::reward>> batch(
        offsets_of({1, 1, 1, 1, 1, 1}));
    std::vector<double> outcome{0.6, 0.6, 0.6, 0, 0, 1}, format{1, 1, 0, 1, 0, 1}, kinds{2, 1, 2, 2, 2, 3};
    std::copy(outcome.begin(), outcome.end(), batch[col::outcome{}].begin());
    std::copy(format.begin(), format.end(), batch[col::format{}].begin());
    std::copy(kinds.begin(), kinds.end(), batch[col::tool_kinds{}].begin());
    backend::Host host;
    roars::Run run{host};
    NoState state;
    roars::detail::call_score(methods::arpo.reward, run, state, batch);
    std::vector<double> expected{0.7, 0.6, -1, 0, -1, 1.1};
    for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(batch[col::reward{}][i], expected[i], 1e-12) << i;
}

TEST(Arpo, SettingsAreFlags) {
    auto method = methods::arpo_hard;
    EXPECT_TRUE(set_setting(method, "sampler.rule.beam", "3"));
    EXPECT_TRUE(set_setting(method, "sampler.initial", "6"));
    EXPECT_TRUE(set_setting(method, "advantage.scale.eps", "0.5"));
    EXPECT_EQ(method.sampler.rule.beam, 3);
    EXPECT_EQ(method.sampler.initial, 6);
    EXPECT_EQ(method.advantage.base.scale.eps, 0.5);
}

template <class Method>
double trained(Method method) {
    tasks::ToolChain task({}, 2);
    Learner learner(task);
    method.sampler = {.prompts = 6, .rollouts = 16, .initial = 8, .window = 1};
    method.optimizer.minibatches = 1;
    method.optimizer.step = step::recipe({.learning_rate = 0.1});
    train::Trainer<Method, Learner> trainer(method, learner);
    backend::Host host;
    for (std::int64_t i = 0; i < 50; ++i) {
        roars::Run run{host, Random(4).at(std::uint32_t(i)), Progress{i, 50}};
        trainer.iterate(run);
    }
    roars::Run run{host};
    return learner.evaluate(run).success;
}
TEST(Arpo, LearnsTheChain) {
    tasks::ToolChain task({}, 2);
    EXPECT_LT(tasks::mean_exact_score(task, task.start_logits()).success, 0.05);
    EXPECT_GT(trained(methods::arpo), 0.8);
    EXPECT_GT(trained(methods::arpo_hard), 0.8);
}

}  // namespace
}  // namespace roars::arpo_test

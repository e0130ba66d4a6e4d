#include "roars/methods/reseek.hpp"

#include <cmath>

#include "random_objective.hpp"
#include "roars/methods/registry.hpp"
#include "roars/metrics/text_overlap.hpp"
#include "roars/reflect.hpp"
#include "roars/sampler/judged_context.hpp"
#include "roars/tasks/search_chain.hpp"
#include "roars/train/tabular_learner.hpp"
#include "roars/train/trainer.hpp"

namespace roars::reseek_test {
namespace {

using Numbers = std::vector<double>;
using Rollouts =
    Batch<double, columns<col::groups, col::mask, col::turns, col::turn_owner, col::judgement, col::relevance,
                          col::decision, col::outcome, col::truncated, col::reward, col::turn_reward, col::advantage>>;

/// Rollouts of so many turns, a token each.
Rollouts rollouts(const std::vector<std::int64_t>& turns, const Numbers& judgement, const Numbers& relevance,
                  const Numbers& outcome, const Numbers& truncated = {}) {
    Rollouts batch{Offsets(offsets_of(turns))};
    std::vector<std::int64_t> each(judgement.size() + 1);
    std::iota(each.begin(), each.end(), std::int64_t(0));
    batch.set_offsets(col::turns{}, each);
    batch.set_offsets(col::turn_owner{}, offsets_of(turns));
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    std::copy(judgement.begin(), judgement.end(), batch[col::judgement{}].begin());
    std::copy(relevance.begin(), relevance.end(), batch[col::relevance{}].begin());
    std::copy(outcome.begin(), outcome.end(), batch[col::outcome{}].begin());
    std::copy(truncated.begin(), truncated.end(), batch[col::truncated{}].begin());
    return batch;
}
template <class Reward>
Rollouts scored(const Reward& part, Rollouts batch) {
    backend::Host host;
    roars::Run run{host};
    part.score(run, batch);
    return batch;
}
Numbers returns(const Rollouts& batch, double gamma = 1.0) {
    auto done = scored(reward::ReturnOfTurns<reward::Judgement>{.gamma = gamma}, batch);
    return {done[col::reward{}].begin(), done[col::reward{}].end()};
}
Numbers by_containment(const Rollouts& batch) {
    auto done = scored(methods::reseek_containment.reward, batch);
    return {done[col::reward{}].begin(), done[col::reward{}].end()};
}

TEST(ReSeek, EveryJudgementIsPaidAndTheLastTurnIsTheAnswer) {
    auto batch = rollouts({6}, {1, 0, 1, 0, -1, -1}, {0.9, 0.1, 0.1, 0.9, 0.9, 0.9}, {1});
    auto done = scored(methods::reseek_turns.reward, batch);
    EXPECT_EQ((Numbers{done[col::turn_reward{}].begin(), done[col::turn_reward{}].end()}),
              (Numbers{0.3, 0.3, -0.6, -0.3, 0, 1}));
    EXPECT_EQ(done[col::reward{}][0], 1.0) << "the whole rollout's is the answer alone";
    EXPECT_NEAR(returns(batch)[0], 0.7, 1e-15);
    EXPECT_NEAR(returns(batch, 0.5)[0], 0.3 + 0.15 - 0.15 - 0.3 / 8 + 1.0 / 32, 1e-15);
}
TEST(ReSeek, AtTheThresholdTheFindingIsUseless) {
    EXPECT_EQ(returns(rollouts({2}, {1, -1}, {0.7, 0}, {0})), (Numbers{-0.6}));
    EXPECT_EQ(returns(rollouts({2}, {0, -1}, {0.7, 0}, {0})), (Numbers{0.3}));
    EXPECT_EQ(returns(rollouts({2}, {1, -1}, {std::nextafter(0.7, 1.0), 0}, {0})), (Numbers{0.3}));
}
TEST(ReSeek, ShortRollouts) {
    EXPECT_EQ(returns(rollouts({1, 1, 0}, {-1, 1}, {0, 0}, {1, 0, 1})), (Numbers{1, 0, 0}))
        << "an answer at once is worth the outcome alone, whatever stands in its turn; no turn, no reward";
    EXPECT_EQ(returns(rollouts({2}, {-1, -1}, {1, 1}, {0})), (Numbers{0})) << "no judgement, no penalty";
    EXPECT_EQ(by_containment(rollouts({1, 0}, {-1}, {0}, {1, 1})), (Numbers{1, 0}));
    EXPECT_TRUE(returns(rollouts({}, {}, {}, {})).empty());
}
TEST(ReSeek, WithoutAnAnswerTheJudgementsAreKeptButNotByContainment) {
    auto cut = rollouts({3}, {0, 1, 0}, {0, 1, 0}, {0}, {1});
    EXPECT_NEAR(returns(cut)[0], 0.9, 1e-15) << "the last turn is a judgement like the others";
    EXPECT_EQ(by_containment(cut)[0], 0.0);
}
TEST(ReSeek, ByContainmentARightAnswerMakesEveryAcceptanceRight) {
    // yes on useless, no on useful, no on useless, yes on useful, none
    const Numbers judgement{1, 0, 0, 1, -1, -1}, useful{0, 1, 0, 1, 1, 0};
    EXPECT_NEAR(by_containment(rollouts({6}, judgement, useful, {1}))[0], 0.4 - 0.3 + 0.4 + 0.4 + 1, 1e-15);
    EXPECT_NEAR(by_containment(rollouts({6}, judgement, useful, {0}))[0], -0.6 - 0.3 + 0.3 + 0.3, 1e-15);
}
TEST(ReSeek, EqualReturnsOfAGroupAreNoSignal) {
    auto batch = scored(methods::reseek.reward, rollouts({2, 2}, {1, -1, 1, -1}, {1, 0, 1, 0}, {1, 1}));
    batch.set_offsets(col::groups{}, std::vector<std::int64_t>{0, 2});
    backend::Host host;
    roars::Run run{host};
    methods::reseek.advantage.estimate(run, batch);
    for (double a : batch[col::advantage{}]) EXPECT_EQ(a, 0.0);
}

Numbers decided(Rollouts batch, const std::vector<std::int64_t>& groups, const Numbers& decision,
                const Numbers& turn_reward) {
    batch.set_offsets(col::groups{}, offsets_of(groups));
    std::copy(decision.begin(), decision.end(), batch[col::decision{}].begin());
    std::copy(turn_reward.begin(), turn_reward.end(), batch[col::turn_reward{}].begin());
    backend::Host host;
    roars::Run run{host};
    advantage::DecisionZScore{.eps = 0}.estimate(run, batch);
    return {batch[col::advantage{}].begin(), batch[col::advantage{}].end()};
}
TEST(ReSeek, AJudgementIsPaidToItsOwnToken) {
    auto batch = rollouts({3, 2}, {0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}, {0, 0});
    const double one = 1 / std::sqrt(2.0);
    auto signal = decided(batch, {2}, {0, 1, 0, 1, 0}, {9, 0.3, 9, -0.6, 9});
    EXPECT_EQ(signal[0], 0.0);
    EXPECT_NEAR(signal[1], one, 1e-12);
    EXPECT_EQ(signal[2], 0.0);
    EXPECT_NEAR(signal[3], -one, 1e-12);
    EXPECT_EQ(decided(batch, {2}, {0, 1, 0, 1, 0}, {9, 0.3, 9, 0.3, 9}), Numbers(5, 0.0)) << "equal rewards";
    EXPECT_EQ(decided(batch, {2}, {0, 1, 0, 0, 0}, {9, 0.3, 9, 5, 9}), Numbers(5, 0.0)) << "a lone decision";
    EXPECT_EQ(decided(batch, {1, 1}, {0, 1, 0, 1, 0}, {9, 0.3, 9, -0.6, 9}), Numbers(5, 0.0))
        << "groups stand for themselves";
    batch[col::mask{}][1] = 0;
    EXPECT_EQ(decided(batch, {2}, {0, 1, 0, 1, 0}, {9, 0.3, 9, -0.6, 9}), Numbers(5, 0.0))
        << "a masked token decides nothing";
}

TEST(ReSeek, AHardContextHidesWhatWasRejected) {
    const std::vector<std::int64_t> turns{0, 4, 7, 9};
    const Numbers judgement{0, 1, -1}, mask{1, 0, 0, 1, 1, 0, 1, 0, 1};
    auto visible = [&]<class Which>(Which) {
        return sampler::context::visible<Which>(turns, std::span<const double>(judgement),
                                                std::span<const double>(mask));
    };
    EXPECT_EQ(visible(sampler::context::Soft{}), std::vector<std::int8_t>(9, 1));
    EXPECT_EQ(visible(sampler::context::Hard{}), (std::vector<std::int8_t>{1, 0, 0, 1, 1, 1, 1, 1, 1}));
}

TEST(Answers, AreComparedAsSquadDoes) {
    using namespace metrics;
    EXPECT_EQ(normalised_answer("  The  Eiffel-Tower,\n a tower."), "eiffeltower tower");
    EXPECT_EQ(normalised_answer("theatre an anvil"), "theatre anvil") << "articles are whole words";
    EXPECT_EQ(normalised_answer("A. the!"), "");
    EXPECT_TRUE(same_answer("the Beatles!", "Beatles"));
    EXPECT_FALSE(same_answer("Beatle", "Beatles"));
    EXPECT_FALSE(same_answer("", "the")) << "nothing is no answer";
    EXPECT_TRUE(holds_answer("It was PARIS, then.", "Paris"));
    EXPECT_FALSE(holds_answer("It was Paris", ""));
    EXPECT_FALSE(holds_answer("", "Paris"));
}
TEST(Answers, TheLastOneCounts) {
    using namespace metrics;
    const std::string text = "<answer>Rome</answer> no: <answer> the Paris </answer> and <answer>";
    EXPECT_EQ(last_answer(text), " the Paris ");
    EXPECT_EQ(answer_score(text, "Paris"), 1.0);
    EXPECT_EQ(answer_score(text, "Rome"), 0.0);
    EXPECT_EQ(answer_score(text, "Paris", {.most = 2}), 0.25) << "three were begun";
    EXPECT_EQ(answer_score(text, "Paris", {.most = 3}), 1.0);
    EXPECT_EQ(last_answer("Paris </answer>"), "");
    EXPECT_EQ(last_answer("<answer>Paris"), "");
    EXPECT_EQ(answer_score("", "Paris"), 0.0);
    EXPECT_THROW(last_answer("x", {.open = ""}), Error);
}

/// What a task tells of a rollout must be what its walk does: judged by hand, rollout by rollout.
void expect_told_of_walks(const tasks::SearchChain& task, bool chooses) {
    using Told =
        Batch<float, unite_t<typename methods::ReSeekTurns::Inputs, columns<col::token, col::mask, col::prompt>>>;
    train::TabularLearner learner(task);
    backend::Host host;
    roars::Run run{host, Random(3)};
    Told batch;
    learner.roll_out(run, batch, 1, 200, Generation{});
    int answered = 0, cut = 0;
    for (std::size_t i = 0; i < 200; ++i) {
        const auto first = std::size_t(batch.token_offsets()[i]), last = std::size_t(batch.token_offsets()[i + 1]);
        std::int64_t state = task.start(0);
        auto turn = std::size_t(batch[col::turn_owner{}][i]);
        for (std::size_t t = first; t < last; ++t) {
            const bool own = !task.observation(0, state);
            if (t > first && own) ++turn;
            EXPECT_EQ(batch[col::mask{}][t], own ? 1.0f : 0.0f);
            EXPECT_EQ(batch[col::turns{}][turn] <= std::int64_t(t) && std::int64_t(t) < batch[col::turns{}][turn + 1],
                      true);
            EXPECT_EQ(batch[col::decision{}][t], task.judges(state) ? 1.0f : 0.0f);
            if (task.judges(state)) {
                EXPECT_EQ(batch[col::judgement{}][turn], float(batch[col::token{}][t]));
                EXPECT_EQ(batch[col::relevance{}][turn], task.is_relevant(task.judged(state)) ? 1.0f : 0.0f);
            } else if (own) {
                EXPECT_EQ(batch[col::judgement{}][turn], -1.0f);
            }
            state = task.next(0, state, batch[col::token{}][t]);
        }
        EXPECT_EQ(turn + 1, std::size_t(batch[col::turn_owner{}][i + 1]));
        EXPECT_EQ(batch[col::outcome{}][i], float(task.success(0, state)));
        EXPECT_EQ(batch[col::truncated{}][i], task.truncated(0, state) ? 1.0f : 0.0f);
        (task.truncated(0, state) ? cut : answered) += 1;
    }
    EXPECT_EQ(task.chooses(), chooses);
    EXPECT_GT(answered, 20);
    EXPECT_GT(cut, 20);
}
TEST(SearchChain, TellsWhatItsWalksDo) {
    expect_told_of_walks(tasks::SearchChain({}, 1), false);
    expect_told_of_walks(tasks::SearchChain({.queries = 4, .relevant = 0.8}, 1), true);
}
TEST(SearchChain, JudgementsAreCountedExactly) {
    tasks::SearchChain task({}, 2);
    const auto logits = task.start_logits();
    auto score = tasks::judgement_score(task, logits);
    // Both words are as likely: half the judgements are right, and six searches are judged unless three are accepted.
    EXPECT_NEAR(score.accuracy(), 0.5, 1e-12);
    double judged = 0;
    for (int n = 0; n < 6; ++n) {
        double fewer = 0;  // fewer than three acceptances so far
        for (int k = 0, ways = 1; k < 3 && k <= n; ways = ways * (n - k) / (k + 1), ++k)
            fewer += ways * std::pow(0.5, n);
        judged += fewer;
    }
    EXPECT_NEAR(score.judged, judged, 1e-12);
    EXPECT_NEAR(score.accepted, judged / 2, 1e-12);
    EXPECT_GT(score.wrong_share(), 0.5);
    EXPECT_LT(score.wrong_share(), 1.0);
    // Three relevant documents in a row, all accepted, or with rejections between: 1/2 (relevant) 1/2 (accepted) each.
    double right = 0;
    for (int n = 3; n <= 6; ++n) {
        const double ways = (n - 1) * (n - 2) / 2.0;
        right += ways * std::pow(0.25, 3) * std::pow(0.5, n - 3);
    }
    EXPECT_NEAR(tasks::exact_score(task, logits, 0).success, right, 1e-12);
}
TEST(SearchChain, BadQueriesFindLittle) {
    tasks::SearchChain task({.facts = 1, .searches = 1, .queries = 2, .relevant = 0.8, .other = 0.1}, 2);
    // A query by chance, accepted half the time.
    EXPECT_NEAR(tasks::exact_score(task, task.start_logits(), 0).success, 0.5 * (0.5 * 0.8 + 0.5 * 0.1), 1e-12);
}

TEST(ReSeek, IsRegistered) {
    auto method = methods::registered<methods::ReSeek>("reseek");
    EXPECT_TRUE(set_setting(method, "reward.threshold", "0.5"));
    EXPECT_TRUE(set_setting(method, "reward.value.accept_wrong", "-1"));
    EXPECT_TRUE(set_setting(method, "reward.gamma", "0.9"));
    EXPECT_EQ(method.reward.base.threshold, 0.5);
    EXPECT_EQ(method.reward.base.value.accept_wrong, -1);
    EXPECT_EQ(methods::names_of<methods::ReSeekTurns>().front(), "reseek-turns");
}

/// Judges better than chance within a few updates.
template <class Method>
double accuracy_after(Method method, std::int64_t updates) {
    tasks::SearchChain task({}, 1);
    train::TabularLearner learner(task);
    method.sampler = {.prompts = 8, .group_size = 5};
    method.optimizer.step = step::recipe({.learning_rate = 0.05});
    method.optimizer.minibatches = 1;
    train::Trainer trainer(method, learner);
    backend::Host host;
    for (std::int64_t i = 0; i < updates; ++i) {
        roars::Run run{host, Random(5).at(std::uint32_t(i)), Progress{i, updates}};
        trainer.iterate(run);
    }
    return tasks::judgement_score(task, std::span<const float>(learner.policy().logits())).accuracy();
}
TEST(ReSeek, LearnsToJudge) {
    EXPECT_GT(accuracy_after(methods::reseek, 40), 0.75);
    EXPECT_GT(accuracy_after(methods::reseek_containment, 40), 0.65);
    EXPECT_GT(accuracy_after(methods::reseek_turns, 40), 0.75);
}

RC_GTEST_PROP(ReSeek, LossOfAnyCut, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    expect_any_cut(methods::reseek, random_objective<methods::ReSeek>(random, 4), 1);
    RC_ASSERT(!::testing::Test::HasFailure());
}

}  // namespace
}  // namespace roars::reseek_test

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <vector>

#include "roars/optimizer/surrogate.hpp"
#include "roars/reflect.hpp"
#include "roars/sampler/curriculum.hpp"
#include "roars/sampler/groups.hpp"
#include "roars/sampler/replay.hpp"
#include "roars/sampler/resample.hpp"
#include "roars/sampler/stop_sequences.hpp"
#include "roars/sampler/then.hpp"

namespace roars::sampler_test {
namespace {

using TestBatch = Batch<float, columns<col::groups, col::token, col::mask, col::outcome, col::truncated, col::prompt,
                                       col::advantage, col::importance_weight, col::reward, col::logp_behaviour>>;

static_assert(SamplerPart<sampler::Groups> && SamplerPart<sampler::DynamicGroups> && SamplerPart<sampler::BandGroups>);
static_assert(SamplerPart<sampler::Curriculum> &&
              SamplerPart<sampler::Replay<sampler::Groups, sampler::draw::Uniform>>);
static_assert(SamplerPart<sampler::Then<sampler::Then<sampler::Groups, sampler::FilterGroups<sampler::keep::Band>>,
                                        sampler::MaskTruncated>>);
static_assert(SamplerPart<sampler::Then<sampler::Groups, sampler::ScoreResampling<sampler::weight::Power>>>);
static_assert(SamplerPart<sampler::Then<sampler::Groups, sampler::DynamicGroups>>);

/// Rolls out prompts 0, 1, 2, ... in turn; rollout r of all so far has 1 + r % 4 tokens, all with the number r. A
/// prompt's share of right answers is prompt % 5 / 4.
struct Source {
    std::int64_t count = 20, next = 0, rollouts = 0, calls = 0;

    std::int64_t prompt_count() const { return count; }
    template <class RunType>
    void roll_out(RunType& run, TestBatch& batch, std::int64_t prompts, std::int64_t group_size,
                  const Generation& generation) {
        std::vector<std::int64_t> numbers;
        for (std::int64_t i = 0; i < prompts; ++i) numbers.push_back(next++ % count);
        roll_out(run, batch, std::span<const std::int64_t>(numbers), group_size, generation);
    }
    template <class RunType>
    void roll_out(RunType&, TestBatch& batch, std::span<const std::int64_t> prompts, std::int64_t group_size,
                  const Generation&) {
        ++calls;
        std::vector<std::int64_t> offsets = {0}, groups = {0};
        for (std::size_t i = 0; i < prompts.size() * std::size_t(group_size); ++i)
            offsets.push_back(offsets.back() + 1 + (rollouts + std::int64_t(i)) % 4);
        for (std::size_t g = 0; g < prompts.size(); ++g) groups.push_back(groups.back() + group_size);
        batch = TestBatch{Offsets(offsets), Offsets(groups)};
        for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
            auto prompt = prompts[i / std::size_t(group_size)];
            auto member = std::int64_t(i) % group_size;
            batch[col::prompt{}][i] = std::int32_t(prompt);
            batch[col::outcome{}][i] = 4 * member < (prompt % 5) * group_size ? 1.0f : 0.0f;
            batch[col::truncated{}][i] = offsets[i + 1] - offsets[i] == 4 ? 1.0f : 0.0f;
            for (auto t = std::size_t(offsets[i]); t < std::size_t(offsets[i + 1]); ++t) {
                batch[col::token{}][t] = std::int32_t(rollouts);
                batch[col::mask{}][t] = 1.0f;
                batch[col::logp_behaviour{}][t] = -0.25f * float(rollouts);
            }
            ++rollouts;
        }
    }
};

void score(TestBatch& batch) {
    for (std::size_t i = 0; i < std::size_t(batch.sequences()); ++i)
        batch[col::reward{}][i] = 2.0f * batch[col::outcome{}][i] - 1.0f;
}

template <class Part>
TestBatch collect(const Part& part, state_of<Part>& state, Source& source, std::int64_t iteration = 0) {
    backend::Host host;
    roars::Run run{host, Random(5), Progress{iteration, 10}};
    TestBatch batch;
    part.collect(run, state, source, batch, score);
    return batch;
}

// ---- which groups stay

TEST(Sampler, DynamicGroupsHoldOnlyGroupsThatTeach) {
    sampler::DynamicGroups part{.prompts = 7, .group_size = 4, .prompts_per_draw = 4};
    sampler::Draws state;
    Source source;
    auto batch = collect(part, state, source);
    EXPECT_EQ(batch.groups(), 7);
    for (std::int64_t g = 0; g < 7; ++g) {
        std::int64_t prompt = batch[col::prompt{}][std::size_t(4 * g)];
        EXPECT_TRUE(prompt % 5 != 0 && prompt % 5 != 4) << prompt;
    }
    // 3 of 5 prompts teach: 4 draws of 4 prompts hold 10 such.
    EXPECT_EQ(state.draws, 3);
    EXPECT_EQ(state.rollouts, 3 * 16);
    EXPECT_EQ(state.drawn_groups, 12);
    EXPECT_EQ(state.kept_groups, 7);
}

TEST(Sampler, RedrawsEndWhereNothingTeaches) {
    sampler::DynamicGroups part{.prompts = 3, .group_size = 1, .max_draws = 4};
    sampler::Draws state;
    Source source;
    auto batch = collect(part, state, source);
    EXPECT_EQ(batch.groups(), 0);
    EXPECT_EQ(batch.sequences(), 0);
    EXPECT_EQ(source.calls, 4);
    EXPECT_EQ(state.rollouts, 12);
}

TEST(Sampler, SurplusOfALargeDrawIsDiscarded) {
    sampler::BandGroups part{.prompts = 3, .group_size = 4, .prompts_per_draw = 20, .keep = {0.4, 0.6}};
    sampler::Draws state;
    Source source;
    auto batch = collect(part, state, source);
    EXPECT_EQ(batch.groups(), 3);
    EXPECT_EQ(state.draws, 1);
    EXPECT_EQ(state.kept_groups, 4);
    for (std::int32_t prompt : batch[col::prompt{}]) EXPECT_EQ(prompt % 5, 2);
}

RC_GTEST_PROP(SamplerProperty, InformativeIsAnyDifference, ()) {
    auto sizes = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 5));
    std::vector<std::int64_t> groups = {0};
    for (int size : sizes) groups.push_back(groups.back() + size);
    auto outcome = *rc::gen::container<std::vector<float>>(
        std::size_t(groups.back()), rc::gen::map(rc::gen::inRange(0, 3), [](int x) { return 0.1f * float(x); }));
    backend::Host host;
    auto informative = sampler::groups_to_keep(host, groups, std::span(outcome), sampler::keep::Informative{});
    auto band = sampler::groups_to_keep(host, groups, std::span(outcome), sampler::keep::Band{0.05, 0.15});
    RC_ASSERT(informative.size() == sizes.size());
    for (std::size_t g = 0; g < sizes.size(); ++g) {
        auto begin = outcome.begin() + groups[g], end = outcome.begin() + groups[g + 1];
        bool differ = std::any_of(begin, end, [&](float x) { return x != *begin; });
        RC_ASSERT(bool(informative[g]) == differ);
        double mean = std::accumulate(begin, end, 0.0) / std::max(1.0, double(end - begin));
        RC_ASSERT(bool(band[g]) == (mean > 0.05 && mean < 0.15));
    }
}

// ---- chains

TEST(Sampler, ThenFiltersAndMasks) {
    using Part = sampler::Then<sampler::Then<sampler::Groups, sampler::FilterGroups<sampler::keep::Informative>>,
                               sampler::MaskTruncated>;
    Part part{{{.prompts = 5, .group_size = 4}, {}}, {}};
    state_of<Part> state;
    Source source;
    auto batch = collect(part, state, source);
    EXPECT_EQ(batch.groups(), 3);
    EXPECT_EQ(state.first.first.rollouts, 20);
    std::int64_t masked = 0;
    for (std::size_t i = 0; i < std::size_t(batch.sequences()); ++i)
        for (auto t = std::size_t(batch.token_offsets()[i]); t < std::size_t(batch.token_offsets()[i + 1]); ++t) {
            EXPECT_EQ(batch[col::mask{}][t], batch[col::truncated{}][i] != 0 ? 0.0f : 1.0f);
            masked += batch[col::mask{}][t] == 0;
        }
    EXPECT_EQ(masked, 12);  // one sequence of four tokens in each group
}

TEST(Sampler, ThenOfTwoSamplersPutsOneBehindTheOther) {
    using Part = sampler::Then<sampler::Groups, sampler::BandGroups>;
    Part part{{.prompts = 2, .group_size = 4}, {.prompts = 1, .group_size = 4, .keep = {0.4, 0.6}}};
    state_of<Part> state;
    Source source;
    auto batch = collect(part, state, source);
    ASSERT_EQ(batch.groups(), 3);
    EXPECT_EQ(batch[col::prompt{}][0], 0);
    EXPECT_EQ(batch[col::prompt{}][4], 1);
    EXPECT_EQ(batch[col::prompt{}][8] % 5, 2);
}

// ---- draws by weight

RC_GTEST_PROP(SamplerProperty, DrawIndexInvertsTheCumulatedWeights, ()) {
    auto weight = *rc::gen::nonEmpty(
        rc::gen::container<std::vector<double>>(rc::gen::map(rc::gen::inRange(0, 5), [](int x) { return double(x); })));
    double u = *rc::gen::inRange(0, 1024) / 1024.0, total = std::accumulate(weight.begin(), weight.end(), 0.0), sum = 0;
    auto index = sampler::draw_index(sampler::cumulated(weight), u);
    RC_ASSERT(index >= 0 && index < std::ssize(weight));
    if (total == 0) return;
    RC_ASSERT(weight[std::size_t(index)] > 0);
    for (std::int64_t i = 0; i < index; ++i) sum += weight[std::size_t(i)];
    RC_ASSERT(sum <= u * total && u * total < sum + weight[std::size_t(index)]);
}

TEST(Sampler, PrioritisedDrawsAsOftenAsItSays) {
    std::vector<double> priority = {0.5, 0.0, 2.0, 1.0, 4.0}, uniform;
    RandomStream stream(Random(1, Purpose::resample));
    for (int i = 0; i < 40000; ++i) uniform.push_back(stream.uniform());
    sampler::draw::Prioritised rule{.alpha = 0.7, .beta = 0.5};
    auto drawn = rule(priority, uniform);
    double total = 0, weighted = 0;
    for (double p : priority) total += std::pow(p, 0.7);
    std::vector<double> seen(5);
    for (auto index : drawn.index) seen[std::size_t(index)] += 1.0 / 40000;
    for (std::size_t i = 0; i < 5; ++i) {
        double p = std::pow(priority[i], 0.7) / total;
        EXPECT_NEAR(seen[i], p, 4.5 * std::sqrt(p * (1 - p) / 40000)) << i;
    }
    EXPECT_EQ(*std::max_element(drawn.weight.begin(), drawn.weight.end()), 1.0);

    // With beta = 1 the weights undo the priorities: weighted means are those of a uniform draw over what can be drawn.
    auto full = sampler::draw::Prioritised{.alpha = 0.7, .beta = 1.0}(priority, uniform);
    double normaliser = 0;
    for (std::size_t k = 0; k < full.index.size(); ++k) {
        weighted += full.weight[k] * double(full.index[k] == 4);
        normaliser += full.weight[k];
    }
    EXPECT_NEAR(weighted / normaliser, 0.25, 0.01);
}

TEST(Sampler, PrioritisedOfZerosIsUniformAndTheLastWriteCounts) {
    std::vector<double> zeros(4), uniform = {0.0, 0.3, 0.6, 0.9999999};
    sampler::draw::Prioritised rule{.eps = 0.5};
    auto drawn = rule(zeros, uniform);
    EXPECT_EQ(drawn.index, (std::vector<std::int64_t>{0, 1, 2, 3}));
    EXPECT_EQ(drawn.weight, std::vector<double>(4, 1.0));
    std::vector<std::int64_t> index = {2, 1, 2};
    std::vector<double> error = {5.0, -3.0, -1.0};
    rule.update(zeros, index, error);
    EXPECT_EQ(zeros, (std::vector<double>{0.0, 3.5, 1.5, 0.0}));
}

TEST(Sampler, ScoreWeights) {
    std::vector<double> score = {-2.0, 1.0, 3.0, 3.0};
    EXPECT_EQ(sampler::score_weights(score, sampler::weight::Power{2.0}, 0.0), (std::vector<double>{4, 1, 9, 9}));
    EXPECT_EQ(sampler::score_weights(score, sampler::weight::Extremes{}, 0.0), (std::vector<double>{1, 0, 1, 1}));
    EXPECT_EQ(sampler::score_weights(score, sampler::weight::Best{}, 0.0), (std::vector<double>{0.1, 0.1, 0.4, 0.4}));
    EXPECT_TRUE(sampler::score_weights({}, sampler::weight::Power{}).empty());
    EXPECT_THROW(sampler::draw_index({}, 0.5), Error);
}

TEST(Sampler, ResamplingDrawsWholeSequencesOfWeight) {
    using Part = sampler::Then<sampler::Groups, sampler::ScoreResampling<sampler::weight::Power>>;
    Part part{{.prompts = 5, .group_size = 4}, {.floor = 0.0}};
    state_of<Part> state;
    Source source;
    auto batch = collect(part, state, source, 3);
    ASSERT_EQ(batch.sequences(), 20);
    ASSERT_EQ(batch.groups(), 20);
    std::set<std::int32_t> different;
    for (std::size_t i = 0; i < 20; ++i) {
        EXPECT_EQ(batch[col::outcome{}][i], 1.0f);  // |0|^2 = 0: a wrong answer is never drawn
        auto first = std::size_t(batch.token_offsets()[i]), last = std::size_t(batch.token_offsets()[i + 1]);
        EXPECT_EQ(std::int64_t(last - first), 1 + batch[col::token{}][first] % 4);
        for (auto t = first; t < last; ++t) EXPECT_EQ(batch[col::token{}][t], batch[col::token{}][first]);
        different.insert(batch[col::token{}][first]);
    }
    EXPECT_GT(different.size(), 3u);
    EXPECT_LT(different.size(), 20u);
    Source again, other;
    auto same = collect(part, state, again, 3), next = collect(part, state, other, 4);
    auto tokens = [](const TestBatch& b) {
        auto span = b[col::token{}];
        return std::vector<std::int32_t>(span.begin(), span.end());
    };
    EXPECT_EQ(tokens(batch), tokens(same));
    EXPECT_NE(tokens(batch), tokens(next));
}

// ---- replay

using PrioritisedReplay = sampler::Replay<sampler::Groups, sampler::draw::Prioritised>;

TEST(Sampler, ReplayBringsBackWhatWasRolledOut) {
    sampler::Replay<sampler::Groups, sampler::draw::Uniform> part{{.prompts = 3, .group_size = 2}, 5, 4, {}};
    state_of<decltype(part)> state;
    Source source;
    auto first = collect(part, state, source, 0);
    EXPECT_EQ(first.groups(), 3);  // nothing to replay yet
    for (std::int64_t iteration = 1; iteration < 6; ++iteration) {
        std::int64_t before = source.rollouts;
        auto batch = collect(part, state, source, iteration);
        ASSERT_EQ(batch.groups(), 7);
        EXPECT_LE(state.groups.size(), 5u);
        for (std::size_t i = 0; i < 14; ++i) {
            auto t = std::size_t(batch.token_offsets()[i]);
            std::int32_t rollout = batch[col::token{}][t];
            EXPECT_EQ(rollout >= before, i < 6);
            EXPECT_GE(rollout, before - 10);  // the memory holds 5 groups of 2
            EXPECT_EQ(batch.token_offsets()[i + 1] - batch.token_offsets()[i], 1 + rollout % 4);
            EXPECT_EQ(batch[col::logp_behaviour{}][t], -0.25f * float(rollout));
            EXPECT_EQ(batch[col::reward{}][i], 2.0f * batch[col::outcome{}][i] - 1.0f);
            EXPECT_EQ(batch[col::prompt{}][i], rollout / 2 % 20);
        }
    }
    EXPECT_EQ(state.rollouts, 36);
    EXPECT_EQ(state.base.rollouts, 36);
}

TEST(Sampler, ReplayLearnsPrioritiesAndWeighs) {
    PrioritisedReplay part{{.prompts = 3, .group_size = 2}, 100, 6, {.alpha = 1.0, .beta = 1.0, .eps = 0.0}};
    state_of<PrioritisedReplay> state;
    Source source;
    backend::Host host;
    roars::Run run{host, Random(5)};
    auto batch = collect(part, state, source, 0);
    for (float w : batch[col::importance_weight{}]) EXPECT_EQ(w, 1.0f);
    for (std::size_t t = 0; t < std::size_t(batch.tokens()); ++t)
        batch[col::advantage{}][t] = batch[col::token{}][t] / 2 == 1 ? -3.0f : 0.0f;
    part.observe(run, state, batch);
    EXPECT_EQ(state.priority, (std::vector<double>{0, 3, 0}));
    batch = collect(part, state, source, 1);
    ASSERT_EQ(batch.groups(), 9);
    for (std::size_t i = 6; i < 18; ++i) EXPECT_EQ(batch[col::token{}][std::size_t(batch.token_offsets()[i])] / 2, 1);
    // New groups are as urgent as the most urgent one.
    EXPECT_EQ(state.priority, (std::vector<double>{0, 3, 0, 3, 3, 3}));
    EXPECT_EQ(state.places, (std::vector<std::int64_t>{3, 4, 5, 1, 1, 1, 1, 1, 1}));
}

TEST(Sampler, ReplayDoesNotBlameAGroupThatTookAnothersPlace) {
    PrioritisedReplay part{{.prompts = 2, .group_size = 1}, 2, 3, {.eps = 0.0}};
    state_of<PrioritisedReplay> state;
    Source source;
    backend::Host host;
    roars::Run run{host, Random(5)};
    collect(part, state, source, 0);
    auto batch = collect(part, state, source, 1);  // both stored groups are written over by the fresh ones
    for (std::size_t t = 0; t < std::size_t(batch.tokens()); ++t)
        batch[col::advantage{}][t] = batch[col::token{}][t] >= 2 ? 2.0f : 9.0f;
    part.observe(run, state, batch);
    EXPECT_EQ(state.priority, (std::vector<double>{2, 2}));
}

TEST(Sampler, ReplayGoesOnFromACheckpoint) {
    PrioritisedReplay part{{.prompts = 3, .group_size = 2}, 7, 4, {}};
    state_of<PrioritisedReplay> state, restored;
    Source source;
    for (int iteration = 0; iteration < 3; ++iteration) collect(part, state, source, iteration);
    from_json(nlohmann::json::parse(to_json(state).dump()), restored);
    Source other = source;
    auto one = collect(part, state, source, 3), two = collect(part, restored, other, 3);
    ASSERT_EQ(one.tokens(), two.tokens());
    for (std::size_t t = 0; t < std::size_t(one.tokens()); ++t) EXPECT_EQ(one[col::token{}][t], two[col::token{}][t]);
    EXPECT_EQ(to_json(state), to_json(restored));
}

// ---- curriculum

TEST(Sampler, WithoutReplacementIsByWeight) {
    std::vector<double> weight = {1.0, 0.0, 3.0, 2.0}, seen(4), second(4);
    RandomStream stream(Random(3));
    for (int i = 0; i < 30000; ++i) {
        std::vector<double> uniform;
        for (int k = 0; k < 4; ++k) uniform.push_back(stream.uniform());
        auto drawn = sampler::draw_without_replacement(weight, uniform, 4);
        EXPECT_EQ(std::set<std::int64_t>(drawn.begin(), drawn.end()).size(), 4u);
        EXPECT_EQ(drawn[3], 1);
        seen[std::size_t(drawn[0])] += 1.0 / 30000;
        second[std::size_t(drawn[1])] += 1.0 / 30000;
    }
    for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(seen[i], weight[i] / 6, 0.015);
    // P(second = 0) = 3/6 * 1/3 + 2/6 * 1/4
    EXPECT_NEAR(second[0], 1.0 / 6 + 1.0 / 12, 0.015);
    EXPECT_THROW(sampler::draw_without_replacement(weight, weight, 5), Error);
}

TEST(Sampler, CurriculumComesToPromptsOfItsTarget) {
    sampler::Curriculum part{.prompts = 5, .group_size = 4, .target = 0.5, .width = 0.1, .floor = 1e-3, .keep = 0.25};
    sampler::SuccessRates state;
    Source source;
    backend::Host host;
    roars::Run run{host, Random(5)};
    std::map<std::int64_t, int> late;
    for (std::int64_t iteration = 0; iteration < 40; ++iteration) {
        auto batch = collect(part, state, source, iteration);
        ASSERT_EQ(batch.groups(), 5);
        std::set<std::int32_t> different;
        for (std::size_t i = 0; i < 20; i += 4) {
            different.insert(batch[col::prompt{}][i]);
            if (iteration >= 20) ++late[batch[col::prompt{}][i] % 5];
        }
        EXPECT_EQ(different.size(), 5u);
        part.observe(run, state, batch);
    }
    EXPECT_EQ(state.rollouts, 800);
    for (std::size_t p = 0; p < 20; ++p)
        if (state.seen[p] > 0) EXPECT_DOUBLE_EQ(state.rate[p], double(p % 5) / 4) << p;
    // Four of the 20 prompts have rate 0.5; a draw of five different ones takes them first.
    EXPECT_GT(late[2], 60);
    EXPECT_LT(late[0] + late[4], 20);
}

TEST(Sampler, CurriculumAverages) {
    sampler::Curriculum part{.keep = 0.75};
    sampler::SuccessRates state;
    backend::Host host;
    roars::Run run{host};
    const std::int64_t offsets[] = {0, 1, 2}, groups[] = {0, 2};
    TestBatch batch{Offsets(offsets), Offsets(groups)};
    batch[col::prompt{}][0] = batch[col::prompt{}][1] = 3;
    batch[col::outcome{}][0] = 1.0f;
    part.observe(run, state, batch);
    EXPECT_EQ(state.rate, (std::vector<double>{0, 0, 0, 0.5}));
    batch[col::outcome{}][1] = 1.0f;
    part.observe(run, state, batch);
    EXPECT_EQ(state.rate[3], 0.75 * 0.5 + 0.25);
    EXPECT_EQ(state.seen[3], 2);
}

// ---- stop sequences

TEST(StopSequences, EndAndCut) {
    StopSequences stops({{1, 2}, {2}, {7, 7, 8}});
    using Tokens = std::vector<std::int32_t>;
    EXPECT_EQ(stops.ending(Tokens{}), 0u);
    EXPECT_EQ(stops.ending(Tokens{5, 1}), 0u);
    EXPECT_EQ(stops.ending(Tokens{5, 1, 2}), 2u);
    EXPECT_EQ(stops.ending(Tokens{2}), 1u);
    EXPECT_EQ(stops.ending(Tokens{7, 8}), 0u);
    EXPECT_EQ(stops.ending(Tokens{7, 7, 7, 8}), 3u);  // a start that overlaps itself
    Tokens generated = {7, 7, 7, 8, 2, 9}, none = {3, 4};
    EXPECT_EQ(stops.cut(generated).size(), 4u);
    EXPECT_EQ(stops.cut(none).size(), 2u);
    EXPECT_TRUE(StopSequences().empty());
    EXPECT_EQ(StopSequences().cut(generated).size(), 6u);
    EXPECT_THROW(StopSequences({{1}, {}}), Error);
}

}  // namespace
}  // namespace roars::sampler_test

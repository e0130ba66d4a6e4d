#include "engine.hpp"
#include "golden.hpp"

#include <array>

#include "roars/algorithm.hpp"
#include "roars/methods/dler.hpp"
#include "roars/optimizer/selective_merge.hpp"

namespace roars::golden::of_dler {
namespace {

using RewardBatch = Batch<double, columns<col::groups, col::outcome, col::truncated, col::reward>>;

/// Sequences of the given lengths.
RewardBatch reward_batch(const Inputs& in) {
    std::vector<std::int64_t> offsets{0};
    for (std::int64_t length : in.wholes("length")) offsets.push_back(offsets.back() + length);
    RewardBatch batch{Offsets(offsets)};
    if (in.has("group_offsets")) batch.set_offsets(col::groups{}, in.wholes("group_offsets"));
    auto correct = in.reals("correct");
    std::copy(correct.begin(), correct.end(), batch[col::outcome{}].begin());
    if (!in.has("ended")) return batch;
    auto ended = in.reals("ended");
    for (std::size_t i = 0; i < ended.size(); ++i) batch[col::truncated{}][i] = ended[i] == 0.0;
    return batch;
}

Json truncation(const Inputs& in) {
    auto batch = reward_batch(in);
    auto reward = methods::dler.reward;
    reward.base.door.max_length = in.real("truncation_length");
    reward.factor = in.real("stop_penalty_coef", 1.0);
    engine::score(reward, batch);
    return {{"reward", batch[col::reward{}]}};
}

template <std::size_t tiers>
Json budgets_of(const Inputs& in) {
    reward::Then<reward::Verified, reward::DifficultyBudget<tiers>> reward;
    auto thresholds = in.reals("threshold"), budgets = in.reals("budget");
    for (std::size_t k = 0; k < tiers; ++k) {
        reward.second.budgets[k] = budgets[k];
        if (k > 0) reward.second.thresholds[k - 1] = thresholds[k - 1];
    }
    auto batch = reward_batch(in);
    engine::score(reward, batch);
    backend::Host host;
    Run run{host};
    auto x = view_of<columns<col::groups, col::outcome>>(run, batch);
    std::vector<double> lengths;
    for (std::int64_t g = 0; g < batch.groups(); ++g) lengths.push_back(reward.second.of_group(x, g));
    return {{"truncation_length", lengths}, {"reward", batch[col::reward{}]}};
}
Json budgets(const Inputs& in) {
    std::size_t tiers = in.reals("budget").size();
    expect(tiers == in.reals("threshold").size() + 1, "budget: expected one more than there are thresholds");
    constexpr std::array of_tiers{budgets_of<1>, budgets_of<2>, budgets_of<3>, budgets_of<4>,
                                  budgets_of<5>, budgets_of<6>, budgets_of<7>, budgets_of<8>};
    expect(tiers <= of_tiers.size(), "budget: expected at most eight");
    return of_tiers[tiers - 1](in);
}

Json advantage(const Inputs& in) {
    auto batch = batch_of<columns<col::groups, col::reward, col::mask, col::advantage>>(in);
    if (!in.has("mask")) std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    engine::estimate(roars::advantage::WhitenedGroupMean{.eps = in.real("eps", 1e-8), .ddof = int(in.real("ddof", 1))},
                     batch);
    return {{"advantage", batch[col::advantage{}]}};
}

/// Gives the batches of a case one after the other; a sequence has one token, a prompt the number of its group.
class GivenBatches {
public:
    using BatchType = Batch<double, columns<col::groups, col::outcome, col::prompt>>;

    explicit GivenBatches(const Inputs& in)
        : groups_(in.wholes("group_offsets")), batches_(in.wholes("batch_offsets")), reward_(in.reals("reward")) {}
    std::int64_t count() const { return std::ssize(batches_) - 1; }

    template <class RunType>
    void roll_out(RunType&, BatchType& batch, std::int64_t, std::int64_t, const Generation&) {
        auto first = std::size_t(batches_[next_]), last = std::size_t(batches_[next_ + 1]);
        ++next_;
        std::vector<std::int64_t> tokens{0}, groups{0};
        for (std::size_t g = first; g < last; ++g) {
            for (auto i = groups_[g]; i < groups_[g + 1]; ++i) tokens.push_back(tokens.back() + 1);
            groups.push_back(tokens.back());
        }
        batch = BatchType(tokens, groups);
        for (std::size_t g = first; g < last; ++g)
            for (auto i = groups_[g]; i < groups_[g + 1]; ++i) {
                auto at = std::size_t(i - groups_[first]);
                batch[col::outcome{}][at] = reward_[std::size_t(i)];
                batch[col::prompt{}][at] = std::int32_t(g);
            }
    }

private:
    std::vector<std::int64_t> groups_, batches_;
    std::vector<double> reward_;
    std::size_t next_ = 0;
};

Json dynamic_sampling(const Inputs& in) {
    GivenBatches source(in);
    auto sampler = methods::dler.sampler;
    sampler.prompts = in.whole("batch_size");
    sampler.max_draws = std::min(in.whole("max_batches"), source.count());
    backend::Host host;
    Run run{host};
    sampler::Draws draws;
    GivenBatches::BatchType batch;
    sampler.collect(run, draws, source, batch, [](auto&) {});
    std::vector<std::int64_t> kept;
    for (std::int64_t g = 0; g < batch.groups(); ++g)
        kept.push_back(batch[col::prompt{}][std::size_t(batch[col::groups{}][std::size_t(g)])]);
    return {{"kept", kept}, {"used_batches", draws.draws}, {"complete", int(batch.groups() >= sampler.prompts)}};
}

Json merging(const Inputs& in) {
    auto base = in.reals("base"), tuned = in.reals("tuned");
    std::vector<double> merged(base.size());
    optimizer::SelectiveMerge{in.real("fraction"), in.real("scale")}(
        std::span<const double>(base), std::span<const double>(tuned), std::span<double>(merged));
    return {{"merged", merged}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("65-dler", "reward", "reward.1")] = truncation;
    registry[key("65-dler", "reward", "reward.2")] = budgets;
    registry[key("65-dler", "advantage", "advantage")] = advantage;
    registry[key("65-dler", "sampler", "sampler")] = dynamic_sampling;
    registry[key("65-dler", "target", "target")] = merging;
}

}  // namespace roars::golden::of_dler

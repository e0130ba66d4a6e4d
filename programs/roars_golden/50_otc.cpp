#include "engine.hpp"
#include "golden.hpp"

#include "roars/methods/otc.hpp"
#include "roars/metrics/tool_use.hpp"
#include "roars/reflect.hpp"
#include "roars/reward/model_score.hpp"

namespace roars::golden::of_otc {
namespace {

/// A group's number is its question's. The base reward is any; what is right is told beside it.
using CallBatch =
    Batch<double, columns<col::groups, col::prompt, col::tool_calls, col::outcome, col::model_score, col::reward>>;

CallBatch call_batch(const Inputs& in) {
    auto calls = in.reals("tool_calls"), base = in.reals("base_reward");
    auto correct = in.has("correct") ? in.reals("correct") : base;
    std::vector<std::int64_t> offsets{0};
    for (std::size_t i = 0; i < calls.size(); ++i) offsets.push_back(offsets.back() + 1);
    CallBatch batch{Offsets(offsets)};
    std::copy(calls.begin(), calls.end(), batch[col::tool_calls{}].begin());
    std::copy(base.begin(), base.end(), batch[col::model_score{}].begin());
    std::copy(correct.begin(), correct.end(), batch[col::outcome{}].begin());
    if (!in.has("group_offsets")) return batch;
    auto groups = in.wholes("group_offsets");
    batch.set_offsets(col::groups{}, groups);
    for (std::int64_t g = 0; g < batch.groups(); ++g)
        for (auto i = groups[std::size_t(g)]; i < groups[std::size_t(g) + 1]; ++i)
            batch[col::prompt{}][std::size_t(i)] = std::int32_t(g);
    return batch;
}

Json without_a_group(const Inputs& in) {
    reward::Then<reward::ModelScore, reward::FewCalls> part{.second = methods::otc_ppo.reward.second};
    part.second.scale = in.real("scale", part.second.scale);
    part.second.smooth = in.real("smooth", part.second.smooth);
    auto batch = call_batch(in);
    engine::score(part, batch);
    std::vector<double> coefficient;
    for (double calls : batch[col::tool_calls{}]) coefficient.push_back(part.second.coefficient(calls));
    return {{"coefficient", coefficient}, {"reward", batch[col::reward{}]}};
}

Json of_groups(const Inputs& in) {
    reward::FewestCalls few = methods::otc_grpo.reward.second;
    few.scale = in.real("scale", few.scale);
    few.smooth = in.real("smooth", few.smooth);
    auto batch = call_batch(in);
    std::vector<double> fewest;
    if (in.has("best_known")) {
        reward::Then<reward::ModelScore, reward::RememberedFewestCalls> part{.second = {few}};
        state_of<decltype(part)> state;
        state.second.fewest = in.reals("best_known");
        backend::Host host;
        Run run{host};
        part.score(run, state, batch);
        fewest = state.second.fewest;
    } else {
        engine::score(reward::Then<reward::ModelScore, reward::FewestCalls>{.second = few}, batch);
        backend::Host host;
        Run run{host};
        auto x = view_of<reward::FewestCalls::needs>(run, batch);
        for (std::int64_t g = 0; g < batch.groups(); ++g) fewest.push_back(few.of_group(x, g));
    }
    std::vector<double> coefficient;
    for (std::size_t i = 0; i < std::size_t(batch.sequences()); ++i)
        coefficient.push_back(
            few.coefficient(batch[col::tool_calls{}][i], fewest[std::size_t(batch[col::prompt{}][i])]));
    return {{"coefficient", coefficient}, {"reward", batch[col::reward{}]}, {"best_known", fewest}};
}

Json productivity(const Inputs& in) {
    auto calls = in.reals("tool_calls"), correct = in.reals("correct");
    auto told = metrics::tool_use(std::span<const double>(calls), std::span<const double>(correct));
    auto use = to_json(told);
    use["tool_productivity"] = use.at("productivity");
    return use;
}

}  // namespace

void add(Registry& registry) {
    registry[key("50-otc", "reward", "reward.1")] = without_a_group;
    registry[key("50-otc", "reward", "reward.2")] = of_groups;
    registry[key("50-otc", "metric", "metric")] = productivity;
}

}  // namespace roars::golden::of_otc

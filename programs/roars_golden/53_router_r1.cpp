#include "engine.hpp"
#include "golden.hpp"

#include "roars/methods/router_r1.hpp"
#include "roars/reward/model_score.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/reward/routed_form.hpp"

namespace roars::golden::of_router_r1 {
namespace {

template <class BatchType>
BatchType sequences(std::size_t count) {
    std::vector<std::int64_t> offsets{0};
    for (std::size_t i = 0; i < count; ++i) offsets.push_back(offsets.back() + 1);
    return BatchType{Offsets(offsets)};
}

Json windowed_cost(const Inputs& in) {
    auto calls = in.wholes("call_offsets"), model = in.wholes("model");
    auto output_tokens = in.reals("output_tokens"), price = in.reals("price");
    auto batch = sequences<Batch<double, columns<col::cost, col::reward>>>(calls.size() - 1);
    for (std::size_t i = 0; i + 1 < calls.size(); ++i) {
        auto first = std::size_t(calls[i]), count = std::size_t(calls[i + 1] - calls[i]);
        batch[col::cost{}][i] = reward::cost_of_calls(std::span<const std::int64_t>(model).subspan(first, count),
                                                      std::span<const double>(output_tokens).subspan(first, count),
                                                      std::span<const double>(price));
    }
    auto part = methods::router_r1.reward.first;
    if (in.has("window_size")) part.window = in.whole("window_size");
    part.q_low = in.real("q_low", part.q_low);
    part.q_high = in.real("q_high", part.q_high);
    part.eps = in.real("eps", part.eps);
    engine::score(part, batch);
    return {{"cost", batch[col::cost{}]}, {"cost_reward", batch[col::reward{}]}};
}

/// The cost's reward is given.
template <class Wrong>
auto blended(const Inputs& in) {
    auto cost = in.reals("cost_reward"), outcome = in.reals("outcome"), form = in.reals("format_ok");
    auto batch =
        sequences<Batch<double, columns<col::format, col::outcome, col::model_score, col::reward>>>(cost.size());
    std::copy(cost.begin(), cost.end(), batch[col::model_score{}].begin());
    std::copy(outcome.begin(), outcome.end(), batch[col::outcome{}].begin());
    std::copy(form.begin(), form.end(), batch[col::format{}].begin());
    reward::Then<reward::ModelScore, reward::OutcomeBeforeCost<Wrong>> part;
    part.second.alpha = in.real("alpha", part.second.alpha);
    engine::score(part, batch);
    return std::vector<double>(batch[col::reward{}].begin(), batch[col::reward{}].end());
}
Json blends(const Inputs& in) {
    return {{"reward_gated", blended<reward::wrong::Nothing>(in)},
            {"reward_paper", blended<reward::wrong::ItsShare>(in)}};
}

Json forms(const Inputs& in) {
    auto offsets = in.wholes("block_offsets"), kind = in.wholes("kind");
    auto flag = [&](const char* name, double otherwise) {
        return in.has(name) ? in.reals(name) : std::vector<double>(kind.size(), otherwise);
    };
    auto closed = flag("closed", 1), nested = flag("nested", 0), empty = flag("empty", 0);
    auto valid_model = flag("valid_model", 1), valid_query = flag("valid_query", 1);
    std::vector<reward::RoutedBlock> blocks;
    for (std::size_t k = 0; k < kind.size(); ++k)
        blocks.push_back({.kind = static_cast<reward::BlockKind>(kind[k]),
                          .closed = closed[k] != 0,
                          .nested = nested[k] != 0,
                          .empty = empty[k] != 0,
                          .valid_model = valid_model[k] != 0,
                          .valid_query = valid_query[k] != 0});
    std::vector<int> ok;
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
        ok.push_back(reward::well_formed(std::span<const reward::RoutedBlock>(blocks).subspan(
            std::size_t(offsets[i]), std::size_t(offsets[i + 1] - offsets[i]))));
    return {{"format_ok", ok}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("53-router-r1", "reward", "reward.1")] = windowed_cost;
    registry[key("53-router-r1", "reward", "reward.2")] = blends;
    registry[key("53-router-r1", "reward", "reward.3")] = forms;
}

}  // namespace roars::golden::of_router_r1

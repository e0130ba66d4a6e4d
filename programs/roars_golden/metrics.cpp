#include "roars/metrics/estimates.hpp"
#include "roars/metrics/groups.hpp"

#include "golden.hpp"

namespace roars::golden::of_metrics {
namespace {

Json answers(const Inputs& in) {
    auto answer = in.wholes("answer"), groups = in.wholes("group_offsets"), right = in.wholes("right");
    Json entropy = Json::array(), distinct = Json::array(), coverage = Json::array();
    for (std::size_t g = 0; g + 1 < groups.size(); ++g) {
        auto own = std::span<const std::int64_t>(answer).subspan(std::size_t(groups[g]),
                                                                 std::size_t(groups[g + 1] - groups[g]));
        entropy.push_back(metrics::answer_entropy(own));
        distinct.push_back(metrics::distinct_answers(own));
        coverage.push_back(metrics::coverage_at_k(own, std::span<const std::int64_t>(right), in.whole("k")));
    }
    return {{"answer_entropy", entropy}, {"distinct_answers", distinct}, {"coverage", coverage}};
}

Json groups(const Inputs& in) {
    auto offsets = in.wholes("group_offsets");
    auto outcome = in.reals("outcome");
    auto rates = metrics::group_rates(offsets, std::span<double>(outcome));
    auto pass = metrics::mean_pass_at_k(offsets, std::span<double>(outcome), in.whole("k"));
    return {{"solved", rates.solved}, {"all_right", rates.all_right}, {"effective", rates.effective},
            {"groups", rates.groups}, {"pass_at_k", pass.mean},       {"pass_groups", pass.count}};
}

Json clip(const Inputs& in) {
    auto logp = in.reals("logp"), old = in.reals("logp_old"), advantage = in.reals("advantage"),
         mask = in.reals("mask");
    const double low = in.real("clip_low"), high = in.real("clip_high");
    auto outside = metrics::outside_clip<double>(logp, old, mask, low, high);
    auto held = metrics::held_by_clip<double>(logp, old, advantage, mask, low, high);
    return {{"outside", outside.mean}, {"held", held.mean}, {"count", outside.count}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("metrics", "metric", "answers")] = answers;
    registry[key("metrics", "metric", "groups")] = groups;
    registry[key("metrics", "metric", "clip")] = clip;
}

}  // namespace roars::golden::of_metrics

#include "golden.hpp"

#include "roars/metrics/sample_efficiency.hpp"
#include "roars/sampler/snapshots.hpp"

namespace roars::golden::of_snapshot_rl {
namespace {

Json collection(const Inputs& in) {
    sampler::SnapshotRows part{in.whole("save_every"), in.whole("best_episodes")};
    return {{"snapshot_rows", part.of(in.wholes("sequence_offsets"), in.reals("trajectory_return"))}};
}

Json classification(const Inputs& in) {
    auto value = in.reals("value"), cluster = in.reals("uniform_cluster"), member = in.reals("uniform_member");
    std::int64_t count = in.whole("num_clusters"), iterations = in.whole("max_iterations");
    Clusters found = k_means(std::span<const double>(value), count, iterations);
    auto snapshots = sampler::ByValue{count, iterations}.sorted(value);
    Json sizes = Json::array(), chosen = Json::array();
    for (const auto& one : snapshots.members()) sizes.push_back(one.size());
    for (std::size_t i = 0; i < cluster.size(); ++i) chosen.push_back(snapshots.draw(cluster[i], member[i]));
    return {{"label", found.label}, {"cluster_sizes", sizes}, {"chosen", chosen}, {"inertia", found.inertia}};
}

Json phases(const Inputs& in) {
    sampler::SnapshotPhases part{in.whole("snapshot_steps"), in.whole("truncate_step"), in.whole("horizon")};
    auto terminated = in.reals("terminated");
    auto plan = part.plan(std::span<const double>(terminated));
    Json bootstrap = Json::array();
    for (double ends : terminated) bootstrap.push_back(1.0 - ends);
    auto flags = [](const std::vector<char>& all) { return std::vector<int>(all.begin(), all.end()); };
    return {{"source", flags(plan.snapshot)},
            {"reset", flags(plan.reset)},
            {"truncated", flags(plan.truncated)},
            {"bootstrap", bootstrap}};
}

Json efficiency(const Inputs& in) {
    auto evaluation = in.reals("evaluation_return"), baseline = in.reals("baseline_return");
    double area = metrics::curve_area(evaluation), baseline_area = metrics::curve_area(baseline);
    return {{"area", area},
            {"baseline_area", baseline_area},
            {"steps_to_threshold",
             metrics::steps_to_threshold(in.wholes("checkpoint_steps"), evaluation, in.real("threshold"))},
            {"relative_gain", metrics::relative_gain(area, baseline_area)}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("59-snapshot-rl", "sampler", "sampler.1")] = collection;
    registry[key("59-snapshot-rl", "sampler", "sampler.2")] = classification;
    registry[key("59-snapshot-rl", "sampler", "sampler.3")] = phases;
    registry[key("59-snapshot-rl", "metric", "metric")] = efficiency;
}

}  // namespace roars::golden::of_snapshot_rl

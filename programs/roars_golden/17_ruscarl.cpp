#include "engine.hpp"
#include "golden.hpp"

#include <algorithm>
#include <vector>

#include "roars/methods/ruscarl.hpp"
#include "roars/metrics/novelty.hpp"

namespace roars::golden::of_ruscarl {
namespace {

Json sampler(const Inputs& in) {
    auto part = methods::ruscarl.sampler;
    part.group_size = in.whole("group_size");
    part.over_time = {.steepness = in.real("alpha", 125), .midpoint = in.real("t0", 0.2)};
    auto share = part.shares(Progress{in.whole("step") - 1, in.whole("total_steps")});
    auto keys = in.rows("uniform");
    std::vector<std::int64_t> count;
    Json shown = Json::array();
    for (std::size_t i = 0; i < share.size(); ++i) {
        count.push_back(roars::sampler::scaffold::count(share[i], in.whole("criteria")));
        Json row = Json::array();
        for (char each : roars::sampler::scaffold::chosen(share[i], keys.at(i))) row.push_back(int(each));
        shown.push_back(row);
    }
    return {{"scaffold_ratio", share}, {"criteria_shown", count}, {"shown", shown}};
}

Json reward(const Inputs& in) {
    auto points = in.reals("points");
    auto met = in.rows("criteria_met");
    Batch<double, columns<col::rubric, col::reward>> batch(std::vector<std::int64_t>(met.size() + 1, 0));
    batch.set_width(col::rubric{}, std::ssize(points) * 2);
    for (std::size_t i = 0; i < met.size(); ++i)
        for (std::size_t c = 0; c < points.size(); ++c) {
            auto criterion = batch.row(col::rubric{}, std::int64_t(i)).subspan(2 * c, 2);
            criterion[0] = points[c];
            criterion[1] = met[i].at(c);
        }
    engine::score(methods::ruscarl.reward, batch);
    return {{"reward", batch[col::reward{}]}};
}

Json loss(const Inputs& in) {
    auto batch =
        batch_of<columns<col::mask, col::logp, col::logp_old, col::logp_ref, col::advantage, col::grad<col::logp>>>(in);
    if (!in.has("mask")) std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    auto method = methods::ruscarl;
    auto& clip = method.optimizer.surrogate;
    clip = {.low = in.real("clip_low", clip.low), .high = in.real("clip_high", clip.high)};
    method.regularizer.coefficient = in.real("kl_coef", method.regularizer.coefficient);
    auto result = engine::terms(batch, method.optimizer.aggregate, clip, method.regularizer);
    return {{"loss", result.loss()}, {"grad_logp", batch[col::grad<col::logp>{}]}};
}

Json novelty(const Inputs& in) {
    auto before = in.reals("logp_before"), after = in.reals("logp_after");
    auto offsets = in.wholes("token_offsets");
    auto told = metrics::novelty(offsets, std::span<const double>(before), std::span<const double>(after));
    return {{"ratio", told.ratio}, {"mean", told.mean}, {"median", told.median}, {"above", told.above}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("17-ruscarl", "sampler", "sampler")] = sampler;
    registry[key("17-ruscarl", "reward", "reward")] = reward;
    registry[key("17-ruscarl", "loss", "loss")] = loss;
    registry[key("17-ruscarl", "metric", "metric")] = novelty;
}

}  // namespace roars::golden::of_ruscarl

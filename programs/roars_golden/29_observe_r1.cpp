#include "engine.hpp"
#include "golden.hpp"

#include "roars/algorithm.hpp"
#include "roars/methods/observe_r1.hpp"

namespace roars::golden::of_observe_r1 {
namespace {

using Rewarded = Batch<double, columns<col::groups, col::outcome, col::format, col::reward>>;
using Estimated = Batch<double, columns<col::groups, col::outcome, col::reward, col::advantage>>;

/// Sequences of the given lengths, or of one token each.
template <class Sequences>
Sequences sequences(const Inputs& in) {
    auto accuracy = in.reals("accuracy");
    std::vector<std::int64_t> offsets{0};
    for (std::size_t i = 0; i < accuracy.size(); ++i)
        offsets.push_back(offsets.back() + (in.has("length") ? in.wholes("length")[i] : 1));
    Sequences batch{Offsets(offsets)};
    batch.set_offsets(col::groups{}, in.wholes("group_offsets"));
    std::copy(accuracy.begin(), accuracy.end(), batch[col::outcome{}].begin());
    return batch;
}

Json reward(const Inputs& in) {
    auto part = methods::observe_r1.reward;
    roars::get<1>(part.first).factor = in.real("format_score");
    part.second = {.bonus = in.real("bonus_coef"), .min_length = in.real("length_constraint")};
    Rewarded batch = sequences<Rewarded>(in), plain = batch;
    auto format = in.reals("format_ok");
    for (Rewarded* each : {&batch, &plain}) std::copy(format.begin(), format.end(), (*each)[col::format{}].begin());
    engine::score(part, batch);
    engine::score(part.first, plain);
    std::vector<double> bonus;
    for (std::size_t i = 0; i < format.size(); ++i) bonus.push_back(batch[col::reward{}][i] - plain[col::reward{}][i]);
    return {{"bonus", bonus}, {"reward", batch[col::reward{}]}};
}

Json advantage(const Inputs& in) {
    auto part = methods::observe_r1.advantage.base;
    part.base.scale = {.eps = in.real("eps"), .ddof = static_cast<int>(in.whole("ddof"))};
    part.weight.sigma = in.real("sigma");
    auto batch = sequences<Estimated>(in);
    auto reward = in.reals("reward");
    std::copy(reward.begin(), reward.end(), batch[col::reward{}].begin());
    engine::estimate(part, batch);
    backend::Host host;
    Run run{host};
    auto x = view_of<columns<col::groups, col::outcome>>(run, batch);
    std::vector<double> weights;
    for (std::int64_t g = 0; g < batch.groups(); ++g) weights.push_back(part.weight.of_group(x, g));
    return {{"difficulty_weight", weights}, {"sequence_advantage", batch[col::advantage{}]}};
}

Json ladder(const Inputs& in) {
    const auto right = in.reals("right");
    const auto lengths = in.rows("attempt_length");
    std::vector<sampler::Rung> rungs;
    std::vector<double> difficulty, complexity;
    for (std::size_t i = 0; i < right.size(); ++i) {
        rungs.push_back(sampler::rung(right[i], in.real("attempts"), std::span<const double>(lengths[i])));
        difficulty.push_back(rungs.back().difficulty);
        complexity.push_back(rungs.back().complexity);
    }
    return {{"difficulty", difficulty},
            {"complexity", complexity},
            {"order", sampler::ladder(rungs, in.real("min_complexity"))}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("29-observe-r1", "reward", "reward")] = reward;
    registry[key("29-observe-r1", "advantage", "advantage")] = advantage;
    registry[key("29-observe-r1", "sampler", "sampler")] = ladder;
}

}  // namespace roars::golden::of_observe_r1

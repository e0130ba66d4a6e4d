#include "engine.hpp"
#include "golden.hpp"

#include <numeric>

#include "roars/algorithm.hpp"
#include "roars/methods/reseek.hpp"
#include "roars/sampler/judged_context.hpp"

namespace roars::golden::of_reseek {
namespace {

using Turns = Batch<double, columns<col::turns, col::turn_owner, col::judgement, col::relevance, col::outcome,
                                    col::truncated, col::reward, col::turn_reward>>;

/// Rollouts whose turns have a token each.
Turns turns(const Inputs& in, const std::string& relevance) {
    const auto owner = in.wholes("sequence_turn_offsets");
    std::vector<std::int64_t> each(in.reals("judge").size() + 1);
    std::iota(each.begin(), each.end(), std::int64_t(0));
    Turns batch{Offsets(owner)};
    batch.set_offsets(col::turns{}, each);
    batch.set_offsets(col::turn_owner{}, owner);
    auto copy = [&](auto column, const std::string& name) {
        auto values = in.reals(name);
        std::copy(values.begin(), values.end(), batch[column].begin());
    };
    copy(col::judgement{}, "judge");
    copy(col::relevance{}, relevance);
    copy(col::outcome{}, "exact_match");
    return batch;
}
reward::JudgementValue value(const Inputs& in) {
    return {.right = in.real("match_reward"),
            .accept_wrong = in.real("accept_wrong"),
            .reject_right = in.real("reject_right")};
}

Json judged(const Inputs& in) {
    const reward::Judgement part{.threshold = in.real("threshold"), .value = value(in)};
    Turns batch = turns(in, "similarity"), whole = batch;
    engine::score(reward::WithTurns<reward::Verified, reward::Judgement>{.turn = part}, batch);
    engine::score(reward::ReturnOfTurns<reward::Judgement>{part, in.real("gamma")}, whole);
    std::vector<int> ideal;
    for (double relevance : batch[col::relevance{}]) ideal.push_back(relevance > part.threshold);
    return {{"ideal", ideal}, {"turn_reward", batch[col::turn_reward{}]}, {"sequence_return", whole[col::reward{}]}};
}

Json by_containment(const Inputs& in) {
    Turns batch = turns(in, "useful");
    auto answered = in.reals("answered");
    for (std::size_t i = 0; i < answered.size(); ++i) batch[col::truncated{}][i] = answered[i] == 0 ? 1.0 : 0.0;
    auto part = methods::reseek_containment.reward;
    part.base.value = value(in);
    part.base.boost = in.real("boost");
    engine::score(part, batch);
    return {{"reward", batch[col::reward{}]}};
}

Json masks(const Inputs& in) {
    const auto judgement = in.reals("judge");
    const auto turn_offsets = in.wholes("turn_offsets");
    std::vector<double> mask;
    for (std::int64_t kind : in.wholes("kind")) mask.push_back(kind == 1 ? 0.0 : 1.0);
    auto visible = [&]<class Which>(Which) {
        return sampler::context::visible<Which>(turn_offsets, std::span<const double>(judgement),
                                                std::span<const double>(mask));
    };
    return {{"mask", mask},
            {"context_soft", visible(sampler::context::Soft{})},
            {"context_hard", visible(sampler::context::Hard{})}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("09-reseek", "reward", "reward.1")] = judged;
    registry[key("09-reseek", "reward", "reward.2")] = by_containment;
    registry[key("09-reseek", "sampler", "sampler")] = masks;
}

}  // namespace roars::golden::of_reseek

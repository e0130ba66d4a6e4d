#include "engine.hpp"
#include "golden.hpp"

#include "roars/advantage/normalise.hpp"
#include "roars/advantage/reward_to_go.hpp"
#include "roars/advantage/whiten.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/reward/over_turns.hpp"

namespace roars::golden::of_llm_rl_survey {
namespace {

using Set = columns<col::groups, col::reward, col::mask, col::greedy_outcome, col::logp_old, col::logp_ref,
                    col::token_reward, col::advantage>;

template <class Part>
Json advantage_of(const Part& part, Batch<double, Set>& batch) {
    engine::estimate(part, batch);
    return batch[col::advantage{}];
}

Json advantages(const Inputs& in) {
    auto batch = batch_of<Set>(in);
    if (!in.has("mask")) std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    Json out;
    if (in.has("baseline"))
        out["reinforce"] = advantage_of(advantage::ConstantBaseline{.center = {in.real("baseline")}}, batch);
    out["rloo"] = advantage_of(advantage::LeaveOneOut{}, batch);
    out["grpo"] = advantage_of(advantage::GroupZScore{}, batch);
    backend::Host host;
    if (in.has("greedy_reward")) {
        auto greedy = in.reals("greedy_reward");
        segmented_broadcast(host, batch[col::groups{}], std::span<const double>(greedy), batch[col::greedy_outcome{}]);
        engine::shape(regularizer::KlInReward{.coefficient = 0.0}, batch);  // the reward alone, on the last token
        out["remax"] = advantage_of(advantage::Remax{}, batch);
    }
    if (in.has("kl_coef")) {
        engine::shape(regularizer::KlInReward{.coefficient = in.real("kl_coef")}, batch);
        out["token_reward"] = batch[col::token_reward{}];
        out["reinforce_pp"] = advantage_of(advantage::ReinforcePlusPlus{}, batch);
    }
    return out;
}

template <class Over>
Json over_turns(const Inputs& in) {
    auto sequences = in.wholes("sequence_turn_offsets");
    std::size_t turns = in.reals("turn_reward").size();
    std::vector<std::int64_t> turn_offsets(turns + 1);
    for (std::size_t k = 0; k <= turns; ++k) turn_offsets[k] = std::int64_t(k);  // a token a turn
    Batch<double, columns<col::turns, col::turn_owner, col::turn_outcome, col::reward>> batch{Offsets(sequences)};
    batch.set_offsets(col::turns{}, turn_offsets);
    batch.set_offsets(col::turn_owner{}, sequences);
    auto scores = in.reals("turn_reward");
    std::copy(scores.begin(), scores.end(), batch[col::turn_outcome{}].begin());
    engine::score(reward::OverTurns<Over>{}, batch);
    return batch[col::reward{}];
}
Json process_rewards(const Inputs& in) {
    return {{"minimum", over_turns<reward::over::Minimum>(in)},
            {"product", over_turns<reward::over::Product>(in)},
            {"mean", over_turns<reward::over::Mean>(in)},
            {"last", over_turns<reward::over::Last>(in)}};
}

}  // namespace

// The survey's losses are among the peers' (peers_losses.cpp).
void add(Registry& registry) {
    registry[key("36-llm-rl-survey", "advantage", "advantage")] = advantages;
    registry[key("36-llm-rl-survey", "reward", "reward")] = process_rewards;
}

}  // namespace roars::golden::of_llm_rl_survey

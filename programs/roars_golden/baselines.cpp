#include "golden.hpp"
#include "terms.hpp"

#include "roars/advantage/normalise.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/surrogate.hpp"
#include "roars/regularizer/kl.hpp"

namespace roars::golden::of_baselines {
namespace {

Json group_z_score(const Inputs& in) {
    auto batch = batch_of<columns<col::groups, col::reward, col::advantage>>(in);
    engine::estimate(advantage::GroupZScore{.scale = {.eps = in.real("eps"), .ddof = int(in.whole("ddof"))}}, batch);
    return {{"advantage", batch[col::advantage{}]}};
}

Json clip_and_kl(const Inputs& in) {
    auto batch = batch_with_mask<
        columns<col::logp, col::logp_old, col::logp_ref, col::advantage, col::mask, col::grad<col::logp>>>(in, "logp");
    surrogate::Clip clip{.low = in.real("clip_low"), .high = in.real("clip_high")};
    regularizer::Kl<kl::ExactK3> kl{.coefficient = in.real("kl_coef")};
    auto result = engine::terms(batch, aggregate::SequenceMean{}, clip, kl);
    return {{"loss", result.loss()}, {"grad_logp", batch[col::grad<col::logp>{}]}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("00-grpo", "advantage", "advantage")] = group_z_score;
    registry[key("00-grpo", "loss", "loss")] = clip_and_kl;
}

}  // namespace roars::golden::of_baselines

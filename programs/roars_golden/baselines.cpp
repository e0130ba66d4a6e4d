#include "golden.hpp"
#include "terms.hpp"

#include "roars/advantage/normalise.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/surrogate.hpp"
#include "roars/regularizer/kl.hpp"

namespace roars::golden {
namespace {

Json group_z_score(const Inputs& in) {
    auto batch = batch_of<columns<col::groups, col::reward, col::advantage>>(in);
    backend::Host host;
    Run run{host};
    advantage::GroupZScore{.scale = {.eps = in.real("eps"), .ddof = int(in.whole("ddof"))}}.estimate(run, batch);
    return {{"advantage", batch[col::advantage{}]}};
}

Json clip_and_kl(const Inputs& in) {
    auto batch = batch_with_mask<
        columns<col::logp, col::logp_old, col::logp_ref, col::advantage, col::mask, col::grad<col::logp>>>(in, "logp");
    backend::Host host;
    Weighed clip{surrogate::Clip{.low = in.real("clip_low"), .high = in.real("clip_high")}, aggregate::SequenceMean{}};
    Weighed kl{regularizer::Kl<kl::ExactK3>{.coefficient = in.real("kl_coef")}, aggregate::SequenceMean{}};
    Counts counts = count(host, batch);
    auto result = evaluate(host, batch, {counts, counts}, clip, kl);
    return {{"loss", result.loss()}, {"grad_logp", batch[col::grad<col::logp>{}]}};
}

}  // namespace

void add_baselines(Registry& registry) {
    registry[key("00-grpo", "advantage", "advantage")] = group_z_score;
    registry[key("00-grpo", "loss", "loss")] = clip_and_kl;
}

}  // namespace roars::golden

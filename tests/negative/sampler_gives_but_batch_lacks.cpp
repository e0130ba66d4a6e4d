// expect: column_needed_but_given_by_no_part_or_actor<.*columns<.*col::importance_weight> *>
// Whoever samples in the sampler's place brings what it would have given.
#include "roars/advantage/normalise.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/adamw.hpp"
#include "roars/optimizer/surrogates/weighted.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/groups.hpp"
#include "roars/sampler/replay.hpp"

using namespace roars;
using Replayed =
    Algorithm<sampler::Replay<sampler::Groups, sampler::draw::Prioritised>, reward::Verified, advantage::GroupZScore,
              regularizer::None,
              optimizer::PolicyGradient<surrogate::Weighted<surrogate::Clip, weight::Column<col::importance_weight>>,
                                        aggregate::TokenMean, step::AdamW>>;

auto batch(Offsets tokens, Offsets groups, std::span<float> logp, std::span<float> outcome) {
    return complete<Replayed>(view<float>(tokens, groups)
                                  .borrow(col::logp{}, logp)
                                  .borrow(col::logp_old{}, logp)
                                  .borrow(col::outcome{}, outcome));
}

#include "roars/advantage/normalise.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/adamw.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/regularizer/reset_reference.hpp"
#include "roars/regularizer/sum.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/groups.hpp"

using namespace roars;
Algorithm<sampler::Groups, reward::Verified, advantage::GroupZScore,
          regularizer::Sum<regularizer::Kl<kl::K3>, regularizer::ResetReference<begin_again::OnPlateau>>,
          optimizer::PolicyGradient<surrogate::Clip, aggregate::TokenMean, step::AdamW>>
    method;

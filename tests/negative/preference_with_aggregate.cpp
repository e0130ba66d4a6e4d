// expect: this surrogate says itself how it is averaged
// A loss of pairs under a mean over tokens.
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/preference/preference.hpp"
#include "roars/optimizer/step/adamw.hpp"

using namespace roars;
optimizer::PolicyGradient<surrogate::DirectPreference, aggregate::TokenMean, step::AdamW> part;

#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/preference/preference.hpp"
#include "roars/optimizer/step/adamw.hpp"

using namespace roars;
optimizer::Preference<surrogate::DirectPreference, step::AdamW> part;

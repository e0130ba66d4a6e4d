// expect: Aggregation
#include "roars/methods/dapo.hpp"

using namespace roars;

struct Median {
    static constexpr bool per_sequence = false;
};
using Optimizer = optimizer::PolicyGradient<surrogate::Clip, Median, step::AdamW>;

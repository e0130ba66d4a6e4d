// expect: TokenTerm
#include "roars/methods/dapo.hpp"

using namespace roars;

struct Hinge {
    static constexpr std::string_view name = "hinge";
    using needs = columns<col::logp, col::advantage>;
    using differentiates = columns<col::logp>;
};
using Optimizer = optimizer::PolicyGradient<Hinge, aggregate::TokenMean, step::AdamW>;

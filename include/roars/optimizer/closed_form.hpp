#pragma once

#include "roars/concepts.hpp"

namespace roars::optimizer {

/// No gradient: the best policy is known as soon as the advantage is, a plan or the greedy action of a critic. The
/// learner has no parameters of its own that are trained, and acts by what the advantage says (Trainer: guided_by).
struct ClosedForm {
    using closed_form = void;
};
ROARS_FIELDS(ClosedForm)

}  // namespace roars::optimizer

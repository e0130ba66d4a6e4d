#include "../train_control.hpp"

namespace roars::program {

void add_rollout_methods(Programs& programs) {
    add_control<actor::DiagonalGaussian<false>, true, methods::ControlPpo, methods::ControlActorCritic>(programs);
    add_control<actor::Categorical, true, methods::ControlPpo, methods::ControlActorCritic>(programs);
}

}  // namespace roars::program

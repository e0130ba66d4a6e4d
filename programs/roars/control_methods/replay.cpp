#include "../train_control.hpp"

namespace roars::program {

void add_replay_methods(Programs& programs) {
    add_control<actor::SquashedGaussian, false, methods::SoftActorCritic, methods::RandomEnsemble>(programs);
    add_control<actor::DeterministicAction, false, methods::TwinDelayed>(programs);
}

}  // namespace roars::program

#include "../train_control.hpp"

namespace roars::program {

void add_base_policy_methods(Programs& programs) {
    add_control<actor::DeterministicAction, false, methods::ResidualFineTuning, methods::Resfit>(programs);
}

}  // namespace roars::program

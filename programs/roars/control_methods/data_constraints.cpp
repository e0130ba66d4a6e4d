#include "../train_control.hpp"

namespace roars::program {

void add_data_constraint_methods(Programs& programs) {
    add_control<actor::DeterministicAction, false, methods::DatasetConstrained, methods::AdvantageGuided>(programs);
}

}  // namespace roars::program

#include "../train_control.hpp"

namespace roars::program {

void add_action_value_methods(Programs& programs) {
    add_control<actor::ActionValues, false, methods::ControlDeepQ, methods::DoubleDeepQ, methods::PrioritisedDeepQ,
                methods::QuantileDeepQ>(programs);
}

}  // namespace roars::program

#include "../train_control.hpp"

namespace roars::program {

void add_zero_shot_methods(Programs& programs) {
    using TaskPolicy = actor::ForTask<actor::DeterministicAction>;
    add_control<actor::TaskValues, false, methods::ForwardBackward, methods::ValueConservative,
                methods::MeasureConservative>(programs);
    add_control<TaskPolicy, false, methods::ForwardBackwardContinuous, methods::ValueConservativeContinuous,
                methods::MeasureConservativeContinuous>(programs);
    add_control<actor::Remembering<actor::TaskValues>, false, methods::ForwardBackwardMemory>(programs);
    add_control<actor::Remembering<TaskPolicy>, false, methods::ForwardBackwardMemoryContinuous>(programs);
}

}  // namespace roars::program

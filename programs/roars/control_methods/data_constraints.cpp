#include "../train_control.hpp"

namespace roars::program {

void add_data_constraint_methods(Programs& programs) {
    add_control<actor::DeterministicAction, false, methods::DatasetConstrained, methods::AdvantageGuided>(programs);
    add_control<actor::MovedProposal, false, methods::BatchConstrainedQ>(programs);
    add_control<actor::BestOfDraws, false, methods::ErrorReduction>(programs);
    add_control<actor::ChosenCode, false, methods::LatentActions>(programs);
    add_control<actor::TaskValues, false, methods::ForwardBackward, methods::ValueConservative,
                methods::MeasureConservative>(programs);
}

}  // namespace roars::program

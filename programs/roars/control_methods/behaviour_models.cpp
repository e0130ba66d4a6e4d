#include "../train_control.hpp"

namespace roars::program {

void add_behaviour_model_methods(Programs& programs) {
    add_control<actor::MovedProposal, false, methods::BatchConstrainedQ>(programs);
    add_control<actor::BestOfDraws, false, methods::ErrorReduction>(programs);
    add_control<actor::ChosenCode, false, methods::LatentActions>(programs);
}

}  // namespace roars::program

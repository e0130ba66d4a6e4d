#include "../train_control.hpp"

namespace roars::program {

void add_replay_methods(Programs& programs) {
    add_control<actor::SquashedGaussian, false, methods::SoftActorCritic, methods::RandomEnsemble,
                methods::SnapshotSoftActorCritic>(programs);
    add_control<actor::DeterministicAction, false, methods::TwinDelayed, methods::SnapshotTwinDelayed>(programs);
}

}  // namespace roars::program

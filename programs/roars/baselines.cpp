#include "train_text.hpp"

namespace roars::program {

void add_baselines(Programs& programs) {
    add_text<methods::SupervisedLikelihood, methods::Reinforce, methods::Grpo, methods::Dapo>(programs);
}

}  // namespace roars::program

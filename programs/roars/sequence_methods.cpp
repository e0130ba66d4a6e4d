#include "train_text.hpp"

namespace roars::program {

void add_sequence_methods(Programs& programs) {
    add_text<methods::DrGrpo, methods::Rloo, methods::Gspo, methods::Gmpo>(programs);
}

}  // namespace roars::program

#include "train_text.hpp"

namespace roars::program {

void add_data_methods(Programs& programs) {
    add_text<methods::RlPlus, methods::Dler, methods::DifficultyAwareDler, methods::ObserveR1, methods::Relift>(
        programs);
}

}  // namespace roars::program

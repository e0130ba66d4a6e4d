#include "train_text.hpp"

namespace roars::program {

void add_data_methods(Programs& programs) {
    add_text<methods::RlPlus, methods::Dler, methods::DifficultyAwareDler>(programs);
}

}  // namespace roars::program

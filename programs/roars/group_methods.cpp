#include "train_text.hpp"

namespace roars::program {

void add_group_methods(Programs& programs) {
    add_text<methods::LitePpo, methods::Copo, methods::Disco, methods::DiscoMean>(programs);
}

}  // namespace roars::program

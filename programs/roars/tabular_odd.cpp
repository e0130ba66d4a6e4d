#include "train_tabular.hpp"

namespace roars::program {

void add_odd_tabular_methods(Programs& programs) { add_tabular<1, 2>(programs); }

}  // namespace roars::program

#include "train_tabular.hpp"

namespace roars::program {

void add_even_tabular_methods(Programs& programs) { add_tabular<0, 2>(programs); }

}  // namespace roars::program

#include "train_text.hpp"

namespace roars::program {

void add_weight_methods(Programs& programs) { add_text<methods::Cispo, methods::Sapo>(programs); }

}  // namespace roars::program

#include "train_text.hpp"

namespace roars::program {

void add_critic_methods(Programs& programs) { add_text<methods::Ppo, methods::PpoVerified>(programs); }

}  // namespace roars::program

#include "golden.hpp"

namespace roars::golden {

void add_peers_advantages(Registry&) {}

}  // namespace roars::golden

#include "golden.hpp"

namespace roars::golden {

void add_peers_rest(Registry&) {}

}  // namespace roars::golden

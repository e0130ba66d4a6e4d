#include "../train_tabular.hpp"

template void roars::program::add_tabular<6>(roars::program::Programs&);

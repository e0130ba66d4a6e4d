#include "../train_tabular.hpp"

template void roars::program::add_tabular<0>(roars::program::Programs&);

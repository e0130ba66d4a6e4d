#include "../train_tabular.hpp"

template void roars::program::add_tabular<2>(roars::program::Programs&);

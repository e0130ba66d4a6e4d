#include "../train_tabular.hpp"

template void roars::program::add_tabular<4>(roars::program::Programs&);

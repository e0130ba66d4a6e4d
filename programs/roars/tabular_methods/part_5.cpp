#include "../train_tabular.hpp"

template void roars::program::add_tabular<5>(roars::program::Programs&);

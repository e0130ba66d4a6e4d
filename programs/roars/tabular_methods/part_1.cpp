#include "../train_tabular.hpp"

template void roars::program::add_tabular<1>(roars::program::Programs&);

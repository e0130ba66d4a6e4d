#include "../train_tabular.hpp"

template void roars::program::add_tabular<3>(roars::program::Programs&);

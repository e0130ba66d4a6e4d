#include "../train_tabular.hpp"

template void roars::program::add_tabular<7>(roars::program::Programs&);

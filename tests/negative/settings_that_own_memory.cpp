// expect: the second part is no Part: its settings must be copyable as bytes
#include <string>

#include "roars/methods/dapo.hpp"

using namespace roars;

struct Named {
    std::string name;
    using gives = columns<col::reward>;
    template <class X>
    double value(const X&) const {
        return 1.0;
    }
};
using Owner = Algorithm<sampler::Groups, Named, advantage::GroupZScore, regularizer::None, methods::Dapo::Optimizer>;
using Columns = Owner::Columns;

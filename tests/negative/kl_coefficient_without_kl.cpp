// expect: (regularizer::None.*no member named .*coefficient|no member named .*coefficient.*regularizer::None)
#include "roars/methods/dapo.hpp"

using namespace roars;

methods::Dapo near_the_reference() {
    methods::Dapo dapo = methods::dapo;
    dapo.regularizer.coefficient = 0.04;
    return dapo;
}

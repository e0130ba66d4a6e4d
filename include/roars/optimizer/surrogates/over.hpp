#pragma once

#include "roars/optimizer/surrogates/wrapper.hpp"

namespace roars::surrogate {

/// Another surrogate over the tokens that Mask marks: all others leave its sum and its mean.
template <TokenTerm Base, class Mask>
struct Over : Base {
    using mask = Mask;
};
template <class Base, class Mask>
constexpr auto roars_fields(const Over<Base, Mask>*) {
    return roars_fields(static_cast<const Base*>(nullptr));
}

}  // namespace roars::surrogate

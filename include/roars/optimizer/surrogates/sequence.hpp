#pragma once

#include "roars/units.hpp"

/// What a term finds out about whole sequences. A micro-batch holds whole sequences, so none of this needs a second
/// phase.
namespace roars::detail {

using LogRatio = ColumnDifference<col::logp, col::logp_old>;
/// The same held within +-20.
struct HeldLogRatio {
    using needs = columns<col::logp, col::logp_old>;
    template <class X>
    ROARS_FN value_t<X> operator()(const X& x) const {
        return log_ratio<value_t<X>>(x[col::logp{}], x[col::logp_old{}]).value;
    }
};

}  // namespace roars::detail

#pragma once

#include <cstdint>

#include "roars/concepts.hpp"
#include "roars/pack.hpp"

namespace roars::reward {

/// Several rewards of a sequence side by side, for an advantage that treats each by itself:
/// Components<Verified, SoftOverlong>{Verified{}, SoftOverlong{.buffer = 512}}. Shapes: component_reward [sequences,
/// terms].
template <SequenceReward... Term>
struct Components : Pack<Term...> {
    using Pack<Term...>::Pack;
    using needs = unite_t<needs_of<Term>...>;
    using gives = columns<col::component_reward>;

    template <class RunType, BatchWith<col::component_reward> BatchType>
    void score(RunType& run, BatchType& batch) const {
        batch.set_width(col::component_reward{}, static_cast<std::int64_t>(sizeof...(Term)));
        parallel_for(run.backend, batch.sequences(), [&](std::int64_t i) {
            SequenceView<BatchType> x(batch, i);
            auto row = batch.row(col::component_reward{}, i);
            std::size_t k = 0;
            apply(*this, [&](const Term&... term) {
                ((row[k++] = static_cast<typename BatchType::Real>(term.value(x))), ...);
            });
        });
    }
};

}  // namespace roars::reward

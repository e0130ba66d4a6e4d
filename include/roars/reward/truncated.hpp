#pragma once

#include "roars/concepts.hpp"

namespace roars::reward {

/// 1 for a sequence that ended by itself, 0 for one that the length limit cut. A door for Gate.
struct Finished {
    using needs = columns<col::truncated>;
    using gives = columns<col::reward>;
    static constexpr bool everywhere = true;
    template <class X>
    ROARS_FN double value(const X& x) const {
        return x[col::truncated{}] != 0 ? 0.0 : 1.0;
    }
};
ROARS_FIELDS(Finished)

/// The reward of Base; of a sequence that was cut, that times `factor`.
template <SequenceReward Base>
struct ScaleTruncated {
    Base base{};
    double factor = 0.5;

    using needs = unite_t<needs_of<Base>, columns<col::truncated>>;
    using gives = columns<col::reward>;
    static constexpr bool everywhere = runs_everywhere<Base>;
    template <class X>
    ROARS_FN double value(const X& x) const {
        return amended(base.value(x), x[col::truncated{}] != 0);
    }
    ROARS_FN double amended(double reward, bool truncated) const { return truncated ? reward * factor : reward; }
};
template <class Base>
ROARS_FIELDS_OF((ScaleTruncated<Base>), base, factor)

/// The reward of Base; a sequence that was cut gets `reward`, whatever it says.
template <SequenceReward Base>
struct ReplaceTruncated {
    Base base{};
    double reward = -1.0;

    using needs = unite_t<needs_of<Base>, columns<col::truncated>>;
    using gives = columns<col::reward>;
    static constexpr bool everywhere = runs_everywhere<Base>;
    template <class X>
    ROARS_FN double value(const X& x) const {
        return amended(base.value(x), x[col::truncated{}] != 0);
    }
    ROARS_FN double amended(double otherwise, bool truncated) const { return truncated ? reward : otherwise; }
};
template <class Base>
ROARS_FIELDS_OF((ReplaceTruncated<Base>), base, reward)

}  // namespace roars::reward

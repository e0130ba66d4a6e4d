#pragma once

#include <algorithm>
#include <cstdint>

#include "roars/concepts.hpp"

namespace roars::reward {

/// How often `mark` stands in `text`, counted from the left without overlap; both are texts or token sequences. Errors:
/// an empty mark.
template <class Sequence>
std::int64_t occurrences(const Sequence& text, const Sequence& mark) {
    expect(!mark.empty(), "format: an empty mark, expected a text of one character or more");
    std::int64_t count = 0;
    for (auto from = text.begin();;) {
        from = std::search(from, text.end(), mark.begin(), mark.end());
        if (from == text.end()) return count;
        ++count;
        from += static_cast<std::ptrdiff_t>(mark.size());
    }
}

/// Whether it stands there exactly once: the closing mark of a thought, "\n</think>\n". A verdict for col::format.
template <class Sequence>
bool marked_once(const Sequence& text, const Sequence& mark) {
    return occurrences(text, mark) == 1;
}

/// 1 for an answer of the form that was asked for, else 0.
struct Format {
    using needs = columns<col::format>;
    using gives = columns<col::reward>;
    static constexpr bool everywhere = true;
    template <class X>
    ROARS_FN double value(const X& x) const {
        return x[col::format{}] != 0 ? 1.0 : 0.0;
    }
};
ROARS_FIELDS(Format)

/// `format` as it is, for tasks that give the share of their checks of form that an answer passed.
struct FormatShare {
    using needs = columns<col::format>;
    using gives = columns<col::reward>;
    static constexpr bool everywhere = true;
    template <class X>
    ROARS_FN double value(const X& x) const {
        return x[col::format{}];
    }
};
ROARS_FIELDS(FormatShare)

/// The reward of Base; `otherwise` where the task has no verdict (a reference answer that cannot be read), for all
/// answers alike, so that a group learns nothing from it.
template <SequenceReward Base>
struct IfVerifiable {
    Base base{};
    double otherwise = 1.0;

    using needs = unite_t<needs_of<Base>, columns<col::verifiable>>;
    using gives = columns<col::reward>;
    static constexpr bool everywhere = runs_everywhere<Base>;
    template <class X>
    ROARS_FN double value(const X& x) const {
        return x[col::verifiable{}] != 0 ? base.value(x) : otherwise;
    }
};
template <class Base>
ROARS_FIELDS_OF((IfVerifiable<Base>), base, otherwise)

}  // namespace roars::reward

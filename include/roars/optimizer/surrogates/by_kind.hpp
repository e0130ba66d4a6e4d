#pragma once

#include <type_traits>

#include "roars/optimizer/surrogates/wrapper.hpp"

namespace roars::detail {

template <std::size_t first, std::size_t second>
constexpr auto joined(const std::array<std::string_view, first>& a, const std::array<std::string_view, second>& b) {
    std::array<std::string_view, first + second> all{};
    for (std::size_t i = 0; i < first; ++i) all[i] = a[i];
    for (std::size_t i = 0; i < second; ++i) all[first + i] = b[i];
    return all;
}

}  // namespace roars::detail

namespace roars::surrogate {

/// Own for the tokens that this policy wrote, External for those that it did not (col::external is not 0). Both are
/// looked at for every token; what one measures is 0 at the other's.
template <TokenTerm Own, TokenTerm External>
struct ByKind {
    static_assert(std::is_same_v<typename Own::differentiates, typename External::differentiates>,
                  "roars: the two kinds of tokens differentiate by different columns");
    static_assert(common_t<gives_of<Own>, gives_of<External>>::size == 0,
                  "roars: the surrogates of the two kinds of tokens write the same column");

    Own own{};
    External external{};

    static constexpr std::string_view name = Own::name;
    using needs = unite_t<needs_of<Own>, needs_of<External>, columns<col::external>>;
    using gives = unite_t<gives_of<Own>, gives_of<External>>;
    using prepare_needs = unite_t<detail::prepare_needs_of<Own>, detail::prepare_needs_of<External>>;
    using differentiates = typename Own::differentiates;
    static constexpr auto metrics = detail::joined(metrics_of<Own>, metrics_of<External>);

    using OwnSums = detail::sums_of_base<Own>;
    using ExternalSums = detail::sums_of_base<External>;
    struct BothSums {
        OwnSums own;
        ExternalSums external;
        BothSums& operator+=(const BothSums& other) {
            own += other.own;
            external += other.external;
            return *this;
        }
    };
    /// Nothing where neither asks for anything, so that nobody reads a batch for it.
    static constexpr bool has_sums = !std::is_empty_v<OwnSums> || !std::is_empty_v<ExternalSums>;
    using Sums = std::conditional_t<has_sums, BothSums, detail::NoSums>;

    static constexpr bool everywhere = detail::base_runs_everywhere<Own> && detail::base_runs_everywhere<External>;

    template <class RunType, class BatchType>
    void add_sums(RunType& run, BatchType& batch, Sums& to) const {
        if constexpr (has_sums) {
            detail::add_sums(own, run, batch, to.own);
            detail::add_sums(external, run, batch, to.external);
        }
    }
    template <class RunType, class BatchType>
    void prepare(RunType& run, BatchType& batch, [[maybe_unused]] const Sums& sums) const {
        if constexpr (has_sums) {
            detail::prepare_wrapped(own, run, batch, sums.own);
            detail::prepare_wrapped(external, run, batch, sums.external);
        } else {
            detail::prepare_wrapped(own, run, batch, OwnSums{});
            detail::prepare_wrapped(external, run, batch, ExternalSums{});
        }
    }
    template <class X>
    ROARS_FN auto token(const X& x) const {
        using V = value_t<X>;
        constexpr std::size_t first = metrics_of<Own>.size(), second = metrics_of<External>.size();
        const V zero(math::Scalar<V>(0));
        auto given = x[col::external{}] != zero;
        auto ours = own.token(x);
        auto theirs = external.token(x);
        Loss<V, std::tuple_size_v<decltype(ours.slope)>, first + second> said{
            math::select(given, theirs.loss, ours.loss)};
        for (std::size_t i = 0; i < said.slope.size(); ++i)
            said.slope[i] = math::select(given, theirs.slope[i], ours.slope[i]);
        if constexpr (first > 0)
            for (std::size_t i = 0; i < first; ++i) said.metric[i] = math::select(given, zero, ours.metric[i]);
        if constexpr (second > 0)
            for (std::size_t i = 0; i < second; ++i)
                said.metric[first + i] = math::select(given, theirs.metric[i], zero);
        return said;
    }
};
template <class Own, class External>
ROARS_FIELDS_OF((ByKind<Own, External>), own, external)

}  // namespace roars::surrogate

#pragma once

#include <cstddef>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <boost/hana/accessors.hpp>
#include <boost/hana/core/when.hpp>
#include <boost/hana/pair.hpp>
#include <boost/hana/tuple.hpp>

#include "roars/fields.hpp"

/// Every type with ROARS_FIELDS as a Boost.Hana Struct, for code that works with Hana. The library's own flags and JSON
/// (roars/reflect.hpp) do without.
namespace roars::detail {

/// The key of member `index`, and what reaches the member.
template <class T, std::size_t index>
struct FieldKey {
    static constexpr std::string_view name() { return field_at<T, index>.name; }
};
template <class T, std::size_t index>
struct FieldAccess {
    template <class Object>
    constexpr auto& operator()(Object& object) const {
        return object.*(field_at<T, index>.member);
    }
};

}  // namespace roars::detail

namespace boost::hana {
template <class T>
struct accessors_impl<T, when<roars::HasFields<T>>> {
    static constexpr auto apply() { return apply(std::make_index_sequence<roars::field_count_v<T>>{}); }
    template <std::size_t... index>
    static constexpr auto apply(std::index_sequence<index...>) {
        return make_tuple(make_pair(roars::detail::FieldKey<T, index>{}, roars::detail::FieldAccess<T, index>{})...);
    }
};
}  // namespace boost::hana

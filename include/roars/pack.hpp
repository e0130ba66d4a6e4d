#pragma once

#include <cstddef>
#include <utility>

#include "roars/config.hpp"

namespace roars {

/// Several parts as one value. Unlike std::tuple trivially copyable, so that it can go to a kernel:
/// Pack<A, B>{A{.x = 1}, B{}}.
template <class Indices, class... T>
struct PackOf;

namespace detail {
template <std::size_t index, class T>
struct PackLeaf {
    T value{};
};
}  // namespace detail

template <std::size_t... index, class... T>
struct PackOf<std::index_sequence<index...>, T...> : detail::PackLeaf<index, T>... {
    static constexpr std::size_t size = sizeof...(T);
    constexpr PackOf() = default;
    ROARS_FN constexpr PackOf(T... value) requires(sizeof...(T) > 0) : detail::PackLeaf<index, T>{value}... {}
};

template <class... T>
using Pack = PackOf<std::index_sequence_for<T...>, T...>;

namespace detail {
template <std::size_t index, class T>
ROARS_FN constexpr T& leaf(PackLeaf<index, T>& pack) {
    return pack.value;
}
template <std::size_t index, class T>
ROARS_FN constexpr const T& leaf(const PackLeaf<index, T>& pack) {
    return pack.value;
}
template <class Packed, class F, std::size_t... index, class... T>
ROARS_FN constexpr decltype(auto) apply_pack(Packed& pack, F&& f, const PackOf<std::index_sequence<index...>, T...>*) {
    return f(leaf<index>(pack)...);
}
}  // namespace detail

/// f(first, second, ...) with the members of a pack, or of something derived from one.
template <class Packed, class F>
ROARS_FN constexpr decltype(auto) apply(Packed& pack, F&& f) {
    return detail::apply_pack(pack, std::forward<F>(f), &pack);
}
template <std::size_t index, class Packed>
ROARS_FN constexpr auto& get(Packed& pack) {
    return detail::leaf<index>(pack);
}

}  // namespace roars

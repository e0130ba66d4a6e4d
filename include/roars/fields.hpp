#pragma once

#include <cstddef>
#include <string_view>
#include <tuple>
#include <type_traits>

/// Reflection of settings and states, written once a type and without a price: this header only lists members. Flags,
/// printing, JSON and checkpoints come from roars/reflect.hpp; roars/hana.hpp makes every such type a Boost.Hana
/// Struct.
///
///     ROARS_FIELDS(Clip, low, high)                                    // behind the struct, in its namespace
///     template <class Base> ROARS_FIELDS_OF((Weighted<Base>), base, limit)
///     ROARS_MEMBERS(State, first, second)                              // inside the struct
///
/// Each makes `roars_fields(const T*)`: a function of a function, which it calls with all Fields. (A std::tuple of
/// them, made for every type that is included, took an eighth of the compiler's front end in
/// examples/sac_pendulum.cpp.)
namespace roars {

/// A member by name.
template <class Owner, class Member>
struct Field {
    using Pointer = Member Owner::*;
    std::string_view name;
    Pointer member;
};
template <class Owner, class Member>
Field(std::string_view, Member Owner::*) -> Field<Owner, Member>;

template <class T>
concept HasFields = requires(const T* object) {
    roars_fields(object);
};

namespace detail {
template <class... Listed>
constexpr auto list_fields(Listed... field) {
    return [=](auto&& use) { return use(field...); };
}
template <class T>
inline constexpr auto fields_as_tuple = roars_fields(static_cast<const T*>(nullptr))([](const auto&... field) {
    return std::make_tuple(field...);
});
}  // namespace detail

template <HasFields T>
inline constexpr std::size_t field_count_v = std::tuple_size_v<decltype(detail::fields_as_tuple<T>)>;
template <HasFields T, std::size_t index>
inline constexpr auto field_at = std::get<index>(detail::fields_as_tuple<T>);

/// Calls visit(name, member) for each listed member of `object`, in order.
template <HasFields T, class Visit>
constexpr void for_each_field(T& object, Visit&& visit) {
    roars_fields(static_cast<const std::remove_const_t<T>*>(nullptr))(
        [&](const auto&... field) { (visit(field.name, object.*(field.member)), ...); });
}

}  // namespace roars

#define ROARS_PARENS_ ()
#define ROARS_EXPAND_(...) ROARS_EXPAND3_(ROARS_EXPAND3_(ROARS_EXPAND3_(__VA_ARGS__)))
#define ROARS_EXPAND3_(...) ROARS_EXPAND2_(ROARS_EXPAND2_(ROARS_EXPAND2_(__VA_ARGS__)))
#define ROARS_EXPAND2_(...) ROARS_EXPAND1_(ROARS_EXPAND1_(ROARS_EXPAND1_(__VA_ARGS__)))
#define ROARS_EXPAND1_(...) __VA_ARGS__
#define ROARS_UNWRAP_(...) __VA_ARGS__
#define ROARS_FIELD_LIST_(FIRST, ...) \
    ::roars::Field{#FIRST, &Self::FIRST} __VA_OPT__(, ROARS_FIELD_AGAIN_ ROARS_PARENS_(__VA_ARGS__))
#define ROARS_FIELD_AGAIN_() ROARS_FIELD_LIST_

#define ROARS_FIELDS_BODY_(TYPE, ...)                                                                   \
    (const ROARS_UNWRAP_ TYPE*) {                                                                       \
        using Self [[maybe_unused]] = ROARS_UNWRAP_ TYPE;                                               \
        return ::roars::detail::list_fields(__VA_OPT__(ROARS_EXPAND_(ROARS_FIELD_LIST_(__VA_ARGS__)))); \
    }
#define ROARS_FIELDS_OF(TYPE, ...) constexpr auto roars_fields ROARS_FIELDS_BODY_(TYPE __VA_OPT__(, ) __VA_ARGS__)
#define ROARS_FIELDS(TYPE, ...) ROARS_FIELDS_OF((TYPE)__VA_OPT__(, ) __VA_ARGS__)
#define ROARS_MEMBERS(TYPE, ...) friend constexpr auto roars_fields ROARS_FIELDS_BODY_((TYPE)__VA_OPT__(, ) __VA_ARGS__)

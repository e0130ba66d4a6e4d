#pragma once

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <boost/hana/accessors.hpp>
#include <boost/hana/core/when.hpp>
#include <boost/hana/for_each.hpp>
#include <boost/hana/fuse.hpp>
#include <boost/hana/pair.hpp>
#include <boost/hana/tuple.hpp>
#include <nlohmann/json.hpp>

#include "roars/error.hpp"
#include "roars/fields.hpp"
#include "roars/pack.hpp"
#include "roars/type_name.hpp"

namespace roars {

namespace detail {

template <class T>
inline constexpr auto fields_of = roars_fields(static_cast<const T*>(nullptr));
template <class T>
inline constexpr std::size_t field_count = std::tuple_size_v<std::remove_cvref_t<decltype(fields_of<T>)>>;

/// The key of member `index` in a Hana Struct, and what reaches the member.
template <class T, std::size_t index>
struct FieldKey {
    static constexpr std::string_view name() { return std::get<index>(fields_of<T>).name; }
};
template <class T, std::size_t index>
struct FieldAccess {
    template <class Object>
    constexpr auto& operator()(Object& object) const {
        return object.*(std::get<index>(fields_of<T>).member);
    }
};

template <class... Leaf>
std::true_type is_pack(const PackOf<Leaf...>*);
std::false_type is_pack(const void*);

}  // namespace detail
}  // namespace roars

/// Every type with ROARS_FIELDS is a Boost.Hana Struct.
namespace boost::hana {
template <class T>
struct accessors_impl<T, when<roars::HasFields<T>>> {
    static constexpr auto apply() { return apply(std::make_index_sequence<roars::detail::field_count<T>>{}); }
    template <std::size_t... index>
    static constexpr auto apply(std::index_sequence<index...>) {
        return make_tuple(make_pair(roars::detail::FieldKey<T, index>{}, roars::detail::FieldAccess<T, index>{})...);
    }
};
}  // namespace boost::hana

namespace roars {

template <class T>
inline constexpr bool is_pack_v = decltype(detail::is_pack(static_cast<const T*>(nullptr)))::value;

/// Calls visit(name, member) for each member that a type lists, and for each part of a pack under its type's name: kl,
/// and kl_2 for a second one.
template <class T, class Visit>
void for_each_member(T& object, Visit&& visit) {
    using Plain = std::remove_const_t<T>;
    if constexpr (is_pack_v<Plain>) {
        std::map<std::string, int> seen;
        auto one = [&](auto& part) {
            std::string name = short_name<std::remove_cvref_t<decltype(part)>>();
            int number = ++seen[name];
            visit(number > 1 ? name + "_" + std::to_string(number) : name, part);
        };
        apply(object, [&](auto&... part) { (one(part), ...); });
    } else
        boost::hana::for_each(boost::hana::accessors<Plain>(), boost::hana::fuse([&](auto key, auto access) {
                                  visit(std::string(key.name()), access(object));
                              }));
}

template <class T>
inline constexpr bool has_members_v = HasFields<std::remove_const_t<T>> || is_pack_v<std::remove_const_t<T>>;

namespace detail {

/// Depth first; a member named `base` under its own name or, for flags, under none.
template <bool base_is_named, class T, class Visit>
void walk_settings(T& object, Visit&& visit, const std::string& path) {
    for_each_member(object, [&](const std::string& name, auto& member) {
        using Member = std::remove_cvref_t<decltype(member)>;
        std::string inside = path.empty() ? name : path + "." + name;
        if constexpr (has_members_v<Member>) {
            walk_settings<base_is_named>(member, visit, !base_is_named && name == "base" ? path : inside);
        } else {
            static_assert(
                !std::is_class_v<Member> || std::is_same_v<Member, std::string> || requires { member.size(); },
                "roars: a setting's type lists no fields: ROARS_FIELDS is missing");
            visit(inside, member);
        }
    });
}

}  // namespace detail

/// Calls visit(path, value) for each member that holds a value: visit("optimizer.surrogate.high", 0.28).
template <class T, class Visit>
void for_each_setting(T& object, Visit&& visit) {
    detail::walk_settings<true>(object, visit, "");
}

/// The same by the names of flags: what a part wraps (`base`) is reached without a word for the wrapper, so that
/// --optimizer.step.learning_rate stays what it is when the step is clipped and scheduled.
template <class T, class Visit>
void for_each_flag(T& object, Visit&& visit) {
    detail::walk_settings<false>(object, visit, "");
}

/// Calls visit(path, words) for each part whose settings are allowed but seldom meant: what its `caution()` says,
/// unless that is empty. The path is that of flags.
template <class T, class Visit>
void for_each_caution(const T& object, Visit&& visit, const std::string& path = "") {
    if constexpr (requires { object.caution(); })
        if (std::string_view words = object.caution(); !words.empty()) visit(path, words);
    if constexpr (has_members_v<T>)
        for_each_member(object, [&](const std::string& name, const auto& member) {
            std::string inside = path.empty() ? name : path + "." + name;
            for_each_caution(member, visit, name == "base" ? path : inside);
        });
}

namespace detail {

inline double parse_number(const std::string& path, const std::string& text) {
    errno = 0;
    char* end = nullptr;
    double value = std::strtod(text.c_str(), &end);
    expect(!text.empty() && *end == '\0' && errno == 0 && std::isfinite(value),
           [&] { return "--" + path + ": '" + text + "' is not a number"; });
    return value;
}

template <class Value>
void parse_setting(const std::string& path, const std::string& text, Value& value) {
    if constexpr (std::is_same_v<Value, std::string>) {
        value = text;
    } else if constexpr (std::is_same_v<Value, bool>) {
        expect(text == "true" || text == "false" || text == "1" || text == "0",
               [&] { return "--" + path + ": '" + text + "', expected true or false"; });
        value = text == "true" || text == "1";
    } else if constexpr (std::is_integral_v<Value>) {
        double number = parse_number(path, text);
        expect(number == std::floor(number) && std::abs(number) < 9e15,
               [&] { return "--" + path + ": '" + text + "', expected a whole number"; });
        expect(std::in_range<Value>(static_cast<std::int64_t>(number)),
               [&] { return "--" + path + ": '" + text + "' is out of range"; });
        value = static_cast<Value>(number);
    } else if constexpr (std::is_floating_point_v<Value>) {
        value = static_cast<Value>(parse_number(path, text));
    } else {
        std::vector<typename Value::value_type> values;
        for (std::size_t begin = 0; begin <= text.size();) {
            std::size_t end = std::min(text.find(',', begin), text.size());
            parse_setting(path, text.substr(begin, end - begin), values.emplace_back());
            begin = end + 1;
        }
        if constexpr (requires { value.resize(values.size()); }) value.resize(values.size());
        expect(values.size() == value.size(),
               [&] { return "--" + path + ": '" + text + "', expected " + std::to_string(value.size()) + " values"; });
        std::copy(values.begin(), values.end(), value.begin());
    }
}

}  // namespace detail

/// Sets a setting from text, found by its flag: set("optimizer.surrogate.high", "0.3"); lists are written 1,2,3. False
/// if there is none of that path. Errors: text that is no value of the setting's type.
template <class T>
bool set_setting(T& object, const std::string& path, const std::string& text) {
    bool found = false;
    for_each_flag(object, [&](const std::string& each, auto& value) {
        if (each != path) return;
        found = true;
        detail::parse_setting(path, text, value);
    });
    return found;
}

/// Sets every setting whose path ends with that name, in every part of a method, say.
template <class Settings>
void set_everywhere(Settings& settings, std::string_view name, double number) {
    for_each_setting(settings, [&](const std::string& path, auto& value) {
        using Value = std::remove_reference_t<decltype(value)>;
        if constexpr (std::is_arithmetic_v<Value>)
            if (path.ends_with(name)) value = static_cast<Value>(number);
    });
}

/// Settings or a State as JSON, by the names of its fields. JSON knows no infinity: what is not finite is a word.
template <class T>
nlohmann::json to_json(const T& object) {
    if constexpr (has_members_v<T>) {
        auto json = nlohmann::json::object();
        for_each_member(object, [&](const std::string& name, const auto& member) { json[name] = to_json(member); });
        return json;
    } else if constexpr (requires { object.begin(); } && !std::is_same_v<T, std::string>) {
        auto json = nlohmann::json::array();
        for (const auto& value : object) json.push_back(to_json(value));
        return json;
    } else if constexpr (std::is_floating_point_v<T>) {
        if (std::isfinite(object)) return object;
        return std::isnan(object) ? "nan" : object > 0 ? "inf" : "-inf";
    } else {
        return object;
    }
}

namespace detail {

/// False if the JSON is no value of this type: nothing is rounded, cut off or taken for something else.
template <class T>
bool read_value(const nlohmann::json& json, T& value) {
    if constexpr (std::is_same_v<T, bool>) {
        if (!json.is_boolean()) return false;
    } else if constexpr (std::is_integral_v<T>) {
        if (json.is_number_unsigned() ? !std::in_range<T>(json.get<std::uint64_t>())
                                      : !json.is_number_integer() || !std::in_range<T>(json.get<std::int64_t>()))
            return false;
    } else if constexpr (std::is_floating_point_v<T>) {
        using limits = std::numeric_limits<T>;
        if (json == "nan") return value = limits::quiet_NaN(), true;
        if (json == "inf" || json == "-inf")
            return value = json == "inf" ? limits::infinity() : -limits::infinity(), true;
        if (!json.is_number()) return false;
    } else if (!json.is_string()) {
        return false;
    }
    json.get_to(value);
    return true;
}

}  // namespace detail

/// The way back. Errors name the field that is missing or of the wrong type.
template <class T>
void from_json(const nlohmann::json& json, T& object, const std::string& path = "") {
    if constexpr (has_members_v<T>) {
        for_each_member(object, [&](const std::string& name, auto& member) {
            std::string inside = path.empty() ? name : path + "." + name;
            expect(json.is_object() && json.contains(name), [&] { return inside + ": missing"; });
            from_json(json.at(name), member, inside);
        });
    } else if constexpr (requires { object.resize(1); } && !std::is_same_v<T, std::string>) {
        expect(json.is_array(), [&] { return path + ": expected a list"; });
        object.resize(json.size());
        for (std::size_t i = 0; i < json.size(); ++i) {
            typename T::value_type value{};
            from_json(json.at(i), value, path + "[" + std::to_string(i) + "]");
            object[i] = std::move(value);
        }
    } else if constexpr (requires { object.begin(); } && !std::is_same_v<T, std::string>) {
        expect(json.is_array() && json.size() == object.size(),
               [&] { return path + ": expected a list of " + std::to_string(object.size()); });
        for (std::size_t i = 0; i < json.size(); ++i)
            from_json(json.at(i), object[i], path + "[" + std::to_string(i) + "]");
    } else {
        expect(detail::read_value(json, object), [&] { return path + ": '" + json.dump() + "' is of the wrong type"; });
    }
}

}  // namespace roars

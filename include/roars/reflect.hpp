#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "roars/error.hpp"
#include "roars/fields.hpp"
#include "roars/pack.hpp"
#include "roars/type_name.hpp"

/// Flags, JSON and checkpoints of settings and States. Of each type the compiler makes a table, its members or how its
/// value is read and written, and code that is there once walks the tables: another method costs no more than its
/// table.
namespace roars {

template <class T>
nlohmann::json to_json(const T& object);
template <class T>
void from_json(const nlohmann::json& json, T& object, const std::string& path = "");

namespace detail {

struct TypeTable;

/// A member of a struct by its name, or a part of a pack by the name of the part's type.
struct Member {
    std::string_view name;
    const void* (*in)(const void* object);
    const TypeTable* type;
};

/// What can be done with a value of a type that has no members.
struct ValueTable {
    void (*parse)(const std::string& flag, const std::string& text, void* value);
    nlohmann::json (*write)(const void* value);
    void (*read)(const nlohmann::json& json, void* value, const std::string& path);
    void (*assign)(double number, void* value);  ///< null of what is no number
};

struct TypeTable {
    std::span<const Member> members;
    const ValueTable* value = nullptr;  ///< null of a struct or a pack
    std::string_view (*caution)(const void* object) = nullptr;
};

template <std::size_t... index, class... Part>
std::true_type is_pack(const PackOf<std::index_sequence<index...>, Part...>*);
std::false_type is_pack(const void*);
template <class T>
inline constexpr bool is_pack_v = decltype(is_pack(static_cast<const T*>(nullptr)))::value;
template <class T>
inline constexpr bool has_members_v = HasFields<T> || is_pack_v<T>;

inline double parse_number(const std::string& path, const std::string& text) {
    errno = 0;
    char* end = nullptr;
    double value = std::strtod(text.c_str(), &end);
    expect(!text.empty() && *end == '\0' && errno == 0 && std::isfinite(value),
           [&] { return "--" + path + ": '" + text + "' is not a number"; });
    return value;
}

template <class Value>
void parse_value(const std::string& flag, const std::string& text, Value& value) {
    if constexpr (std::is_same_v<Value, std::string>) {
        value = text;
    } else if constexpr (std::is_same_v<Value, bool>) {
        expect(text == "true" || text == "false" || text == "1" || text == "0",
               [&] { return "--" + flag + ": '" + text + "', expected true or false"; });
        value = text == "true" || text == "1";
    } else if constexpr (std::is_integral_v<Value>) {
        double number = parse_number(flag, text);
        expect(number == std::floor(number) && std::abs(number) < 9e15,
               [&] { return "--" + flag + ": '" + text + "', expected a whole number"; });
        expect(std::in_range<Value>(static_cast<std::int64_t>(number)),
               [&] { return "--" + flag + ": '" + text + "' is out of range"; });
        value = static_cast<Value>(number);
    } else if constexpr (std::is_floating_point_v<Value>) {
        value = static_cast<Value>(parse_number(flag, text));
    } else if constexpr (requires { requires std::is_arithmetic_v<typename Value::value_type>; }) {
        std::vector<typename Value::value_type> values;
        for (std::size_t begin = 0; begin <= text.size();) {
            std::size_t end = std::min(text.find(',', begin), text.size());
            typename Value::value_type one{};
            parse_value(flag, text.substr(begin, end - begin), one);
            values.push_back(one);
            begin = end + 1;
        }
        if constexpr (requires { value.resize(values.size()); }) value.resize(values.size());
        expect(values.size() == value.size(),
               [&] { return "--" + flag + ": '" + text + "', expected " + std::to_string(value.size()) + " values"; });
        std::copy(values.begin(), values.end(), value.begin());
    } else {
        throw Error("--" + flag + ": no flag can say it");
    }
}

template <class Value>
nlohmann::json write_value(const Value& value) {
    if constexpr (requires { value.begin(); } && !std::is_same_v<Value, std::string>) {
        auto json = nlohmann::json::array();
        for (const auto& one : value) json.push_back(to_json(one));
        return json;
    } else if constexpr (std::is_floating_point_v<Value>) {
        if (std::isfinite(value)) return value;
        return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
    } else {
        return value;
    }
}

/// False if the JSON is no value of this type: nothing is rounded, cut off or taken for something else.
template <class T>
bool read_plain(const nlohmann::json& json, T& value) {
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

template <class Value>
void read_value(const nlohmann::json& json, Value& value, const std::string& path) {
    if constexpr (requires { value.resize(1); } && !std::is_same_v<Value, std::string>) {
        expect(json.is_array(), [&] { return path + ": expected a list"; });
        value.resize(json.size());
        for (std::size_t i = 0; i < json.size(); ++i) {
            typename Value::value_type one{};
            from_json(json.at(i), one, path + "[" + std::to_string(i) + "]");
            value[i] = std::move(one);
        }
    } else if constexpr (requires { value.begin(); } && !std::is_same_v<Value, std::string>) {
        expect(json.is_array() && json.size() == value.size(),
               [&] { return path + ": expected a list of " + std::to_string(value.size()); });
        for (std::size_t i = 0; i < json.size(); ++i)
            from_json(json.at(i), value[i], path + "[" + std::to_string(i) + "]");
    } else {
        expect(read_plain(json, value), [&] { return path + ": '" + json.dump() + "' is of the wrong type"; });
    }
}

template <class Value>
inline constexpr ValueTable value_table{
    [](const std::string& flag, const std::string& text, void* value) {
        parse_value(flag, text, *static_cast<Value*>(value));
    },
    [](const void* value) { return write_value(*static_cast<const Value*>(value)); },
    [](const nlohmann::json& json, void* value, const std::string& path) {
        read_value(json, *static_cast<Value*>(value), path);
    },
    [] {
        void (*assign)(double, void*) = nullptr;
        if constexpr (std::is_arithmetic_v<Value>)
            assign = [](double number, void* value) { *static_cast<Value*>(value) = static_cast<Value>(number); };
        return assign;
    }()};

template <class T>
constexpr TypeTable make_table();
template <class T>
inline constexpr TypeTable type_table = make_table<T>();

template <class T, std::size_t index>
constexpr Member make_member() {
    if constexpr (is_pack_v<T>) {
        using Part = std::remove_cvref_t<decltype(get<index>(std::declval<const T&>()))>;
        return {short_name<Part>(),
                [](const void* object) -> const void* { return &get<index>(*static_cast<const T*>(object)); },
                &type_table<Part>};
    } else {
        constexpr auto field = field_at<T, index>;
        return {field.name,
                [](const void* object) -> const void* { return &(static_cast<const T*>(object)->*field.member); },
                &type_table<std::remove_cvref_t<decltype(std::declval<const T&>().*field.member)>>};
    }
}

template <class T>
inline constexpr auto members_of = []<std::size_t... index>(std::index_sequence<index...>) {
    return std::array<Member, sizeof...(index)>{make_member<T, index>()...};
}
(std::make_index_sequence<[] {
    if constexpr (is_pack_v<T>)
        return T::size;
    else
        return field_count_v<T>;
}()>{});

template <class T>
constexpr TypeTable make_table() {
    TypeTable table;
    if constexpr (has_members_v<T>) {
        table.members = members_of<T>;
    } else {
        static_assert(
            !std::is_class_v<T> || std::is_same_v<T, std::string> || requires(const T& list) { list.size(); },
            "roars: a setting's type lists no fields: ROARS_FIELDS is missing");
        table.value = &value_table<T>;
    }
    if constexpr (requires(const T& object) { object.caution(); })
        table.caution = [](const void* object) -> std::string_view { return static_cast<const T*>(object)->caution(); };
    return table;
}

/// kl, and kl_2 for a second part of that name in a pack.
inline std::string name_of(std::span<const Member> members, std::size_t index) {
    const std::string_view name = members[index].name;
    auto before = std::count_if(members.begin(), members.begin() + std::ptrdiff_t(index),
                                [&](const Member& member) { return member.name == name; });
    return before ? std::string(name) + "_" + std::to_string(before + 1) : std::string(name);
}

/// An object or something in it, and where it stands.
struct Node {
    std::string path;
    const TypeTable* type;
    const void* object;
};

/// Adds the object and everything in it, depth first. A part named `base` under its own name or, for flags, under
/// none.
inline void add_nodes(std::vector<Node>& nodes, const TypeTable& type, const void* object, bool base_is_named,
                      const std::string& path) {
    nodes.push_back({path, &type, object});
    for (std::size_t i = 0; i < type.members.size(); ++i) {
        std::string name = name_of(type.members, i);
        const bool wrapped = !base_is_named && name == "base" && type.members[i].type->value == nullptr;
        std::string inside = wrapped ? path : path.empty() ? name : path + "." + name;
        add_nodes(nodes, *type.members[i].type, type.members[i].in(object), base_is_named, inside);
    }
}
inline std::vector<Node> nodes_of(const TypeTable& type, const void* object, bool base_is_named) {
    std::vector<Node> nodes;
    add_nodes(nodes, type, object, base_is_named, "");
    return nodes;
}

inline nlohmann::json write_json(const TypeTable& type, const void* object) {
    if (type.value) return type.value->write(object);
    auto json = nlohmann::json::object();
    for (std::size_t i = 0; i < type.members.size(); ++i)
        json[name_of(type.members, i)] = write_json(*type.members[i].type, type.members[i].in(object));
    return json;
}

inline void read_json(const nlohmann::json& json, const TypeTable& type, void* object, const std::string& path) {
    if (type.value) return type.value->read(json, object, path);
    for (std::size_t i = 0; i < type.members.size(); ++i) {
        std::string name = name_of(type.members, i);
        std::string inside = path.empty() ? name : path + "." + name;
        expect(json.is_object() && json.contains(name), [&] { return inside + ": missing"; });
        read_json(json.at(name), *type.members[i].type, const_cast<void*>(type.members[i].in(object)), inside);
    }
}

}  // namespace detail

/// A value somewhere in settings or a State.
class ConstSetting {
public:
    ConstSetting(const detail::ValueTable& table, const void* value) : table_(&table), value_(value) {}

    /// The value, or null if it is of another type.
    template <class Value>
    const Value* as() const {
        return table_ == &detail::value_table<Value> ? static_cast<const Value*>(value_) : nullptr;
    }
    nlohmann::json json() const { return table_->write(value_); }

protected:
    const detail::ValueTable* table_;
    const void* value_;
};

/// One that can be set.
class Setting : public ConstSetting {
public:
    Setting(const detail::ValueTable& table, void* value) : ConstSetting(table, value) {}

    template <class Value>
    Value* as() const {
        return const_cast<Value*>(ConstSetting::as<Value>());
    }
    /// From text, as of a flag of that name. Errors: text that is no value of its type.
    void parse(const std::string& flag, const std::string& text) const { table_->parse(flag, text, value()); }
    void read(const nlohmann::json& json, const std::string& path) const { table_->read(json, value(), path); }
    bool is_number() const { return table_->assign != nullptr; }
    void assign(double number) const { table_->assign(number, value()); }

private:
    void* value() const { return const_cast<void*>(value_); }
};

template <class One>
struct Named {
    std::string path;
    One setting;
};
using Cautions = std::vector<std::pair<std::string, std::string_view>>;

namespace detail {

template <class One>
std::vector<Named<One>> values_in(const TypeTable& type, const void* object, bool base_is_named) {
    std::vector<Named<One>> values;
    for (const Node& node : nodes_of(type, object, base_is_named))
        if (node.type->value) values.push_back({node.path, One(*node.type->value, const_cast<void*>(node.object))});
    return values;
}
inline Cautions cautions_in(const TypeTable& type, const void* object) {
    Cautions cautions;
    for (const Node& node : nodes_of(type, object, false))
        if (node.type->caution)
            if (std::string_view words = node.type->caution(node.object); !words.empty())
                cautions.emplace_back(node.path, words);
    return cautions;
}
inline bool set_setting(const TypeTable& type, void* object, const std::string& path, const std::string& text) {
    bool found = false;
    for (const auto& [each, setting] : values_in<Setting>(type, object, false))
        if (each == path) setting.parse(path, text), found = true;
    return found;
}
inline void set_everywhere(const TypeTable& type, void* object, std::string_view name, double number) {
    for (const auto& [path, setting] : values_in<Setting>(type, object, true))
        if (path.ends_with(name) && setting.is_number()) setting.assign(number);
}

template <class T>
using SettingOf = std::conditional_t<std::is_const_v<T>, ConstSetting, Setting>;

}  // namespace detail

/// Every member that holds a value, {path, setting}: {"optimizer.surrogate.high", a Setting; of a const object a
/// ConstSetting}. They live as long as the object.
template <class T>
std::vector<Named<detail::SettingOf<T>>> settings_in(T& object) {
    return detail::values_in<detail::SettingOf<T>>(detail::type_table<std::remove_const_t<T>>, &object, true);
}

/// The same by the names of flags: what a part wraps (`base`) is reached without a word for the wrapper, so that
/// --optimizer.step.learning_rate stays what it is when the step is clipped and scheduled.
template <class T>
std::vector<Named<detail::SettingOf<T>>> flags_in(T& object) {
    return detail::values_in<detail::SettingOf<T>>(detail::type_table<std::remove_const_t<T>>, &object, false);
}

/// {flag, words} of each part whose settings are allowed but seldom meant: what its `caution()` says, unless that is
/// empty.
template <class T>
Cautions cautions_in(const T& object) {
    return detail::cautions_in(detail::type_table<T>, &object);
}

/// Sets a setting from text, found by its flag: set("optimizer.surrogate.high", "0.3"); lists are written 1,2,3. False
/// if there is none of that path. Errors: text that is no value of the setting's type.
template <class T>
bool set_setting(T& object, const std::string& path, const std::string& text) {
    return detail::set_setting(detail::type_table<T>, &object, path, text);
}

/// Sets every number whose path ends with that name, in every part of a method, say.
template <class Settings>
void set_everywhere(Settings& settings, std::string_view name, double number) {
    detail::set_everywhere(detail::type_table<Settings>, &settings, name, number);
}

/// Settings or a State as JSON, by the names of its fields. JSON knows no infinity: what is not finite is a word.
template <class T>
nlohmann::json to_json(const T& object) {
    return detail::write_json(detail::type_table<T>, &object);
}

/// The way back. Errors name the field that is missing or of the wrong type.
template <class T>
void from_json(const nlohmann::json& json, T& object, const std::string& path) {
    detail::read_json(json, detail::type_table<T>, &object, path);
}

}  // namespace roars

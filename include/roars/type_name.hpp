#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace roars {

namespace detail {
template <class T>
constexpr std::string_view raw_type_name() {
    std::string_view function = __PRETTY_FUNCTION__;
    std::size_t begin = function.find("T = ") + 4;
    std::size_t end = function.find_last_of(";]");
    if (std::size_t semicolon = function.find(';', begin); semicolon != std::string_view::npos) end = semicolon;
    return function.substr(begin, end - begin);
}

inline std::string without_our_namespace(std::string_view raw) {
    std::string name(raw);
    for (std::size_t at; (at = name.find("roars::")) != std::string::npos;) name.erase(at, 7);
    for (std::size_t at; (at = name.find(" >")) != std::string::npos;) name.erase(at, 1);
    return name;
}

}  // namespace detail

/// A type as a person writes it inside the library: advantage::Normalise<center::GroupMean, scale::GroupSpread>.
template <class T>
std::string type_name() {
    return detail::without_our_namespace(detail::raw_type_name<T>());
}

namespace detail {

/// A word in small letters with _ before each new one, as long as the compiler needs it.
template <std::size_t capacity>
struct Words {
    std::array<char, capacity> letters{};
    std::size_t size = 0;
};

template <class T>
constexpr auto words_of_name() {
    constexpr std::string_view name = [] {
        std::string_view all = raw_type_name<T>();
        all = all.substr(0, all.find('<'));
        std::size_t colons = all.rfind("::");
        return colons == std::string_view::npos ? all : all.substr(colons + 2);
    }();
    Words<2 * name.size()> words;
    for (std::size_t i = 0; i < name.size(); ++i) {
        const bool capital = name[i] >= 'A' && name[i] <= 'Z';
        if (capital && i > 0) words.letters[words.size++] = '_';
        words.letters[words.size++] = static_cast<char>(capital ? name[i] - 'A' + 'a' : name[i]);
    }
    return words;
}
template <class T>
inline constexpr auto words_of = words_of_name<T>();

}  // namespace detail

/// The name of a type alone, as a word of a flag: reward::SoftOverlong -> soft_overlong, regularizer::Kl<K3> -> kl.
template <class T>
constexpr std::string_view short_name() {
    return {detail::words_of<T>.letters.data(), detail::words_of<T>.size};
}

}  // namespace roars

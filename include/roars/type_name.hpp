#pragma once

#include <cctype>
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
}  // namespace detail

/// A type as a person writes it inside the library: advantage::Normalise<center::GroupMean, scale::GroupSpread>.
template <class T>
std::string type_name() {
    std::string name(detail::raw_type_name<T>());
    for (std::size_t at; (at = name.find("roars::")) != std::string::npos;) name.erase(at, 7);
    for (std::size_t at; (at = name.find(" >")) != std::string::npos;) name.erase(at, 1);
    return name;
}

/// The name of a type alone, as a word of a flag: reward::SoftOverlong -> soft_overlong, regularizer::Kl<K3> -> kl.
template <class T>
std::string short_name() {
    std::string name = type_name<T>();
    name = name.substr(0, name.find('<'));
    if (std::size_t colons = name.rfind("::"); colons != std::string::npos) name = name.substr(colons + 2);
    std::string words;
    for (std::size_t i = 0; i < name.size(); ++i) {
        auto letter = static_cast<unsigned char>(name[i]);
        if (std::isupper(letter) && i > 0) words += '_';
        words += static_cast<char>(std::tolower(letter));
    }
    return words;
}

}  // namespace roars

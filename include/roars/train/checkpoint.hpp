#pragma once

#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include <nlohmann/json.hpp>

#include "roars/actors/safetensors.hpp"
#include "roars/reflect.hpp"

namespace roars::train {

namespace detail {
template <class Value>
inline constexpr bool is_tensor_v =
    std::is_same_v<Value, std::vector<float>> || std::is_same_v<Value, std::vector<double>> ||
    std::is_same_v<Value, std::vector<std::int64_t>>;
}  // namespace detail

/// Puts a State into a file of tensors: vectors of numbers as tensors under prefix + path, everything else as JSON in
/// the metadata under `prefix`. Bits are kept.
template <class State>
void write_state(SafeTensors& file, const State& state, const std::string& prefix) {
    auto rest = nlohmann::json::object();
    for_each_setting(state, [&](const std::string& path, const auto& value) {
        using Value = std::remove_cvref_t<decltype(value)>;
        if constexpr (detail::is_tensor_v<Value>)
            file.put<typename Value::value_type>(prefix + "." + path, {std::ssize(value)}, value);
        else
            rest[path] = to_json(value);
    });
    file.metadata[prefix] = rest.dump();
}

/// The way back. Errors name what the file lacks.
template <class State>
void read_state(const SafeTensors& file, State& state, const std::string& prefix) {
    auto found = file.metadata.find(prefix);
    expect(found != file.metadata.end(), [&] { return "checkpoint: lacks '" + prefix + "'"; });
    auto rest = nlohmann::json::parse(found->second);
    for_each_setting(state, [&](const std::string& path, auto& value) {
        using Value = std::remove_cvref_t<decltype(value)>;
        if constexpr (detail::is_tensor_v<Value>) {
            value.resize(static_cast<std::size_t>(file.find(prefix + "." + path).shape.at(0)));
            file.get<typename Value::value_type>(prefix + "." + path, {std::ssize(value)}, value);
        } else {
            expect(rest.contains(path), [&] { return "checkpoint: lacks '" + prefix + "." + path + "'"; });
            from_json(rest.at(path), value, prefix + "." + path);
        }
    });
}

}  // namespace roars::train

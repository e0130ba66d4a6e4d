#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "roars/actors/tensors.hpp"
#include "roars/reflect.hpp"

namespace roars::train {

namespace detail {

/// Whether the setting is a vector of numbers; do_it(the vector) if so.
template <class One, class Do>
bool if_tensor(const One& setting, Do&& do_it) {
    auto attempt = [&](auto* numbers) { return numbers && (do_it(*numbers), true); };
    return attempt(setting.template as<std::vector<float>>()) || attempt(setting.template as<std::vector<double>>()) ||
           attempt(setting.template as<std::vector<std::int64_t>>());
}

inline void write_values(Tensors& file, const std::vector<Named<ConstSetting>>& values, const std::string& prefix) {
    auto rest = nlohmann::json::object();
    for (const auto& [path, setting] : values)
        if (!if_tensor(setting, [&, &path = path]<class Number>(const std::vector<Number>& numbers) {
                file.put<Number>(prefix + "." + path, {std::ssize(numbers)}, numbers);
            }))
            rest[path] = setting.json();
    file.metadata[prefix] = rest.dump();
}

inline void read_values(const Tensors& file, const std::vector<Named<Setting>>& values, const std::string& prefix) {
    auto found = file.metadata.find(prefix);
    expect(found != file.metadata.end(), [&] { return "checkpoint: lacks '" + prefix + "'"; });
    auto rest = nlohmann::json::parse(found->second);
    for (const auto& [path, setting] : values) {
        const std::string name = prefix + "." + path;
        if (if_tensor(setting, [&]<class Number>(std::vector<Number>& numbers) {
                numbers.resize(static_cast<std::size_t>(file.find(name).shape.at(0)));
                file.get<Number>(name, {std::ssize(numbers)}, numbers);
            }))
            continue;
        expect(rest.contains(path), [&] { return "checkpoint: lacks '" + name + "'"; });
        setting.read(rest.at(path), name);
    }
}

}  // namespace detail

/// Puts a State into a file of tensors: vectors of numbers as tensors under prefix + path, everything else as JSON in
/// the metadata under `prefix`. Bits are kept.
template <class State>
void write_state(Tensors& file, const State& state, const std::string& prefix) {
    detail::write_values(file, settings_in(state), prefix);
}

/// The way back. Errors name what the file lacks.
template <class State>
void read_state(const Tensors& file, State& state, const std::string& prefix) {
    detail::read_values(file, settings_in(state), prefix);
}

}  // namespace roars::train

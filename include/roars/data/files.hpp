#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "roars/data/hdf5.hpp"
#include "roars/data/transitions.hpp"
#include "roars/error.hpp"

/// Data sets in HDF5 files. D4RL (arXiv 2004.07219): one file of observations, actions, rewards, terminals, timeouts
/// and, not in all, next_observations, a row a step. Minari: a folder with data/main_data.hdf5, a group episode_0,
/// episode_1,
/// ... for each episode, with one observation more than actions, and data/metadata.json. What is read is complete or an
/// Error that names file, field and row; what is written appears complete or not at all.
/// Without ROARS_HDF5 both are an Error that says so.
namespace roars::data {

namespace detail {

[[noreturn]] inline void no_hdf5(const std::string& path) {
    throw Error(path + ": this program was built without HDF5 (Debian: libhdf5-dev)");
}

/// Calls write(partial path), then renames it to `path`; whatever goes wrong, nothing half-written is left.
template <class Write>
void write_beside(const std::string& path, Write&& write) {
    const std::string partial = path + ".partial";
    std::error_code error;
    std::filesystem::remove_all(partial, error);
    try {
        write(partial);
        std::filesystem::rename(partial, path, error);
        expect(!error, [&] { return path + ": cannot be written: " + error.message(); });
    } catch (...) {
        std::filesystem::remove_all(partial, error);
        throw;
    }
}

/// The end of a path: "" and "." at the end of "a/b/" are not it.
inline std::string plain(const std::string& path) {
    auto end = path.find_last_not_of('/');
    return end == std::string::npos ? path : path.substr(0, end + 1);
}

#if defined(ROARS_HDF5)

template <class Real>
hdf5::Table<Real> finite_numbers(const hdf5::Place& place, const std::string& name) {
    auto table = place.numbers<Real>(name);
    for (std::size_t i = 0; i < table.values.size(); ++i)
        expect(std::isfinite(table.values[i]), [&] {
            return place.field(name) + ", row " + std::to_string(std::int64_t(i) / table.width) + ": " +
                   std::to_string(table.values[i]) + ", expected a finite number";
        });
    return table;
}

inline void expect_rows(const hdf5::Place& place, const std::string& name, std::int64_t rows, std::int64_t expected,
                        const std::string& reason) {
    expect(rows == expected, [&] {
        return place.field(name) + ": " + std::to_string(rows) + " rows, expected " + std::to_string(expected) + " " +
               reason;
    });
}

inline void expect_width(const hdf5::Place& place, const std::string& name, std::int64_t width, std::int64_t expected,
                         const std::string& reason) {
    expect(width == expected, [&] {
        return place.field(name) + ": " + std::to_string(width) + " numbers a row, expected " +
               std::to_string(expected) + " " + reason;
    });
}

/// Actions of whole numbers, one a row, are discrete; so many as are known, or as the largest one asks for.
template <class Real>
std::int64_t count_actions(const hdf5::Place& place, const hdf5::Table<Real>& actions, std::int64_t known) {
    std::int64_t count = std::max<std::int64_t>(known, 0);
    for (std::size_t i = 0; i < actions.values.size(); ++i) {
        Real action = actions.values[i];
        expect(action >= 0 && (known <= 0 || action < Real(known)) && action < Real(1 << 20), [&] {
            return place.field("actions") + ", row " + std::to_string(i) + ": " + std::to_string(std::int64_t(action)) +
                   ", expected an action from 0 to " + std::to_string((known > 0 ? known : 1 << 20) - 1);
        });
        count = std::max(count, static_cast<std::int64_t>(action) + 1);
    }
    return count;
}

/// Rows whose next state the file does not say are left out; the row before such a one is then the last of its episode,
/// cut.
template <class Real>
Transitions<Real> read_d4rl(const hdf5::Place& place) {
    auto states = finite_numbers<Real>(place, "observations"), actions = finite_numbers<Real>(place, "actions");
    auto rewards = finite_numbers<Real>(place, "rewards");
    auto terminals = place.flags("terminals"), timeouts = place.flags("timeouts");
    const std::string as_states = "as in 'observations'";
    const std::int64_t rows = states.rows;
    expect(rows > 0, [&] { return place.field("observations") + ": no rows"; });
    expect_rows(place, "actions", actions.rows, rows, as_states);
    expect_rows(place, "rewards", rewards.rows, rows, as_states);
    expect_width(place, "rewards", rewards.width, 1, "reward");
    expect_rows(place, "terminals", std::ssize(terminals), rows, as_states);
    expect_rows(place, "timeouts", std::ssize(timeouts), rows, as_states);
    hdf5::Table<Real> next;
    const bool has_next = place.has("next_observations");
    if (has_next) {
        next = finite_numbers<Real>(place, "next_observations");
        expect_rows(place, "next_observations", next.rows, rows, as_states);
        expect_width(place, "next_observations", next.width, states.width, as_states);
    }

    Transitions<Real> transitions;
    transitions.notes = place.texts();
    transitions.observation_size = states.width;
    transitions.action_size = actions.width;
    if (actions.whole_numbers)
        transitions.action_count = count_actions(place, actions, place.attribute("action_count", 0));
    transitions.reserve(rows);
    auto row_of = [](const hdf5::Table<Real>& table, std::int64_t row) {
        return std::span(table.values)
            .subspan(static_cast<std::size_t>(row * table.width), static_cast<std::size_t>(table.width));
    };
    for (std::int64_t row = 0; row < rows; ++row) {
        const auto i = static_cast<std::size_t>(row);
        const bool last = row + 1 == rows, cut = timeouts[i] || last;
        if (cut && !terminals[i] && !has_next) {
            ++transitions.rows_left_out;
            transitions.cut_last();
            continue;
        }
        // What follows a termination is of no account: the state itself stands there.
        auto to = has_next ? row_of(next, row) : row_of(states, terminals[i] ? row : row + 1);
        transitions.add(row_of(states, row), row_of(actions, row), rewards.values[i], to, terminals[i], cut);
    }
    expect(transitions.rows() > 0,
           [&] { return place.field("observations") + ": no row of which the next state is known"; });
    return transitions;
}

inline nlohmann::json read_json(const std::filesystem::path& path) {
    std::ifstream in(path);
    auto json = nlohmann::json::parse(in, nullptr, false);
    expect(json.is_object(), [&] { return path.string() + ": is not JSON, or damaged"; });
    return json;
}

/// A member of JSON, or JSON written as text, that is an object; else an empty one.
inline nlohmann::json inner(const nlohmann::json& json, const char* name) {
    if (!json.contains(name)) return nlohmann::json::object();
    auto member = json.at(name);
    if (member.is_string()) member = nlohmann::json::parse(member.get<std::string>(), nullptr, false);
    return member.is_object() ? member : nlohmann::json::object();
}

template <class Real>
void read_episode(const hdf5::Place& place, std::int64_t steps, std::int64_t actions_known, bool first,
                  Transitions<Real>& transitions) {
    auto states = finite_numbers<Real>(place, "observations"), actions = finite_numbers<Real>(place, "actions");
    auto rewards = finite_numbers<Real>(place, "rewards");
    auto terminations = place.flags("terminations"), truncations = place.flags("truncations");
    const std::int64_t rows = rewards.rows;
    expect(rows > 0, [&] { return place.field("rewards") + ": no rows"; });
    if (steps >= 0) expect_rows(place, "rewards", rows, steps, "as its attribute total_steps says");
    expect_width(place, "rewards", rewards.width, 1, "reward");
    expect_rows(place, "observations", states.rows, rows + 1, "(one more than 'rewards')");
    const std::string as_rewards = "as in 'rewards'";
    expect_rows(place, "actions", actions.rows, rows, as_rewards);
    expect_rows(place, "terminations", std::ssize(terminations), rows, as_rewards);
    expect_rows(place, "truncations", std::ssize(truncations), rows, as_rewards);
    if (first) transitions.observation_size = states.width, transitions.action_size = actions.width;
    const std::string as_before = "as in episode_0";
    expect_width(place, "observations", states.width, transitions.observation_size, as_before);
    expect_width(place, "actions", actions.width, transitions.action_size, as_before);
    const bool discrete = actions.whole_numbers;
    expect(first || discrete == (transitions.action_count > 0), [&] {
        return place.field("actions") + (discrete ? ": whole numbers" : ": real numbers") +
               ", expected what episode_0 has";
    });
    if (discrete)
        transitions.action_count = std::max(transitions.action_count, count_actions(place, actions, actions_known));
    for (std::int64_t row = 0; row < rows; ++row) {
        const auto i = static_cast<std::size_t>(row);
        const bool last = row + 1 == rows;
        expect(last || !(terminations[i] || truncations[i]), [&] {
            return place.field(terminations[i] ? "terminations" : "truncations") + ", row " + std::to_string(row) +
                   ": 1, but the episode goes on";
        });
        auto state = [&](std::int64_t at) {
            return std::span(states.values)
                .subspan(static_cast<std::size_t>(at * states.width), static_cast<std::size_t>(states.width));
        };
        auto action =
            std::span(actions.values)
                .subspan(static_cast<std::size_t>(row * actions.width), static_cast<std::size_t>(actions.width));
        transitions.add(state(row), action, rewards.values[i], state(row + 1), terminations[i], last);
    }
}

template <class Real>
Transitions<Real> read_minari(const hdf5::Handle& file, const std::string& path) {
    hdf5::Place root(file, path);
    Transitions<Real> transitions;
    transitions.notes = root.texts();
    std::int64_t actions_known = root.attribute("action_count", 0);
    std::int64_t episodes = root.attribute("total_episodes", -1), steps = root.attribute("total_steps", -1);
    auto metadata = std::filesystem::path(path).parent_path() / "metadata.json";
    if (std::filesystem::exists(metadata)) {
        auto json = read_json(metadata);
        auto number = [&](const char* name, std::int64_t otherwise) {
            return json.contains(name) && json[name].is_number_integer() ? json[name].get<std::int64_t>() : otherwise;
        };
        episodes = number("total_episodes", episodes);
        steps = number("total_steps", steps);
        for (const auto& [name, value] : json.items())
            if (value.is_string() && !name.ends_with("_space") && name != "env_spec" && name != "data_format" &&
                name != "minari_version")
                transitions.notes[name] = value.template get<std::string>();
        auto spec = inner(json, "env_spec");
        if (spec.contains("id") && spec["id"].is_string()) transitions.notes["environment"] = spec["id"];
        auto space = inner(json, "action_space");
        if (space.contains("n") && space["n"].is_number_integer()) actions_known = space["n"];
    }
    std::int64_t found = 0;
    for (;; ++found) {
        std::string name = "episode_" + std::to_string(found);
        if (!root.has(name)) break;
        auto group = root.group(name);
        hdf5::Place place(group, path, name + "/");
        read_episode(place, place.attribute("total_steps", -1), actions_known, found == 0, transitions);
    }
    expect(episodes < 0 || found == episodes, [&] {
        return root.field("episode_" + std::to_string(std::min(found, episodes))) +
               (found < episodes ? ": missing, though there should be " : ": is one more than the ") +
               std::to_string(episodes) + " episodes";
    });
    H5G_info_t info{};
    H5Gget_info(file, &info);
    expect(found > 0, [&] { return root.field("episode_0") + ": missing"; });
    expect(static_cast<std::int64_t>(info.nlinks) == found, [&] {
        return root.field("episode_" + std::to_string(found)) + ": missing, though the file holds " +
               std::to_string(info.nlinks) + " groups";
    });
    expect(steps < 0 || steps == transitions.rows(), [&] {
        return path + ": " + std::to_string(transitions.rows()) + " steps, expected " + std::to_string(steps) +
               " as total_steps says";
    });
    return transitions;
}

template <class Real>
void write_d4rl(const Transitions<Real>& t, const std::string& path, const std::string& partial) {
    hdf5::Handle file = hdf5::create(partial);
    expect(file.valid(),
           [&] { return path + ": cannot be written, expected a folder that exists and may be written"; });
    auto numbers = [&](const char* name, const std::vector<Real>& values, std::int64_t width, int rank) {
        return hdf5::write(file, name, std::span<const Real>(values), t.rows(), width, rank);
    };
    bool written = numbers("observations", t.state, t.observation_size, 2) && numbers("rewards", t.reward, 1, 1) &&
                   numbers("next_observations", t.next_state, t.observation_size, 2) &&
                   hdf5::write_flags(file, "terminals", t.terminated) &&
                   hdf5::write_flags(file, "timeouts", t.truncated);
    if (t.action_count > 0) {
        std::vector<std::int64_t> actions(t.action.begin(), t.action.end());
        written = written && hdf5::write(file, "actions", std::span<const std::int64_t>(actions), t.rows(), 1, 1) &&
                  hdf5::write_attribute(file, "action_count", t.action_count);
    } else {
        written = written && numbers("actions", t.action, t.action_size, 2);
    }
    for (const auto& [name, value] : t.notes) written = written && hdf5::write_attribute(file, name, value);
    written = written && H5Fflush(file, H5F_SCOPE_GLOBAL) >= 0 && file.close();
    expect(written, [&] { return path + ": cannot be written: the disk is full or fails"; });
}

template <class Real>
void write_minari_file(const Transitions<Real>& t, const std::string& folder, const std::string& path) {
    hdf5::Handle file = hdf5::create(path);
    expect(file.valid(),
           [&] { return folder + ": cannot be written, expected a folder that exists and may be written"; });
    auto offsets = t.episodes();
    bool written = true;
    for (std::size_t e = 0; e + 1 < offsets.size() && written; ++e) {
        const std::int64_t begin = offsets[e], rows = offsets[e + 1] - begin;
        auto part = [&](const auto& column, std::int64_t width) {
            return std::span(column).subspan(static_cast<std::size_t>(begin * width),
                                             static_cast<std::size_t>(rows * width));
        };
        auto from = part(t.state, t.observation_size), to = part(t.next_state, t.observation_size);
        const auto width = static_cast<std::size_t>(t.observation_size);
        for (std::size_t k = width; k < from.size(); ++k)
            expect(from[k] == to[k - width], [&] {
                return folder + ": row " + std::to_string(begin + std::int64_t(k / width) - 1) +
                       ": its next state is not the state of the next row; Minari's files cannot hold this";
            });
        std::vector<Real> states(from.begin(), from.end());
        states.insert(states.end(), to.end() - std::ptrdiff_t(width), to.end());
        auto taken = part(t.action, t.action_size);
        auto gained = part(t.reward, 1);
        std::vector<double> rewards(gained.begin(), gained.end());
        hdf5::Handle group(
            H5Gcreate2(file, ("episode_" + std::to_string(e)).c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
            H5Gclose);
        written = group.valid() && hdf5::write_attribute(group, "id", static_cast<std::int64_t>(e)) &&
                  hdf5::write_attribute(group, "total_steps", rows) &&
                  hdf5::write(group, "observations", std::span<const Real>(states), rows + 1, t.observation_size) &&
                  hdf5::write(group, "rewards", std::span<const double>(rewards), rows, 1, 1) &&
                  hdf5::write_flags(group, "terminations", part(t.terminated, 1)) &&
                  hdf5::write_flags(group, "truncations", part(t.truncated, 1));
        if (t.action_count > 0) {
            std::vector<std::int64_t> actions(taken.begin(), taken.end());
            written = written && hdf5::write(group, "actions", std::span<const std::int64_t>(actions), rows, 1, 1);
        } else {
            written = written && hdf5::write(group, "actions", std::span<const Real>(taken), rows, t.action_size);
        }
    }
    written = written && H5Fflush(file, H5F_SCOPE_GLOBAL) >= 0 && file.close();
    expect(written, [&] { return folder + ": cannot be written: the disk is full or fails"; });
}

template <class Real>
void write_minari_metadata(const Transitions<Real>& t, const std::string& folder, const std::string& path) {
    constexpr const char* real = sizeof(Real) == 4 ? "float32" : "float64";
    // JSON knows no infinity, Python's does.
    auto box = [&](std::int64_t width) {
        auto list = [&](const char* bound) {
            std::string words;
            for (std::int64_t i = 0; i < width; ++i) words += (i > 0 ? ", " : "") + std::string(bound);
            return "[" + words + "]";
        };
        return std::string(R"({"type": "Box", "dtype": ")") + real + R"(", "shape": [)" + std::to_string(width) +
               R"(], "low": )" + list("-Infinity") + R"(, "high": )" + list("Infinity") + "}";
    };
    nlohmann::json json;
    for (const auto& [name, value] : t.notes) json[name] = value;
    json["data_format"] = "hdf5";
    json["minari_version"] = "0.5.0";  // of the layout
    json["total_steps"] = t.rows();
    json["total_episodes"] = t.episodes().size() - 1;
    json["observation_space"] = box(t.observation_size);
    json["action_space"] = t.action_count > 0 ? R"({"type": "Discrete", "dtype": "int64", "start": 0, "n": )" +
                                                    std::to_string(t.action_count) + "}"
                                              : box(t.action_size);
    if (!json.contains("dataset_id")) json["dataset_id"] = std::filesystem::path(folder).filename().string() + "-v0";
    std::ofstream out(path);
    out << json.dump(2) << '\n';
    out.close();
    expect(!out.fail(), [&] { return folder + ": cannot be written: the disk is full or fails"; });
}

#endif

}  // namespace detail

/// Reads a file as D4RL or Minari writes it, or a folder of Minari. A D4RL file without next_observations does not say
/// what came after a row that was cut: such rows are left out, and counted in rows_left_out.
/// Errors: no such file, one that is damaged or cut short, a field that is missing or of the wrong type, shape or size,
/// a number that is not finite, a flag or an action that is none. Nothing is returned then.
template <class Real = float>
Transitions<Real> load([[maybe_unused]] const std::string& path) {
#if defined(ROARS_HDF5)
    hdf5::Quiet quiet;
    std::string name = path;
    if (std::filesystem::is_directory(path)) {
        name = path + "/data/main_data.hdf5";
        if (!std::filesystem::exists(name)) name = path + "/main_data.hdf5";
        expect(std::filesystem::exists(name), [&] { return path + ": holds no data/main_data.hdf5"; });
    }
    expect(std::filesystem::exists(name), [&] { return path + ": no such file"; });
    hdf5::Handle file = hdf5::open(name);
    hdf5::Place root(file, name);
    const bool minari = std::filesystem::is_directory(path) || root.has("episode_0");
    auto transitions = minari ? detail::read_minari<Real>(file, name) : detail::read_d4rl<Real>(root);
    transitions.check(path);
    return transitions;
#else
    detail::no_hdf5(path);
#endif
}

/// Writes one D4RL file, next_observations included, with a checksum for every piece. A file of that name is replaced
/// when the new one is complete.
template <class Real>
void save([[maybe_unused]] const Transitions<Real>& transitions, [[maybe_unused]] const std::string& path) {
#if defined(ROARS_HDF5)
    hdf5::Quiet quiet;
    transitions.check(path);
    detail::write_beside(path, [&](const std::string& partial) { detail::write_d4rl(transitions, path, partial); });
#else
    detail::no_hdf5(path);
#endif
}

/// Writes a folder of Minari's. Errors: a folder that is there already, rows whose next state is not the next row's
/// state.
template <class Real>
void save_minari([[maybe_unused]] const Transitions<Real>& transitions, [[maybe_unused]] const std::string& folder) {
#if defined(ROARS_HDF5)
    hdf5::Quiet quiet;
    const std::string path = detail::plain(folder);
    transitions.check(path);
    expect(!std::filesystem::exists(path), [&] { return path + ": is there already"; });
    detail::write_beside(path, [&](const std::string& partial) {
        std::error_code error;
        std::filesystem::create_directories(partial + "/data", error);
        expect(!error, [&] { return path + ": cannot be written: " + error.message(); });
        detail::write_minari_file(transitions, path, partial + "/data/main_data.hdf5");
        detail::write_minari_metadata(transitions, path, partial + "/data/metadata.json");
    });
#else
    detail::no_hdf5(folder);
#endif
}

}  // namespace roars::data

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roars/actors/parameters.hpp"
#include "roars/error.hpp"
#include "roars/fields.hpp"

/// What a transformer of any device has in common: its settings, where each tensor lies in the flat buffer of the
/// parameters, the angles of its positions, and what it refuses.
namespace roars::actor {

struct TransformerSettings {
    std::int64_t vocabulary = 32;
    std::int64_t layers = 3;
    std::int64_t width = 96;
    std::int64_t heads = 4;
    std::int64_t hidden = 384;
    std::int64_t max_length = 128;
    bool value_head = false;
    double rotary_base = 10000;

    std::int64_t head_size() const { return width / heads; }
    double attention_scale() const { return 1 / std::sqrt(static_cast<double>(head_size())); }
    /// By which the pair (i, i + half) of every head's query and key is rotated at `position`.
    double angle(std::int64_t position, std::int64_t i) const {
        double exponent = static_cast<double>(i) / static_cast<double>(head_size() / 2);
        return static_cast<double>(position) * std::pow(rotary_base, -exponent);
    }
};
ROARS_FIELDS(TransformerSettings, vocabulary, layers, width, heads, hidden, max_length, value_head, rotary_base)

inline std::vector<std::pair<std::string, std::int64_t TransformerSettings::*>> whole_settings() {
    return {{"vocabulary", &TransformerSettings::vocabulary}, {"layers", &TransformerSettings::layers},
            {"width", &TransformerSettings::width},           {"heads", &TransformerSettings::heads},
            {"hidden", &TransformerSettings::hidden},         {"max_length", &TransformerSettings::max_length}};
}

/// The settings themselves. Errors: one is out of its range.
inline TransformerSettings validated(const TransformerSettings& settings) {
    for (const auto& [name, member] : whole_settings()) {
        std::int64_t value = settings.*member;
        const std::string& word = name;
        expect(value > 0 && value <= (std::int64_t{1} << 31), [&] {
            return "transformer settings: " + word + " is " + std::to_string(value) + ", expected a positive number";
        });
    }
    expect(settings.width % (2 * settings.heads) == 0, [&] {
        return "transformer settings: width " + std::to_string(settings.width) + " over " +
               std::to_string(settings.heads) + " heads, expected an even number of features a head";
    });
    expect(settings.rotary_base > 1, "transformer settings: rotary_base must be greater than 1");
    return settings;
}

/// Offsets of the tensors in the flat buffer. Query, key and value of a layer are neighbours: one matrix [3 width x
/// width].
struct TransformerPlaces {
    struct Layer {
        std::int64_t attention_norm, query, output, mlp_norm, up, down;
    };
    std::int64_t embedding = 0, final_norm = 0, value_weight = 0, value_bias = 0;
    std::vector<Layer> layers;
};

/// Appends a transformer's tensors, zeros, to `parameters`.
template <class Real>
TransformerPlaces add_transformer(Parameters<Real>& parameters, const TransformerSettings& settings) {
    std::int64_t width = settings.width, hidden = settings.hidden;
    TransformerPlaces places;
    places.embedding = parameters.add("embedding.weight", {settings.vocabulary, width});
    for (std::int64_t l = 0; l < settings.layers; ++l) {
        std::string layer = "layers." + std::to_string(l) + ".";
        TransformerPlaces::Layer place{};
        place.attention_norm = parameters.add(layer + "attention_norm.weight", {width});
        place.query = parameters.add(layer + "attention.query.weight", {width, width});
        parameters.add(layer + "attention.key.weight", {width, width});
        parameters.add(layer + "attention.value.weight", {width, width});
        place.output = parameters.add(layer + "attention.output.weight", {width, width});
        place.mlp_norm = parameters.add(layer + "mlp_norm.weight", {width});
        place.up = parameters.add(layer + "mlp.up.weight", {hidden, width});
        place.down = parameters.add(layer + "mlp.down.weight", {width, hidden});
        places.layers.push_back(place);
    }
    places.final_norm = parameters.add("norm.weight", {width});
    if (!settings.value_head) return places;
    places.value_weight = parameters.add("value.weight", {1, width});
    places.value_bias = parameters.add("value.bias", {1});
    return places;
}

/// Errors: offsets that do not cover the tokens, a sequence that is too long, a token outside the vocabulary.
inline void check_sequences(const TransformerSettings& settings, std::span<const std::int32_t> tokens,
                            std::span<const std::int64_t> offsets) {
    expect(!offsets.empty() && offsets.front() == 0 && offsets.back() == static_cast<std::int64_t>(tokens.size()), [&] {
        return "transformer: token_offsets must begin with 0 and end with the number of tokens, " +
               std::to_string(tokens.size());
    });
    for (std::size_t s = 0; s + 1 < offsets.size(); ++s)
        expect(offsets[s + 1] >= offsets[s] && offsets[s + 1] - offsets[s] <= settings.max_length, [&] {
            return "transformer: sequence " + std::to_string(s) + " has length " +
                   std::to_string(offsets[s + 1] - offsets[s]) +
                   ", expected 0 to max_length = " + std::to_string(settings.max_length);
        });
    for (std::size_t t = 0; t < tokens.size(); ++t)
        expect(tokens[t] >= 0 && tokens[t] < settings.vocabulary, [&] {
            return "transformer: token " + std::to_string(t) + " is " + std::to_string(tokens[t]) + ", expected 0 to " +
                   std::to_string(settings.vocabulary - 1);
        });
}
/// Errors: a row that is none of the tokens.
inline void check_rows(std::span<const std::int64_t> rows, std::int64_t tokens) {
    for (std::size_t i = 0; i < rows.size(); ++i)
        expect(rows[i] >= 0 && rows[i] < tokens, [&] {
            return "transformer: requested row " + std::to_string(i) + " is " + std::to_string(rows[i]) +
                   ", expected 0 to " + std::to_string(tokens - 1);
        });
}

/// The rollouts of a generation that go on: which they are and how long. Rollout r of prompt p is number p * copies +
/// r.
struct LiveRollouts {
    /// The token that ends a rollout: its row leaves the batch, and the work shrinks.
    static constexpr std::int32_t finished = -1;

    std::vector<std::int64_t> rollouts, lengths;
    std::vector<std::int32_t> next;  ///< the tokens that the last step appended
    std::int64_t limit = 0;          ///< tokens that a rollout can have

    std::int64_t live() const { return static_cast<std::int64_t>(rollouts.size()); }

    /// Errors: a prompt is empty, or too long for `new_tokens` more.
    void begin(const TransformerSettings& settings, std::span<const std::int64_t> prompt_offsets, std::int64_t copies,
               std::int64_t new_tokens) {
        rollouts.clear();
        lengths.clear();
        std::int64_t longest = 0;
        for (std::int64_t p = 0; p + 1 < std::ssize(prompt_offsets); ++p) {
            std::int64_t length = prompt_offsets[std::size_t(p) + 1] - prompt_offsets[std::size_t(p)];
            expect(length > 0,
                   [&] { return "generator: prompt " + std::to_string(p) + " is empty, expected a token"; });
            longest = std::max(longest, length);
            for (std::int64_t r = 0; r < copies; ++r) {
                rollouts.push_back(p * copies + r);
                lengths.push_back(length);
            }
        }
        expect(longest + new_tokens <= settings.max_length + 1, [&] {
            return "generator: a prompt of " + std::to_string(longest) + " tokens and " + std::to_string(new_tokens) +
                   " new ones, expected at most max_length + 1 = " + std::to_string(settings.max_length + 1);
        });
        limit = std::min(longest + std::max<std::int64_t>(new_tokens, 1), settings.max_length);
    }
    /// tokens[i] continues live row i, or is `finished`: those go. Errors: not a token for each row, one outside the
    /// vocabulary, a rollout without room.
    void keep(const TransformerSettings& settings, std::span<const std::int32_t> tokens) {
        expect(static_cast<std::int64_t>(tokens.size()) == live(), [&] {
            return "generator: " + std::to_string(tokens.size()) + " tokens, expected one for each of the " +
                   std::to_string(live()) + " live rows";
        });
        std::size_t kept = 0;
        next.clear();
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            if (tokens[i] == finished) continue;
            expect(tokens[i] >= 0 && tokens[i] < settings.vocabulary, [&] {
                return "generator: token of row " + std::to_string(i) + " is " + std::to_string(tokens[i]) +
                       ", expected 0 to " + std::to_string(settings.vocabulary - 1) + ", or finished";
            });
            expect(lengths[i] < limit, [&] {
                return "generator: rollout " + std::to_string(rollouts[i]) + " is full at " + std::to_string(limit) +
                       " tokens, expected it to be finished";
            });
            rollouts[kept] = rollouts[i];
            lengths[kept++] = lengths[i];
            next.push_back(tokens[i]);
        }
        rollouts.resize(kept);
        lengths.resize(kept);
    }
};

}  // namespace roars::actor

#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/critic/target_network.hpp"
#include "roars/fields.hpp"
#include "roars/networks/perceptron.hpp"
#include "roars/objective.hpp"
#include "roars/optimizer/step/adamw.hpp"

namespace roars::critic {

/// Hidden layers of relu units, all of one width.
struct NetworkSettings {
    std::int64_t width = 256;
    std::int64_t layers = 2;
    bool layer_norm = false;

    network::PerceptronSettings shape(std::int64_t inputs, std::int64_t outputs) const {
        network::PerceptronSettings shape{.widths = {inputs}, .layer_norm = layer_norm};
        shape.widths.insert(shape.widths.end(), static_cast<std::size_t>(layers), width);
        shape.widths.push_back(outputs);
        return shape;
    }
};
ROARS_FIELDS(NetworkSettings, width, layers, layer_norm)

/// Networks of one shape with their targets and moments, the State of a critic. The first batch says how wide they are.
/// Shapes: online, target [members x parameters], member by member.
template <class Real, class Network = network::Perceptron<Real>>
struct Ensemble {
    std::vector<std::int64_t> widths;
    std::vector<Real> online, target;
    step::AdamW::StateOf<Real> moments;

    ROARS_MEMBERS(Ensemble, widths, online, target, moments)

    /// Ready for rows of `inputs` numbers. `first` tells ensembles of one seed apart. Errors: another width than
    /// before.
    void open(const NetworkSettings& settings, std::int64_t members, std::int64_t inputs, std::int64_t outputs,
              std::uint64_t seed, std::uint32_t first) {
        open(members, inputs, seed, first, [&] { return Network(settings.shape(inputs, outputs)); });
    }
    /// The same of networks that `make()` makes.
    template <class Make>
    void open(std::int64_t members, std::int64_t inputs, std::uint64_t seed, std::uint32_t first, Make&& make) {
        if (!networks_.empty() && inputs == networks_.front().inputs()) return;
        const Network one = make();
        expect(widths.empty() || widths == one.widths(), [&] {
            return "critic: rows of " + std::to_string(inputs) + " numbers, expected " + std::to_string(widths.front());
        });
        networks_.clear();
        for (std::int64_t k = 0; k < members; ++k) networks_.push_back(make());
        const std::int64_t count = one.parameters();
        if (widths.empty()) {
            widths = one.widths();
            online.resize(static_cast<std::size_t>(members * count));
            for (std::int64_t k = 0; k < members; ++k)
                one.initialise(part(std::span(online), k), seed, first + static_cast<std::uint32_t>(k));
            target = online;
        }
        expect(std::ssize(online) == members * count && online.size() == target.size(), [&] {
            return "critic: " + std::to_string(online.size()) + " parameters, expected " +
                   std::to_string(members * count);
        });
        gradients_.resize(online.size());
    }

    std::int64_t members() const { return std::ssize(networks_); }

    /// Valid until the next forward of this member.
    std::span<Real> forward(std::int64_t member, std::span<const Real> rows) {
        return of(member).forward(part(std::span<const Real>(online), member), rows);
    }
    std::span<Real> forward_target(std::int64_t member, std::span<const Real> rows) {
        return of(member).forward(part(std::span<const Real>(target), member), rows);
    }
    /// Adds to the gradients, of the last forward.
    void backward(std::int64_t member, std::span<const Real> grad_outputs) {
        of(member).backward(part(std::span<const Real>(online), member), grad_outputs,
                            part(std::span<Real>(gradients_), member));
    }
    void backward_inputs(std::int64_t member, std::span<const Real> grad_outputs, std::span<Real> grad_inputs) {
        of(member).backward_inputs(part(std::span<const Real>(online), member), grad_outputs, grad_inputs);
    }
    void zero_gradients() { std::fill(gradients_.begin(), gradients_.end(), Real(0)); }
    /// Every element within +-bound.
    void hold_gradients(Real bound) {
        for (Real& each : gradients_) each = std::clamp(each, -bound, bound);
    }
    void step(const step::AdamW& rule) { rule.step(moments, std::span<Real>(online), std::span<Real>(gradients_)); }
    void follow(backend::Host& backend, const Polyak& polyak) {
        polyak.follow(backend, std::span<const Real>(online), std::span<Real>(target));
    }

private:
    Network& of(std::int64_t member) { return networks_[static_cast<std::size_t>(member)]; }
    template <class Values>
    Values part(Values all, std::int64_t member) const {
        auto count = static_cast<std::size_t>(networks_.front().parameters());
        return all.subspan(static_cast<std::size_t>(member) * count, count);
    }

    std::vector<Network> networks_;
    std::vector<Real> gradients_;
};

/// Rows [left | right] in `joined`, whose memory is kept. Shapes: left [rows x left_width], right [rows x right_width].
template <class Real>
std::span<const Real> join_rows(std::span<const Real> left, std::int64_t left_width, std::span<const Real> right,
                                std::int64_t right_width, std::vector<Real>& joined) {
    const std::int64_t rows = left_width > 0 ? std::ssize(left) / left_width : 0;
    joined.resize(static_cast<std::size_t>(rows * (left_width + right_width)));
    auto to = joined.begin();
    for (std::int64_t r = 0; r < rows; ++r) {
        to = std::copy_n(left.begin() + r * left_width, left_width, to);
        to = std::copy_n(right.begin() + r * right_width, right_width, to);
    }
    return joined;
}

/// A column of `rows` becomes these values, rows of `width` each.
template <class RowsType, class Column, class Values>
void put_rows(RowsType& rows, Column column, const Values& values, std::int64_t width) {
    rows.set_width(column, width);
    std::copy(values.begin(), values.end(), rows[column].begin());
}
/// As many rows as the batch has tokens, one sequence, of which those count that count there.
template <class BatchType, class RowsType>
void put_mask(const BatchType& batch, RowsType& rows) {
    const std::array<std::int64_t, 2> whole{0, batch.tokens()};
    rows.reshape(whole);
    for (std::int64_t i = 0; i < batch.tokens(); ++i)
        rows[col::mask{}][static_cast<std::size_t>(i)] =
            static_cast<typename RowsType::Real>(roars::detail::trainable<col::mask>(batch, i));
}

/// Every row `times` times, side by side in `repeated`, whose memory is kept; once: the rows themselves. Shapes: rows
/// [rows x width] -> [rows x times x width].
template <class Real>
std::span<const Real> repeat_rows(std::span<const Real> rows, std::int64_t width, std::int64_t times,
                                  std::vector<Real>& repeated) {
    if (times == 1) return rows;
    repeated.resize(rows.size() * static_cast<std::size_t>(times));
    auto to = repeated.begin();
    for (auto row = rows.begin(); row != rows.end(); row += width)
        for (std::int64_t k = 0; k < times; ++k) to = std::copy_n(row, width, to);
    return repeated;
}

}  // namespace roars::critic

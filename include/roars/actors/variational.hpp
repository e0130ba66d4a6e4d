#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/actors/mlp.hpp"

namespace roars::actor {

struct VariationalSettings {
    std::int64_t state_width = 1;
    std::int64_t action_width = 1;
    std::int64_t code_width = 0;  ///< 0: twice the action's
    std::vector<std::int64_t> hidden{750, 750};
    double bound = 1.0;  ///< actions are in [-bound, bound]
    /// Of ln deviation, before exp.
    double least_log_deviation = -4.0;
    double largest_log_deviation = 15.0;
};

/// A conditional variational autoencoder of actions: an encoder (state, action) -> mean, ln deviation of a code; code =
/// mean + deviation * noise; a decoder (state, code) -> bound * tanh. Nothing is drawn here: noise comes from outside.
/// Shapes: state [rows, state_width], action [rows, action_width], noise and code [rows, code_width], row by row.
/// Sources: arXiv 1312.6114; for actions of a state BCQ, arXiv 1812.02900.
template <class Real = float>
class Variational {
public:
    explicit Variational(VariationalSettings settings, std::uint64_t seed = 0)
        : settings_(with_code(std::move(settings))),
          encoder_(
              layers(settings_.state_width + settings_.action_width, 2 * settings_.code_width, Activation::identity),
              seed),
          decoder_(layers(settings_.state_width + settings_.code_width, settings_.action_width, Activation::tanh),
                   seed + 1) {}

    const VariationalSettings& settings() const { return settings_; }
    Mlp<Real>& encoder() { return encoder_; }
    Mlp<Real>& decoder() { return decoder_; }

    // Of the last forward.
    std::span<const Real> mean() const { return mean_; }
    std::span<const Real> deviation() const { return deviation_; }
    std::span<const Real> reconstruction() const { return reconstruction_; }

    void forward(std::span<const Real> state, std::span<const Real> action, std::span<const Real> noise) {
        std::size_t rows = rows_of(state);
        check("action", action, rows, settings_.action_width);
        check("noise", noise, rows, settings_.code_width);
        auto code_width = static_cast<std::size_t>(settings_.code_width);
        std::span<const Real> encoded = encoder_.forward(side_by_side(state, action, rows));
        encoded_.assign(encoded.begin(), encoded.end());
        noise_.assign(noise.begin(), noise.end());
        mean_.resize(noise.size()), deviation_.resize(noise.size()), code_.resize(noise.size());
        for (std::size_t i = 0; i < rows; ++i)
            for (std::size_t j = 0; j < code_width; ++j) {
                std::size_t at = i * code_width + j;
                mean_[at] = encoded_[2 * i * code_width + j];
                deviation_[at] = std::exp(held(encoded_[(2 * i + 1) * code_width + j]));
                code_[at] = mean_[at] + deviation_[at] * noise[at];
            }
        std::span<const Real> made = decode(state, code_);
        reconstruction_.assign(made.begin(), made.end());
    }

    /// Actions of given codes, e.g. of normal noise held within +-0.5. Valid until the next call.
    std::span<const Real> decode(std::span<const Real> state, std::span<const Real> code) {
        std::size_t rows = rows_of(state);
        check("code", code, rows, settings_.code_width);
        std::span<const Real> made = decoder_.forward(side_by_side(state, code, rows));
        decoded_.resize(made.size());
        for (std::size_t i = 0; i < made.size(); ++i) decoded_[i] = static_cast<Real>(settings_.bound) * made[i];
        return decoded_;
    }

    /// Adds to both networks' gradients, from d loss / d reconstruction, mean and deviation of the last forward.
    void backward(std::span<const Real> grad_reconstruction, std::span<const Real> grad_mean,
                  std::span<const Real> grad_deviation) {
        auto code_width = static_cast<std::size_t>(settings_.code_width),
             state_width = static_cast<std::size_t>(settings_.state_width);
        std::size_t rows = mean_.size() / code_width, input = state_width + code_width;
        check("grad_reconstruction", grad_reconstruction, rows, settings_.action_width);
        check("grad_mean", grad_mean, rows, settings_.code_width);
        check("grad_deviation", grad_deviation, rows, settings_.code_width);
        std::vector<Real> by_output(grad_reconstruction.begin(), grad_reconstruction.end()), by_input(rows * input);
        for (Real& each : by_output) each *= static_cast<Real>(settings_.bound);
        decoder_.backward(by_output, by_input);
        std::vector<Real> by_encoded(2 * rows * code_width);
        for (std::size_t i = 0; i < rows; ++i)
            for (std::size_t j = 0; j < code_width; ++j) {
                std::size_t at = i * code_width + j, log_deviation = (2 * i + 1) * code_width + j;
                Real by_code = by_input[i * input + state_width + j];
                by_encoded[2 * i * code_width + j] = grad_mean[at] + by_code;
                bool inside = held(encoded_[log_deviation]) == encoded_[log_deviation];
                by_encoded[log_deviation] =
                    inside ? (grad_deviation[at] + by_code * noise_[at]) * deviation_[at] : Real(0);
            }
        encoder_.backward(by_encoded);
    }

private:
    static VariationalSettings with_code(VariationalSettings settings) {
        if (settings.code_width == 0) settings.code_width = 2 * settings.action_width;
        return settings;
    }
    MlpSettings layers(std::int64_t inputs, std::int64_t outputs, Activation output) const {
        MlpSettings mlp;
        mlp.widths = {inputs};
        mlp.widths.insert(mlp.widths.end(), settings_.hidden.begin(), settings_.hidden.end());
        mlp.widths.push_back(outputs);
        mlp.output = output;
        return mlp;
    }
    Real held(Real log_deviation) const {
        return std::clamp(log_deviation, static_cast<Real>(settings_.least_log_deviation),
                          static_cast<Real>(settings_.largest_log_deviation));
    }
    std::size_t rows_of(std::span<const Real> state) const {
        expect(std::ssize(state) % settings_.state_width == 0, [&] {
            return "variational model: " + std::to_string(state.size()) + " numbers of states, expected rows of " +
                   std::to_string(settings_.state_width);
        });
        return state.size() / static_cast<std::size_t>(settings_.state_width);
    }
    static void check(const char* what, std::span<const Real> values, std::size_t rows, std::int64_t width) {
        expect(values.size() == rows * static_cast<std::size_t>(width), [&] {
            return std::string("variational model: ") + what + " has " + std::to_string(values.size()) +
                   " numbers, expected " + std::to_string(rows) + " rows of " + std::to_string(width);
        });
    }
    std::span<const Real> side_by_side(std::span<const Real> left, std::span<const Real> right, std::size_t rows) {
        joint_.clear();
        std::size_t of_left = rows ? left.size() / rows : 0, of_right = rows ? right.size() / rows : 0;
        for (std::size_t i = 0; i < rows; ++i) {
            joint_.insert(joint_.end(), left.begin() + std::ptrdiff_t(i * of_left),
                          left.begin() + std::ptrdiff_t((i + 1) * of_left));
            joint_.insert(joint_.end(), right.begin() + std::ptrdiff_t(i * of_right),
                          right.begin() + std::ptrdiff_t((i + 1) * of_right));
        }
        return joint_;
    }

    VariationalSettings settings_;
    Mlp<Real> encoder_, decoder_;
    std::vector<Real> joint_, encoded_, noise_, mean_, deviation_, code_, decoded_, reconstruction_;
};

}  // namespace roars::actor

#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/networks/perceptron.hpp"

namespace roars::network {

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
/// mean + deviation * noise; a decoder (state, code) -> bound * tanh. Nothing is drawn here, and the parameters (the
/// encoder's, then the decoder's) are handed to each call, as to a Perceptron.
/// Shapes: state [rows, state_width], action [rows, action_width], noise and code [rows, code_width], row by row.
/// Sources: arXiv 1312.6114; for actions of a state BCQ, arXiv 1812.02900.
template <class Real>
class Variational {
public:
    Variational() = default;
    explicit Variational(VariationalSettings settings)
        : settings_(with_code(std::move(settings))),
          encoder_(
              layers(settings_.state_width + settings_.action_width, 2 * settings_.code_width, Activation::identity)),
          decoder_(layers(settings_.state_width + settings_.code_width, settings_.action_width, Activation::tanh)) {}

    const VariationalSettings& settings() const { return settings_; }
    std::int64_t parameters() const { return encoder_.parameters() + decoder_.parameters(); }
    void initialise(std::span<Real> values, std::uint64_t seed, std::uint32_t which = 0) const {
        check_parameters(values.size());
        encoder_.initialise(values.first(of_encoder()), seed, which);
        decoder_.initialise(values.subspan(of_encoder()), seed, which + 1);
    }

    // Of the last forward.
    std::span<const Real> mean() const { return mean_; }
    std::span<const Real> deviation() const { return deviation_; }
    std::span<const Real> reconstruction() const { return reconstruction_; }

    void forward(std::span<const Real> values, std::span<const Real> state, std::span<const Real> action,
                 std::span<const Real> noise) {
        check_parameters(values.size());
        std::size_t rows = rows_of(state), code = static_cast<std::size_t>(settings_.code_width);
        check("action", action, rows, settings_.action_width);
        check("noise", noise, rows, settings_.code_width);
        std::span<const Real> encoded = encoder_.forward(values.first(of_encoder()), side_by_side(state, action, rows));
        encoded_.assign(encoded.begin(), encoded.end());
        noise_.assign(noise.begin(), noise.end());
        mean_.resize(noise.size()), deviation_.resize(noise.size()), code_.resize(noise.size());
        for (std::size_t i = 0; i < rows; ++i)
            for (std::size_t j = 0; j < code; ++j) {
                std::size_t at = i * code + j;
                mean_[at] = encoded_[2 * i * code + j];
                deviation_[at] = std::exp(held(encoded_[(2 * i + 1) * code + j]));
                code_[at] = mean_[at] + deviation_[at] * noise_[at];
            }
        std::span<const Real> made = decode(values, state, code_);
        reconstruction_.assign(made.begin(), made.end());
    }

    /// Actions of given codes, e.g. of normal noise held within +-0.5. Valid until the next call.
    std::span<const Real> decode(std::span<const Real> values, std::span<const Real> state,
                                 std::span<const Real> code) {
        check_parameters(values.size());
        std::size_t rows = rows_of(state);
        check("code", code, rows, settings_.code_width);
        std::span<const Real> made = decoder_.forward(values.subspan(of_encoder()), side_by_side(state, code, rows));
        decoded_.resize(made.size());
        for (std::size_t i = 0; i < made.size(); ++i) decoded_[i] = static_cast<Real>(settings_.bound) * made[i];
        return decoded_;
    }

    /// d loss / d code from d loss / d (the last decode's actions), for a policy that chooses the code (PLAS, arXiv
    /// 2011.07213); the parameters are constants, those of that decode.
    void backward_code(std::span<const Real> values, std::span<const Real> grad_actions, std::span<Real> grad_code) {
        check_parameters(values.size());
        auto code = static_cast<std::size_t>(settings_.code_width),
             state = static_cast<std::size_t>(settings_.state_width);
        std::size_t rows = grad_code.size() / code;
        check("grad_actions", grad_actions, rows, settings_.action_width);
        check("grad_code", grad_code, rows, settings_.code_width);
        by_output_.assign(grad_actions.begin(), grad_actions.end());
        for (Real& each : by_output_) each *= static_cast<Real>(settings_.bound);
        by_input_.resize(rows * (state + code));
        decoder_.backward_inputs(values.subspan(of_encoder()), by_output_, by_input_);
        for (std::size_t i = 0; i < rows; ++i)
            std::copy_n(by_input_.begin() + std::ptrdiff_t(i * (state + code) + state), code,
                        grad_code.begin() + std::ptrdiff_t(i * code));
    }

    /// Adds d loss / d parameters to `gradients`, from d loss / d reconstruction, mean and deviation of the last
    /// forward, which had the same `values` and was followed by no decode.
    void backward(std::span<const Real> values, std::span<const Real> grad_reconstruction,
                  std::span<const Real> grad_mean, std::span<const Real> grad_deviation, std::span<Real> gradients) {
        check_parameters(values.size());
        check_parameters(gradients.size());
        std::size_t code = static_cast<std::size_t>(settings_.code_width),
                    state = static_cast<std::size_t>(settings_.state_width), rows = mean_.size() / code,
                    input = state + code;
        check("grad_reconstruction", grad_reconstruction, rows, settings_.action_width);
        check("grad_mean", grad_mean, rows, settings_.code_width);
        check("grad_deviation", grad_deviation, rows, settings_.code_width);
        by_output_.assign(grad_reconstruction.begin(), grad_reconstruction.end());
        for (Real& each : by_output_) each *= static_cast<Real>(settings_.bound);
        by_input_.resize(rows * input);
        by_encoded_.resize(2 * rows * code);
        decoder_.backward(values.subspan(of_encoder()), by_output_, gradients.subspan(of_encoder()), by_input_);
        for (std::size_t i = 0; i < rows; ++i)
            for (std::size_t j = 0; j < code; ++j) {
                std::size_t at = i * code + j, log_deviation = (2 * i + 1) * code + j;
                Real by_code = by_input_[i * input + state + j];
                by_encoded_[2 * i * code + j] = grad_mean[at] + by_code;
                bool inside = held(encoded_[log_deviation]) == encoded_[log_deviation];
                by_encoded_[log_deviation] =
                    inside ? (grad_deviation[at] + by_code * noise_[at]) * deviation_[at] : Real(0);
            }
        encoder_.backward(values.first(of_encoder()), by_encoded_, gradients.first(of_encoder()));
    }

private:
    static VariationalSettings with_code(VariationalSettings settings) {
        if (settings.code_width == 0) settings.code_width = 2 * settings.action_width;
        return settings;
    }
    PerceptronSettings layers(std::int64_t inputs, std::int64_t outputs, Activation output) const {
        PerceptronSettings perceptron;
        perceptron.widths = {inputs};
        perceptron.widths.insert(perceptron.widths.end(), settings_.hidden.begin(), settings_.hidden.end());
        perceptron.widths.push_back(outputs);
        perceptron.output = output;
        return perceptron;
    }
    std::size_t of_encoder() const { return static_cast<std::size_t>(encoder_.parameters()); }
    void check_parameters(std::size_t given) const {
        expect(static_cast<std::int64_t>(given) == parameters(), [&] {
            return "variational model: " + std::to_string(given) + " parameters, expected " +
                   std::to_string(parameters());
        });
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
        joint_.resize(left.size() + right.size());
        std::size_t of_left = rows ? left.size() / rows : 0, of_right = rows ? right.size() / rows : 0;
        for (std::size_t i = 0; i < rows; ++i) {
            auto to = std::copy_n(left.begin() + std::ptrdiff_t(i * of_left), of_left,
                                  joint_.begin() + std::ptrdiff_t(i * (of_left + of_right)));
            std::copy_n(right.begin() + std::ptrdiff_t(i * of_right), of_right, to);
        }
        return joint_;
    }

    VariationalSettings settings_;
    Perceptron<Real> encoder_, decoder_;
    std::vector<Real> joint_, encoded_, noise_, mean_, deviation_, code_, decoded_, reconstruction_, by_output_,
        by_input_, by_encoded_;
};

}  // namespace roars::network

#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "roars/networks/perceptron.hpp"

namespace roars::network {

struct ImplicitQuantilesSettings {
    std::int64_t inputs = 1;
    std::int64_t outputs = 1;  ///< actions
    std::vector<std::int64_t> hidden{256, 256};
    std::int64_t cosines = 64;
    Activation activation = Activation::relu;
};

/// The quantile function of a return as a network: its value at any fraction tau in (0, 1), for every action,
///     q_tau(x) = f(psi(x) * phi(tau)),   phi(tau)_k = relu(sum_j cos(pi j tau) W_jk + b_k), j = 0, 1, ...,
/// psi the hidden layers, * by element, f the last, linear layer. The parameters (psi's, phi's, f's) are handed to each
/// call, as to a Perceptron. Shapes: input [rows x inputs]; tau [rows x fractions], any number of fractions; values
/// [rows x fractions x outputs]. Source: IQN, arXiv 1806.06923, eq. 4.
template <class Real>
class ImplicitQuantiles {
public:
    ImplicitQuantiles() = default;
    explicit ImplicitQuantiles(ImplicitQuantilesSettings settings)
        : settings_(std::move(settings)),
          state_(layers(settings_.inputs, settings_.hidden, settings_.activation)),
          fraction_(layers(settings_.cosines, {width()}, Activation::relu)),
          head_(layers(width(), {settings_.outputs}, Activation::identity)) {}

    const ImplicitQuantilesSettings& settings() const { return settings_; }
    std::int64_t parameters() const { return state_.parameters() + fraction_.parameters() + head_.parameters(); }
    void initialise(std::span<Real> values, std::uint64_t seed, std::uint32_t which = 0) const {
        check_parameters(values.size());
        state_.initialise(of_state(values), seed, which);
        fraction_.initialise(of_fraction(values), seed, which + 1);
        head_.initialise(of_head(values), seed, which + 2);
    }

    /// Valid until the next forward.
    std::span<const Real> forward(std::span<const Real> values, std::span<const Real> input,
                                  std::span<const Real> tau) {
        check_parameters(values.size());
        std::span<const Real> psi = state_.forward(of_state(values), input);
        psi_.assign(psi.begin(), psi.end());
        const std::size_t wide = std::size_t(width()), rows = psi_.size() / wide;
        expect(rows > 0 ? tau.size() % rows == 0 : tau.empty(), [&] {
            return "implicit quantiles: " + std::to_string(tau.size()) + " fractions for " + std::to_string(rows) +
                   " rows, expected as many for each";
        });
        fractions_ = rows > 0 ? tau.size() / rows : 0;
        const auto cosines = std::size_t(settings_.cosines);
        features_.resize(tau.size() * cosines);
        for (std::size_t i = 0; i < tau.size(); ++i)
            for (std::size_t j = 0; j < cosines; ++j)
                features_[i * cosines + j] =
                    static_cast<Real>(std::cos(3.14159265358979323846 * double(j) * double(tau[i])));
        std::span<const Real> phi = fraction_.forward(of_fraction(values), features_);
        phi_.assign(phi.begin(), phi.end());
        mixed_.resize(phi_.size());
        for (std::size_t i = 0; i < tau.size(); ++i)
            for (std::size_t k = 0; k < wide; ++k)
                mixed_[i * wide + k] = psi_[i / fractions_ * wide + k] * phi_[i * wide + k];
        return head_.forward(of_head(values), mixed_);
    }

    /// Adds d loss / d parameters to `gradients`, for the last forward, which had the same `values`.
    void backward(std::span<const Real> values, std::span<const Real> grad_values, std::span<Real> gradients) {
        check_parameters(values.size());
        check_parameters(gradients.size());
        const auto wide = std::size_t(width());
        grad_mixed_.resize(mixed_.size());
        head_.backward(of_head(values), grad_values, of_head(gradients), grad_mixed_);
        grad_psi_.assign(psi_.size(), Real(0));
        for (std::size_t i = 0; i * wide < mixed_.size(); ++i)
            for (std::size_t k = 0; k < wide; ++k) {
                const std::size_t own = i * wide + k, row = i / fractions_ * wide + k;
                grad_psi_[row] += grad_mixed_[own] * phi_[own];
                grad_mixed_[own] *= psi_[row];
            }
        fraction_.backward(of_fraction(values), grad_mixed_, of_fraction(gradients));
        state_.backward(of_state(values), grad_psi_, of_state(gradients));
    }

private:
    static PerceptronSettings layers(std::int64_t inputs, const std::vector<std::int64_t>& behind, Activation last) {
        PerceptronSettings settings{.widths = {inputs}, .activation = last, .output = last};
        settings.widths.insert(settings.widths.end(), behind.begin(), behind.end());
        return settings;
    }
    std::int64_t width() const {
        expect(!settings_.hidden.empty(), "implicit quantiles: no hidden layer, expected one or more");
        return settings_.hidden.back();
    }
    template <class Any>
    std::span<Any> of_state(std::span<Any> all) const {
        return all.first(std::size_t(state_.parameters()));
    }
    template <class Any>
    std::span<Any> of_fraction(std::span<Any> all) const {
        return all.subspan(std::size_t(state_.parameters()), std::size_t(fraction_.parameters()));
    }
    template <class Any>
    std::span<Any> of_head(std::span<Any> all) const {
        return all.last(std::size_t(head_.parameters()));
    }
    void check_parameters(std::size_t given) const {
        expect(std::int64_t(given) == parameters(), [&] {
            return "implicit quantiles: " + std::to_string(given) + " parameters, expected " +
                   std::to_string(parameters());
        });
    }

    ImplicitQuantilesSettings settings_;
    Perceptron<Real> state_, fraction_, head_;
    std::size_t fractions_ = 0;
    std::vector<Real> psi_, phi_, features_, mixed_, grad_mixed_, grad_psi_;
};

}  // namespace roars::network

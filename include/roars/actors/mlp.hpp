#pragma once

#include <cstdint>
#include <span>
#include <utility>

#include "roars/actors/parameters.hpp"
#include "roars/networks/perceptron.hpp"

namespace roars::actor {

using network::Activation;
using MlpSettings = network::PerceptronSettings;

/// A perceptron that owns its parameters: logits of a categorical policy, actions, values. Shapes: inputs [rows x
/// inputs], outputs [rows x outputs], row by row. A value: a copy is a frozen network. See network::Perceptron.
template <class Real = float>
class Mlp {
public:
    explicit Mlp(MlpSettings settings, std::uint64_t seed = 0, std::uint32_t which = 0)
        : network_(std::move(settings)) {
        for (const network::Tensor& tensor : network_.tensors()) parameters_.add(tensor.name, tensor.shape);
        network_.initialise(parameters_.values(), seed, which);
    }

    const MlpSettings& settings() const { return network_.settings(); }
    std::int64_t inputs() const { return network_.inputs(); }
    std::int64_t outputs() const { return network_.outputs(); }
    Parameters<Real>& parameters() { return parameters_; }
    const Parameters<Real>& parameters() const { return parameters_; }
    Mlp snapshot() const { return *this; }

    /// Valid until the next forward; a loss may write its gradient in place. Activations are kept for backward.
    std::span<Real> forward(std::span<const Real> batch) {
        return network_.forward(std::as_const(parameters_).values(), batch);
    }
    /// Adds d loss/d parameters to parameters().gradients(), for the last forward. Where grad_inputs [rows x inputs] is
    /// given, it receives d loss/d inputs.
    void backward(std::span<const Real> grad_outputs, std::span<Real> grad_inputs = {}) {
        network_.backward(std::as_const(parameters_).values(), grad_outputs, parameters_.gradients(), grad_inputs);
    }
    /// d loss/d inputs alone; the parameters' gradients stay as they are: dQ/da of a critic, for its actor.
    void backward_inputs(std::span<const Real> grad_outputs, std::span<Real> grad_inputs) {
        network_.backward_inputs(std::as_const(parameters_).values(), grad_outputs, grad_inputs);
    }

private:
    network::Perceptron<Real> network_;
    Parameters<Real> parameters_;
};

}  // namespace roars::actor

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/actors/parameters.hpp"
#include "roars/actors/tensors.hpp"
#include "roars/networks/perceptron.hpp"
#include "roars/sampler/standardise.hpp"

namespace roars::train {

/// What a checkpoint says of its policy, so that it can act without the method that trained it: the network, and how an
/// action is read from its outputs. The first `actions` of them are the action, in [-1, 1], or its atanh.
struct SavedShape {
    network::PerceptronSettings network{};
    std::int64_t actions = 0;
    bool squashed = false;

    void write(Tensors& file) const {
        file.put<std::int64_t>(widths_name, {std::ssize(network.widths)}, network.widths);
        const std::array<std::int64_t, 5> rest{std::int64_t(network.activation), std::int64_t(network.output),
                                               network.layer_norm, actions, squashed};
        file.put<std::int64_t>(rest_name, {std::ssize(rest)}, rest);
    }
    /// Errors: a file that says nothing of a policy.
    static SavedShape read(const Tensors& file, const std::string& path) {
        expect(file.contains(widths_name), [&] {
            return path + ": holds no policy that acts by itself, expected a checkpoint of a control method's run";
        });
        SavedShape shape;
        shape.network.widths.resize(file.find(widths_name).bytes.size() / sizeof(std::int64_t));
        file.get<std::int64_t>(widths_name, {std::ssize(shape.network.widths)},
                               std::span<std::int64_t>(shape.network.widths));
        std::array<std::int64_t, 5> rest{};
        file.get<std::int64_t>(rest_name, {std::ssize(rest)}, std::span<std::int64_t>(rest));
        shape.network.activation = network::Activation(rest[0]);
        shape.network.output = network::Activation(rest[1]);
        shape.network.layer_norm = rest[2] != 0;
        shape.actions = rest[3];
        shape.squashed = rest[4] != 0;
        return shape;
    }

private:
    static constexpr const char* widths_name = "policy_shape.widths";
    static constexpr const char* rest_name = "policy_shape.rest";  ///< activations, layer norm, actions, squashed
};

/// The tensors of a network, under prefix + name; behind what is there.
template <class Real, class Network>
void add_network(actor::Parameters<Real>& parameters, const Network& network, const std::string& prefix) {
    for (const network::Tensor& tensor : network.tensors()) parameters.add(prefix + tensor.name, tensor.shape);
}

/// How states were standardised: nothing where they were not.
inline void write_moments(Tensors& file, const sampler::StateMoments& moments) {
    if (moments.mean.empty()) return;
    file.put<double>("state_mean", {std::ssize(moments.mean)}, moments.mean);
    file.put<double>("state_spread", {std::ssize(moments.spread)}, moments.spread);
}
inline void read_moments(const Tensors& file, std::int64_t observation_size, sampler::StateMoments& moments) {
    if (!file.contains("state_mean")) return;
    for (auto* each : {&moments.mean, &moments.spread}) each->resize(static_cast<std::size_t>(observation_size));
    file.get<double>("state_mean", {observation_size}, std::span<double>(moments.mean));
    file.get<double>("state_spread", {observation_size}, std::span<double>(moments.spread));
}

}  // namespace roars::train

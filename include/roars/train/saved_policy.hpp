#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roars/actors/safetensors.hpp"
#include "roars/critic/ensemble.hpp"
#include "roars/networks/perceptron.hpp"
#include "roars/sampler/standardise.hpp"
#include "roars/train/saved_shape.hpp"

/// Policies of finished runs, for those who want to know nothing but what they do.
namespace roars::train {

/// The policy of a run, and its first critic, if it has critics of actions.
class SavedPolicy {
public:
    /// `path`: a checkpoint, or the folder of a run. Errors: a file that is none, or holds no policy.
    explicit SavedPolicy(const std::string& path) : SavedPolicy(checkpoint_of(path), 0) {}

    std::int64_t observation_size() const { return shape_.network.widths.front(); }
    std::int64_t action_size() const { return shape_.actions; }
    bool has_critic() const { return !critic_values_.empty(); }

    /// Its action without exploration, in [-1, 1], for an observation in the world's own units.
    void act(std::span<const double> seen, std::span<double> action) {
        auto out = policy_.forward(parameters_.values(), state_of(seen));
        for (std::size_t j = 0; j < action.size(); ++j) {
            const double said = double(out[j]);
            action[j] = std::clamp(shape_.squashed ? std::tanh(said) : said, -1.0, 1.0);
        }
    }
    /// Q(s, a) of the first critic at its own action.
    double value(std::span<const double> seen) {
        std::vector<double> action(static_cast<std::size_t>(shape_.actions));
        act(seen, action);
        state_.insert(state_.end(), action.begin(), action.end());
        return double(critic_.forward(critic_values_, state_)[0]);
    }
    /// Errors: a world of other sizes.
    void check_fits(std::int64_t observation, std::int64_t action) const {
        expect(observation == observation_size() && action == action_size(), [&] {
            return path_ + ": a policy for observations of " + std::to_string(observation_size()) + " and actions of " +
                   std::to_string(action_size()) + " numbers, expected " + std::to_string(observation) + " and " +
                   std::to_string(action);
        });
    }

private:
    SavedPolicy(const std::string& path, int) : path_(path) {
        const auto file = SafeTensors::load(path);
        shape_ = SavedShape::read(file, path);
        policy_ = network::Perceptron<float>(shape_.network);
        expect(shape_.actions > 0 && shape_.actions <= policy_.outputs(), [&] {
            return path + ": an action of " + std::to_string(shape_.actions) + " numbers of a network's " +
                   std::to_string(policy_.outputs());
        });
        add_network(parameters_, policy_, "policy.");
        parameters_.read(file);
        read_moments(file, observation_size(), moments_);
        read_critic(file);
    }
    static std::string checkpoint_of(const std::string& path) {
        return std::filesystem::is_directory(path) ? (std::filesystem::path(path) / "checkpoint.safetensors").string()
                                                   : path;
    }
    /// Of the last stage, where a method has several. Its networks are of one shape, with layer norm or without: as
    /// many parameters as there are say which.
    void read_critic(const Tensors& file) {
        const std::string end = "advantage.networks.widths";
        for (const auto& [name, tensor] : file.tensors()) {
            if (!name.ends_with(end)) continue;
            const std::string networks = name.substr(0, name.size() - std::string("widths").size());
            network::PerceptronSettings shape;
            shape.widths.resize(static_cast<std::size_t>(tensor.shape.at(0)));
            file.get<std::int64_t>(name, tensor.shape, std::span<std::int64_t>(shape.widths));
            std::vector<float> online(static_cast<std::size_t>(file.find(networks + "online").shape.at(0)));
            file.get<float>(networks + "online", {std::ssize(online)}, std::span<float>(online));
            if (shape.widths.empty() || shape.widths.front() != observation_size() + action_size()) continue;
            for (bool layer_norm : {false, true}) {
                shape.layer_norm = layer_norm;
                network::Perceptron<float> fits(shape);
                if (std::ssize(online) % fits.parameters() != 0) continue;
                critic_ = fits;
                critic_values_.assign(online.begin(), online.begin() + fits.parameters());
                break;
            }
        }
    }
    std::span<const float> state_of(std::span<const double> seen) {
        state_.assign(seen.begin(), seen.end());
        if (!moments_.mean.empty()) {
            backend::Host host;
            sampler::Standardise{}.apply(host, moments_, critic::Rows<float>{state_, observation_size()});
        }
        return state_;
    }

    std::string path_;
    SavedShape shape_;
    network::Perceptron<float> policy_, critic_;
    actor::Parameters<float> parameters_;
    std::vector<float> critic_values_, state_;
    sampler::StateMoments moments_;
};

/// It as a base policy (train::WithBasePolicy).
struct SavedBase {
    std::shared_ptr<SavedPolicy> policy{};

    struct State {};
    void act(State&, std::span<const double> seen, std::span<double> action) const { policy->act(seen, action); }
};

}  // namespace roars::train

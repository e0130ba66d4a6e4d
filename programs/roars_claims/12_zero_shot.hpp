#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "claim.hpp"
#include "roars/backend.hpp"
#include "roars/critic/forward_backward_model.hpp"
#include "roars/run.hpp"

namespace roars::claims {

template <class TrainerType>
void train_for(const Trial& trial, TrainerType& trainer) {
    backend::Host host;
    for (std::int64_t i = 0; i < trial.updates; ++i) {
        stop_if_interrupted();
        Run run{host, Random(trial.seed).at(static_cast<std::uint32_t>(i)), Progress{i, trial.updates}};
        trainer.advance(run);
    }
}

/// Doubt about actions that the data does not hold: better on little data, MC-FB by `least` or more, no worse on much.
/// learn(doubt, low, trial) says what the policies of a model reach that was learnt from little data, or from much.
template <class Learn>
Experiment of_doubt(std::string name, std::string setup, double least, const Learn& learn) {
    auto arm = [&](std::string of, const auto& doubt) {
        return Arm{
            std::move(of), [=](const Trial& trial) {
                return Numbers{{"low data", learn(doubt, true, trial)}, {"full data", learn(doubt, false, trial)}};
            }};
    };
    auto claim = [](std::string says, std::string method, std::string number, Expected expected, double by) {
        return Claim{.says = std::move(says),
                     .method = std::move(method),
                     .baseline = "FB",
                     .number = std::move(number),
                     .expected = expected,
                     .least = by};
    };
    return {.name = std::move(name),
            .paper = "2508.16496, zero-shot RL",
            .page = "zero-shot-rl",
            .setup = std::move(setup),
            .updates = 3000,
            .arms = {arm("FB", critic::doubt::None{}), arm("VC-FB", critic::doubt::OfValues{0.1}),
                     arm("MC-FB", critic::doubt::OfMeasures{1.0})},
            .claims = {claim("more goals on low data", "MC-FB", "low data", Expected::higher, least),
                       claim("also with doubt of values", "VC-FB", "low data", Expected::higher, 0.0),
                       claim("as many on full data", "MC-FB", "full data", Expected::same, 0.05),
                       claim("as many on full data", "VC-FB", "full data", Expected::same, 0.05)}};
}

}  // namespace roars::claims

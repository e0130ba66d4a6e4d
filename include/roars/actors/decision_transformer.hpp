#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "roars/actors/transformer.hpp"

namespace roars::actor {

struct DecisionTransformerSettings {
    std::int64_t state_width = 1;
    std::int64_t outputs = 1;  ///< numbers of an action, or how many discrete actions there are
    bool discrete = false;
    std::int64_t length = 20;   ///< steps of a window
    std::int64_t steps = 1000;  ///< of an episode; later ones count as the last
    std::int64_t layers = 3;
    std::int64_t width = 128;
    std::int64_t heads = 1;
    std::int64_t hidden = 512;
};

/// What it knows of windows of steps. Window i is steps [offsets[i], offsets[i + 1]). Shapes: state [steps x
/// state_width], action [steps x outputs] (or its numbers, token [steps]), return_to_go and number (in the episode)
/// [steps].
template <class Real>
struct StepWindows {
    std::span<const std::int64_t> offsets{};
    std::span<const Real> state{}, action{}, return_to_go{};
    std::span<const std::int32_t> token{};
    std::span<const Real> number{};
};

/// A sequence of what was yet to come, what was seen, what was done, step after step: three tokens of a Transformer
/// each,
///     E[return] + w_R R_t + p_t,   E[state] + W_s s_t + p_t,   E[action] + W_a a_t + p_t   (discrete: E[a_t] + p_t),
/// p_t a learned embedding of the step's number in its episode, 0 at the start; at the token of s_t the action a_t is
/// read out: tokens before it are seen, and R_t among them. All is one flat buffer of parameters. Shapes: out [steps x
/// outputs], row by row. Source: arXiv 2106.01345; its layer norms of embeddings are left out, and attention turns by
/// positions within the window as in Transformer.
template <class Real = float>
class DecisionTransformer {
public:
    explicit DecisionTransformer(const DecisionTransformerSettings& settings, std::uint64_t seed = 0)
        : settings_(settings), transformer_(inner(settings), seed) {
        auto add = [&](const char* name, std::int64_t inputs) {
            return transformer_.parameters().add(name, {inputs, settings.width});
        };
        return_at_ = add("return.weight", 1);
        state_at_ = add("state.weight", settings.state_width);
        if (!settings.discrete) action_at_ = add("action.weight", settings.outputs);
        step_at_ = add("step.weight", settings.steps);
        std::uint32_t which = 0;
        for (const char* name : {"return.weight", "state.weight", "action.weight"}) {
            ++which;
            if (settings.discrete && which == 3) continue;
            auto values = transformer_.parameters().values(name);
            const auto inputs = static_cast<double>(values.size()) / static_cast<double>(settings.width);
            Random random = Random(seed, Purpose::initialise).at(7000 + which);
            for (std::size_t i = 0; i < values.size(); ++i)
                values[i] = static_cast<Real>(random.normal(which, static_cast<std::uint32_t>(i)) / std::sqrt(inputs));
        }
    }

    const DecisionTransformerSettings& settings() const { return settings_; }
    Parameters<Real>& parameters() { return transformer_.parameters(); }
    const Parameters<Real>& parameters() const { return transformer_.parameters(); }

    /// Valid until the next forward. Errors: a window of more than settings().length steps, an action that is none.
    std::span<const Real> forward(const StepWindows<Real>& windows) {
        lay_out(windows);
        auto said = transformer_.forward(tokens_, offsets_, rows_, added_);
        return cut(said.logits);
    }
    /// The same of the last step of each window alone: [windows x outputs].
    std::span<const Real> forward_last(const StepWindows<Real>& windows) {
        lay_out(windows);
        last_.clear();
        for (std::size_t i = 0; i + 1 < windows.offsets.size(); ++i) last_.push_back(3 * windows.offsets[i + 1] - 2);
        auto said = transformer_.forward(tokens_, offsets_, last_, added_);
        return cut(said.logits);
    }

    /// Adds d loss / d parameters to parameters().gradients(), from d loss / d out of the last forward of `windows`.
    void backward(const StepWindows<Real>& windows, std::span<const Real> grad_out) {
        const std::int64_t all = transformer_.settings().vocabulary, own = settings_.outputs;
        grad_logits_.assign(rows_.size() * static_cast<std::size_t>(all), Real(0));
        for (std::size_t r = 0; r < rows_.size(); ++r)
            std::copy_n(grad_out.begin() + std::int64_t(r) * own, own,
                        grad_logits_.begin() + std::int64_t(r) * all + kinds);
        grad_added_.resize(added_.size());
        transformer_.backward(grad_logits_, {}, grad_added_);
        const auto width = static_cast<std::size_t>(settings_.width);
        auto gradients = parameters().gradients();
        for (std::size_t t = 0; t < rows_.size(); ++t)
            each_kind(windows, t, [&](std::int64_t at, std::span<const Real> numbers, std::size_t token) {
                const Real* grad = grad_added_.data() + token * width;
                for (std::size_t i = 0; i < numbers.size(); ++i)
                    for (std::size_t j = 0; j < width; ++j)
                        gradients[static_cast<std::size_t>(at) + i * width + j] += numbers[i] * grad[j];
            });
    }

private:
    /// Rows of the embedding: the three kinds of tokens, then what may come out.
    static constexpr std::int64_t kinds = 3;

    static TransformerSettings inner(const DecisionTransformerSettings& settings) {
        expect(settings.state_width > 0 && settings.outputs > 0 && settings.length > 0 && settings.steps > 0,
               "decision transformer: state_width, outputs, length and steps are 1 or more");
        return {.vocabulary = kinds + settings.outputs,
                .layers = settings.layers,
                .width = settings.width,
                .heads = settings.heads,
                .hidden = settings.hidden,
                .max_length = 3 * settings.length};
    }

    /// visit(where the weights of it are, its numbers, its token) for return, state, action (not for a discrete one)
    /// and the number of step t. A weight of the step's embedding has the number 1.
    template <class Visit>
    void each_kind(const StepWindows<Real>& windows, std::size_t t, Visit&& visit) const {
        const auto states = static_cast<std::size_t>(settings_.state_width),
                   actions = static_cast<std::size_t>(settings_.outputs);
        visit(return_at_, windows.return_to_go.subspan(t, 1), 3 * t);
        visit(state_at_, windows.state.subspan(t * states, states), 3 * t + 1);
        if (!settings_.discrete) visit(action_at_, windows.action.subspan(t * actions, actions), 3 * t + 2);
        static constexpr Real one[] = {Real(1)};
        const auto number = std::min(static_cast<std::int64_t>(windows.number[t]), settings_.steps - 1);
        for (std::size_t k = 0; k < 3; ++k)
            visit(step_at_ + number * settings_.width, std::span<const Real>(one), 3 * t + k);
    }
    void lay_out(const StepWindows<Real>& windows) {
        const auto steps = static_cast<std::size_t>(windows.offsets.back()),
                   width = static_cast<std::size_t>(settings_.width);
        offsets_.clear(), rows_.clear();
        for (std::int64_t offset : windows.offsets) offsets_.push_back(3 * offset);
        tokens_.resize(3 * steps);
        added_.assign(3 * steps * width, Real(0));
        auto values = std::as_const(parameters()).values();
        for (std::size_t t = 0; t < steps; ++t) {
            tokens_[3 * t] = 0, tokens_[3 * t + 1] = 1;
            tokens_[3 * t + 2] = settings_.discrete ? static_cast<std::int32_t>(kinds) + windows.token[t] : 2;
            rows_.push_back(std::int64_t(3 * t + 1));
            each_kind(windows, t, [&](std::int64_t at, std::span<const Real> numbers, std::size_t token) {
                Real* to = added_.data() + token * width;
                for (std::size_t i = 0; i < numbers.size(); ++i)
                    for (std::size_t j = 0; j < width; ++j)
                        to[j] += numbers[i] * values[static_cast<std::size_t>(at) + i * width + j];
            });
        }
    }
    std::span<const Real> cut(std::span<const Real> logits) {
        const std::int64_t all = transformer_.settings().vocabulary, own = settings_.outputs,
                           rows = std::ssize(logits) / all;
        out_.resize(static_cast<std::size_t>(rows * own));
        for (std::int64_t r = 0; r < rows; ++r)
            std::copy_n(logits.begin() + r * all + kinds, own, out_.begin() + r * own);
        return out_;
    }

    DecisionTransformerSettings settings_;
    Transformer<Real> transformer_;
    std::int64_t return_at_ = 0, state_at_ = 0, action_at_ = 0, step_at_ = 0;
    std::vector<std::int32_t> tokens_;
    std::vector<std::int64_t> offsets_, rows_, last_;
    std::vector<Real> added_, grad_added_, grad_logits_, out_;
};

}  // namespace roars::actor

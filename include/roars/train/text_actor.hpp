#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roars/actors/transformer.hpp"
#include "roars/objective_logits.hpp"
#include "roars/primitives/sampling.hpp"

namespace roars::train {

/// Answers behind their prompts, as a policy reads them: packed tokens, offsets of the sequences, and for each token of
/// the batch the row that predicts it.
struct PackedText {
    std::vector<std::int32_t> tokens;
    std::vector<std::int64_t> offsets{0}, rows;

    void clear() {
        tokens.clear();
        offsets.assign(1, 0);
        rows.clear();
    }
};

/// A transformer of the host at the hands of LanguageLearner: it generates, says the columns of a batch, and turns an
/// objective into gradients. An actor elsewhere (gpu::TextActor) has the same members; instead of accumulate() it has
/// Steps, which take whole steps where its parameters are.
class TextActor {
public:
    using Real = float;
    using Policy = actor::Transformer<Real>;

    /// The policy that begins with these parameters.
    Policy policy(actor::Transformer<Real> initial) const { return initial; }

    /// A generation, a token a step for each live rollout: see actor::Generator.
    class Rollouts {
    public:
        static constexpr std::int32_t finished = actor::LiveRollouts::finished;
        Rollouts(backend::Host& backend, const Policy& policy)
            : backend_(&backend), generator_(policy), vocabulary_(policy.settings().vocabulary) {}

        std::int64_t live() const { return generator_.live(); }
        std::span<const std::int64_t> rollouts() const { return generator_.rollouts(); }
        void begin(std::span<const std::int32_t> prompts, std::span<const std::int64_t> offsets, std::int64_t copies,
                   std::int64_t new_tokens) {
            output_ = generator_.begin(prompts, offsets, copies, new_tokens);
        }
        /// A token for each live rollout: see sample_rows.
        std::span<const Sampled> sample(const Generation& generation, std::span<const double> u, Offsets seen_offsets,
                                        std::span<const std::int32_t> seen) {
            drawn_.resize(u.size());
            sample_rows(*backend_, std::span<const Real>(output_.logits), vocabulary_, generation, u,
                        std::span<Sampled>(drawn_), seen_offsets, seen);
            return drawn_;
        }
        void step(std::span<const std::int32_t> tokens) { output_ = generator_.step(tokens); }

    private:
        backend::Host* backend_;
        actor::Generator<Real> generator_;
        std::int64_t vocabulary_;
        actor::TransformerOutput<Real> output_{};
        std::vector<Sampled> drawn_;
    };
    Rollouts rollouts(backend::Host& backend, Policy& policy) const { return {backend, policy}; }

    /// What `policy` says of the batch: logp, and of entropy, sum_pi_squared and value those that the batch has.
    template <class RunType, class BatchType>
    void read(RunType& run, BatchType& batch, Policy& policy, const PackedText& text, double temperature) {
        auto output = policy.forward(text.tokens, text.offsets, text.rows);
        std::vector<Real> log_sum_exp(static_cast<std::size_t>(batch.tokens()));
        read_logits(run, batch, std::span<const Real>(output.logits), policy.settings().vocabulary, temperature,
                    std::span<Real>(log_sum_exp));
        keep_values(batch, output);
    }

    /// Adds d loss / d parameters to the gradients of `policy`, for a piece of the batch that `totals` are of.
    template <class A, class RunType, class BatchType, class Totals>
    auto accumulate(const A& algorithm, RunType& run, const typename A::State& state, BatchType& piece,
                    const Totals& totals, Policy& policy, const PackedText& text, double temperature) {
        auto output = policy.forward(text.tokens, text.offsets, text.rows);
        keep_values(piece, output);
        auto result = objective_from_logits(algorithm, run, state, piece, totals, output.logits,
                                            policy.settings().vocabulary, temperature);
        policy.backward(output.logits, roars::detail::optional_column<col::grad<col::value>>(piece));
        return result;
    }

    void write(Tensors& file, const Policy& policy, const std::string& prefix) const {
        policy.parameters().write(file, prefix);
    }
    void read(const Tensors& file, Policy& policy, const std::string& prefix) const {
        policy.parameters().read(file, prefix);
    }

private:
    template <class BatchType>
    static void keep_values(BatchType& batch, const actor::TransformerOutput<Real>& output) {
        if constexpr (BatchType::template has<col::value>)
            std::copy(output.values.begin(), output.values.end(), batch[col::value{}].begin());
    }
};

}  // namespace roars::train

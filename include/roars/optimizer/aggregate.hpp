#pragma once

#include <cstdint>

#include "roars/fields.hpp"
#include "roars/objective.hpp"

/// How token losses x become one number. B sequences, n of them with a trainable token, T trainable tokens, n_i of
/// them in sequence i. Each is a weight that micro-batches share, because the counts are those of the whole batch; an
/// empty batch gives 0. The peers' names stand beside.
namespace roars::aggregate {

/// sum x / T. DAPO, arXiv 2503.14476 (token-mean). Where each micro-batch is counted by itself (Algorithm::objective
/// without the totals of the whole batch), and the mean over them is taken, it is TRL's and Liger's bnpo: a loss that
/// depends on the cut.
struct TokenMean {
    static constexpr bool per_sequence = false;
    ROARS_FN double weight(const Counts& counts, std::int64_t) const {
        return counts.tokens ? 1.0 / double(counts.tokens) : 0.0;
    }
};
ROARS_FIELDS(TokenMean)

/// sum x.
struct TokenSum {
    static constexpr bool per_sequence = false;
    ROARS_FN double weight(const Counts&, std::int64_t) const { return 1.0; }
};
ROARS_FIELDS(TokenSum)

/// Mean over the n live sequences of the mean over a sequence's tokens. GRPO, arXiv 2402.03300 (seq-mean-token-mean as
/// verl counts it: a sequence without a trainable token is left out).
struct SequenceMean {
    static constexpr bool per_sequence = true;
    ROARS_FN double weight(const Counts& counts, std::int64_t length) const {
        return counts.live_sequences && length ? 1.0 / (double(counts.live_sequences) * double(length)) : 0.0;
    }
};
ROARS_FIELDS(SequenceMean)

/// The same sum divided by all B sequences (as TRL and Liger count it: one without a trainable token is a zero).
struct SequenceMeanOfAll {
    static constexpr bool per_sequence = true;
    ROARS_FN double weight(const Counts& counts, std::int64_t length) const {
        return counts.sequences && length ? 1.0 / (double(counts.sequences) * double(length)) : 0.0;
    }
};
ROARS_FIELDS(SequenceMeanOfAll)

/// sum x / n (seq-mean-token-sum).
struct SequenceSum {
    static constexpr bool per_sequence = false;
    ROARS_FN double weight(const Counts& counts, std::int64_t) const {
        return counts.live_sequences ? 1.0 / double(counts.live_sequences) : 0.0;
    }
};
ROARS_FIELDS(SequenceSum)

/// sum x / B: the same over all sequences.
struct SequenceSumOfAll {
    static constexpr bool per_sequence = false;
    ROARS_FN double weight(const Counts& counts, std::int64_t) const {
        return counts.sequences ? 1.0 / double(counts.sequences) : 0.0;
    }
};
ROARS_FIELDS(SequenceSumOfAll)

/// sum x / (n L): Dr. GRPO, arXiv 2503.20783, as verl counts it (seq-mean-token-sum-norm). L = max_length, tokens.
struct SequenceSumOverLength {
    double max_length = 1024;
    static constexpr bool per_sequence = false;
    ROARS_FN double weight(const Counts& counts, std::int64_t) const {
        return counts.live_sequences ? 1.0 / (double(counts.live_sequences) * max_length) : 0.0;
    }
};
ROARS_FIELDS(SequenceSumOverLength, max_length)

/// sum x / (B L): Dr. GRPO as TRL and Liger count it, over all sequences.
struct ConstantLength {
    double max_length = 1024;
    static constexpr bool per_sequence = false;
    ROARS_FN double weight(const Counts& counts, std::int64_t) const {
        return counts.sequences ? 1.0 / (double(counts.sequences) * max_length) : 0.0;
    }
};
ROARS_FIELDS(ConstantLength, max_length)

/// sum x / C for a constant that depends on nothing (RL-PLUS, arXiv 2508.00222: the maximal response length).
struct Constant {
    double normalizer = 1;
    static constexpr bool per_sequence = false;
    ROARS_FN double weight(const Counts&, std::int64_t) const { return 1.0 / normalizer; }
};
ROARS_FIELDS(Constant, normalizer)

}  // namespace roars::aggregate

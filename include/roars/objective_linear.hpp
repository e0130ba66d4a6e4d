#pragma once

#include <algorithm>
#include <cstdint>
#include <memory_resource>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "roars/objective_logits.hpp"
#include "roars/primitives/matrix.hpp"

namespace roars {

/// The last linear layer of an actor: logits = weight hidden + bias. Shapes: weight [vocabulary x width], row by row;
/// bias [vocabulary], empty for none.
template <class Real>
struct LinearHead {
    std::span<const Real> weight;
    std::int64_t width;
    std::span<const Real> bias = {};
    double temperature = 1.0;

    std::int64_t vocabulary() const { return width > 0 ? std::ssize(weight) / width : 0; }
};

/// Where the gradients go. That of the hidden states is written, exact zeros at masked tokens; those of weight and bias
/// are added to what is there, so that micro-batches accumulate, and may be of a wider type. Empty: not wanted, and not
/// computed. Shapes: hidden [tokens x width], weight [vocabulary x width], bias [vocabulary].
template <class Real, class Wide = Real>
struct LinearGradients {
    std::span<Real> hidden = {};
    std::span<Wide> weight = {};
    std::span<Wide> bias = {};
};

/// What the logits of one chunk, and what stands beside them, may take: `bytes`, but never more than a 20th of the
/// logits of all trainable tokens, and one row at least. Beside it each thread keeps what a matrix product packs, which
/// is bounded by the caches.
struct ChunkMemory {
    std::int64_t bytes = std::int64_t(256) << 20;
    std::pmr::memory_resource* resource = std::pmr::get_default_resource();
};

namespace detail {

template <class... Mask, class BatchType>
bool counts_for_any(columns<Mask...>, const BatchType& batch, std::int64_t token) {
    return (trainable<Mask>(batch, token) || ...);
}

/// The tokens that Masks make trainable, a chunk at a time: their logits, what is asked of them, their gradients. A
/// chunk is a range of tokens; only its trainable ones have rows. How the work is cut depends on sizes alone, and so do
/// the bits of all results.
template <class Masks, class BatchType>
class LinearChunks {
    using Real = typename BatchType::Real;
    using Map = matrix::MatrixMap<Real>;
    using ConstMap = matrix::ConstMatrixMap<Real>;
    /// Entries of the vocabulary in one piece of a product; rows of a chunk in one piece of another.
    static constexpr std::int64_t vocabulary_piece = 512, row_piece = 64;

public:
    LinearChunks(backend::Host& backend, BatchType& batch, const LinearHead<Real>& head, std::span<const Real> hidden,
                 const ChunkMemory& memory)
        : backend_(backend),
          batch_(batch),
          head_(head),
          hidden_(hidden),
          vocabulary_(head.vocabulary()),
          token_(batch[col::token{}]),
          bounds_(memory.resource),
          tokens_(memory.resource),
          log_sum_exp_(memory.resource),
          buffer_(memory.resource) {
        check();
        cut(memory.bytes);
        log_sum_exp_.resize(static_cast<std::size_t>(batch.tokens()));
        // What no chunk fills is never read at a trainable token, and must not be taken for such.
        for (auto column : {logp(), entropy(), sum_pi_squared()}) std::fill(column.begin(), column.end(), Real(0));
    }

    /// Chunk c is the tokens [bounds[c], bounds[c + 1]).
    Offsets bounds() const { return bounds_; }

    /// The logits of a chunk.
    void compute(std::int64_t begin, std::int64_t end) {
        take_rows(begin, end);
        pieces(vocabulary_, vocabulary_piece, [&](std::int64_t first, std::int64_t count) {
            auto target = logits().middleRows(first, count);
            if (head_.bias.empty())
                target.setZero();
            else
                target.colwise() = matrix::ConstVectorMap<Real>(head_.bias.data() + first, count);
            matrix::add_product(target, weight().middleCols(first, count).transpose(), inputs());
        });
    }
    /// logp and, where the batch has columns for them, entropy and the sum of squared probabilities.
    void read() {
        auto rows = softmax_rows();
        parallel_for(backend_, std::ssize(tokens_), [&](std::int64_t r) { rows.read(r, tokens_[std::size_t(r)]); });
    }
    /// The logits become their gradient, and that of the layer's inputs and weights.
    template <class Wide>
    void differentiate(const LinearGradients<Real, Wide>& gradients) {
        auto rows = softmax_rows();
        auto grad_logp = optional_column<col::grad<col::logp>>(batch_);
        auto grad_entropy = optional_column<col::grad<col::entropy>>(batch_);
        parallel_for(backend_, std::ssize(tokens_),
                     [&](std::int64_t r) { rows.differentiate(r, tokens_[std::size_t(r)], grad_logp, grad_entropy); });
        if (!gradients.weight.empty() || !gradients.bias.empty())
            pieces(vocabulary_, vocabulary_piece, [&](std::int64_t first, std::int64_t count) {
                add_to_weight(gradients, first, count);
                add_to_bias(gradients, first, count);
            });
        if (!gradients.hidden.empty()) write_hidden(gradients.hidden);
    }

    template <class Wide>
    void check(const LinearGradients<Real, Wide>& gradients) const {
        if (!gradients.hidden.empty())
            expect_size("gradient of hidden", gradients.hidden.size(), batch_.tokens() * head_.width);
        if (!gradients.weight.empty())
            expect_size("gradient of weight", gradients.weight.size(), vocabulary_ * head_.width);
        if (!gradients.bias.empty()) expect_size("gradient of bias", gradients.bias.size(), vocabulary_);
    }

private:
    std::span<Real> logp() { return batch_[col::logp{}]; }
    std::span<Real> entropy() { return optional_column<col::entropy>(batch_); }
    std::span<Real> sum_pi_squared() { return optional_column<col::sum_pi_squared>(batch_); }

    void check() const {
        expect_temperature(head_.temperature);
        expect(head_.width > 0 && vocabulary_ > 0 && std::ssize(head_.weight) % head_.width == 0, [&] {
            return "weight of a linear head has " + std::to_string(head_.weight.size()) +
                   " values, expected rows of a width of " + std::to_string(head_.width);
        });
        if (!head_.bias.empty()) expect_size("bias", head_.bias.size(), vocabulary_);
        expect_size("hidden", hidden_.size(), batch_.tokens() * head_.width);
        expect_tokens(token_, batch_.tokens(), vocabulary_);
    }

    /// Chunks of as many trainable tokens as fit.
    void cut(std::int64_t bytes) {
        std::int64_t tokens = batch_.tokens(), trainable = 0;
        for (std::int64_t t = 0; t < tokens; ++t) trainable += counts_for_any(Masks{}, batch_, t);
        constexpr auto real = std::int64_t(sizeof(Real)), index = std::int64_t(sizeof(std::int64_t));
        bytes = std::min(bytes, trainable * vocabulary_ * real / 20);
        std::int64_t a_row = (vocabulary_ + 2 * head_.width) * real + 2 * index, beside = tokens * real + 2 * index;
        std::int64_t rows = std::clamp<std::int64_t>((bytes - beside) / a_row, 1, std::max<std::int64_t>(trainable, 1));
        bounds_.reserve(static_cast<std::size_t>((trainable + rows - 1) / rows + 1));
        bounds_.push_back(0);
        std::int64_t inside = 0;
        for (std::int64_t t = 0; t < tokens; ++t) {
            if (!counts_for_any(Masks{}, batch_, t)) continue;
            if (inside == rows) bounds_.push_back(t), inside = 0;
            ++inside;
        }
        if (tokens > 0) bounds_.push_back(tokens);
        rows_ = std::min(rows, trainable);
        tokens_.reserve(static_cast<std::size_t>(rows_));
        buffer_.resize(static_cast<std::size_t>(rows_ * (vocabulary_ + 2 * head_.width)));
    }

    /// The trainable tokens of a chunk; their hidden states side by side, where they are if they are so already.
    void take_rows(std::int64_t begin, std::int64_t end) {
        tokens_.clear();
        for (std::int64_t t = begin; t < end; ++t)
            if (counts_for_any(Masks{}, batch_, t)) tokens_.push_back(t);
        if (together()) return;
        for (std::size_t r = 0; r < tokens_.size(); ++r)
            std::copy_n(hidden_.data() + tokens_[r] * head_.width, head_.width,
                        gathered() + std::int64_t(r) * head_.width);
    }
    bool together() const { return tokens_.empty() || tokens_.back() - tokens_.front() + 1 == std::ssize(tokens_); }

    Real* gathered() { return buffer_.data() + rows_ * vocabulary_; }
    Real* grad_gathered() { return gathered() + rows_ * head_.width; }
    Map logits() { return {buffer_.data(), vocabulary_, std::ssize(tokens_)}; }
    ConstMap weight() const { return {head_.weight.data(), head_.width, vocabulary_}; }
    ConstMap inputs() {
        const Real* from = together() && !tokens_.empty() ? hidden_.data() + tokens_.front() * head_.width : gathered();
        return {from, head_.width, std::ssize(tokens_)};
    }
    SoftmaxRows<Real, const std::int32_t> softmax_rows() {
        return {std::span(buffer_.data(), static_cast<std::size_t>(std::ssize(tokens_) * vocabulary_)),
                vocabulary_,
                token_,
                head_.temperature,
                {.logp = logp(),
                 .log_sum_exp = std::span<Real>(log_sum_exp_),
                 .entropy = entropy(),
                 .sum_pi_squared = sum_pi_squared()}};
    }

    /// body(first, count) for [0, total) in pieces, in parallel.
    template <class Body>
    void pieces(std::int64_t total, std::int64_t piece, Body&& body) {
        parallel_for(backend_, (total + piece - 1) / piece,
                     [&](std::int64_t p) { body(p * piece, std::min(piece, total - p * piece)); });
    }

    template <class Wide>
    void add_to_weight(const LinearGradients<Real, Wide>& gradients, std::int64_t first, std::int64_t count) {
        if (gradients.weight.empty()) return;
        auto slopes = logits().middleRows(first, count).transpose();
        matrix::MatrixMap<Wide> target(gradients.weight.data() + first * head_.width, head_.width, count);
        if constexpr (std::is_same_v<Real, Wide>) {
            matrix::add_product(target, inputs(), slopes);
        } else {
            thread_local matrix::Buffer<Real> sum;
            auto narrow = sum.resize(head_.width, count);
            matrix::set_product(narrow, inputs(), slopes);
            target += narrow.template cast<Wide>();
        }
    }
    template <class Wide>
    void add_to_bias(const LinearGradients<Real, Wide>& gradients, std::int64_t first, std::int64_t count) {
        if (gradients.bias.empty()) return;
        for (std::int64_t v = first; v < first + count; ++v) {
            double sum = 0;
            for (std::int64_t r = 0; r < std::ssize(tokens_); ++r)
                sum += double(buffer_[std::size_t(r * vocabulary_ + v)]);
            gradients.bias[std::size_t(v)] += static_cast<Wide>(sum);
        }
    }
    void write_hidden(std::span<Real> gradient) {
        if (tokens_.empty()) return;
        bool in_place = together();
        Real* to = in_place ? gradient.data() + tokens_.front() * head_.width : grad_gathered();
        pieces(std::ssize(tokens_), row_piece, [&](std::int64_t first, std::int64_t count) {
            Map target(to + first * head_.width, head_.width, count);
            matrix::set_product(target, weight(), logits().middleCols(first, count));
        });
        if (in_place) return;
        for (std::size_t r = 0; r < tokens_.size(); ++r)
            std::copy_n(to + std::int64_t(r) * head_.width, head_.width, gradient.data() + tokens_[r] * head_.width);
    }

    backend::Host& backend_;
    BatchType& batch_;
    LinearHead<Real> head_;
    std::span<const Real> hidden_;
    std::int64_t vocabulary_, rows_ = 0;
    std::span<const std::int32_t> token_;
    std::pmr::vector<std::int64_t> bounds_, tokens_;
    std::pmr::vector<Real> log_sum_exp_, buffer_;
};

}  // namespace detail

/// What the actor says of its trainable tokens, from the hidden states before its last linear layer: logp always,
/// entropy and the sum of squared probabilities only where the batch has a column for them; 0 at masked tokens, whose
/// hidden states are not read. Shapes: hidden [tokens x width].
template <class RunType, class BatchType>
void read_hidden(RunType& run, BatchType& batch, std::span<const typename BatchType::Real> hidden,
                 const LinearHead<typename BatchType::Real>& head, const ChunkMemory& memory = {}) {
    detail::LinearChunks<columns<col::mask>, BatchType> chunks(run.backend, batch, head, hidden, memory);
    Offsets bounds = chunks.bounds();
    for (std::size_t c = 0; c + 1 < bounds.size(); ++c) {
        chunks.compute(bounds[c], bounds[c + 1]);
        chunks.read();
    }
}

/// The objective over a fused last linear layer: logits = weight hidden + bias are computed a chunk of tokens at a
/// time, judged, turned into their gradient and that into the gradients of hidden states, weight and bias; as a whole
/// they are never in memory. The formulas are those of the parts. Where every term needs nothing but its token, a
/// logit is computed once: three matrix products in all; else twice, because a term wants every log-probability of a
/// sequence first. Masked tokens take no part in any product. Totals whose sums need log-probabilities: read_hidden
/// first. After an Error the gradients are of no use. Shapes: hidden [tokens x width].
template <class A, class RunType, class BatchType, class Wide, class... Term>
auto objective_from_hidden(const A& algorithm, RunType& run, const typename A::State& state, BatchType& batch,
                           const Totals<Term...>& totals, std::span<const typename BatchType::Real> hidden,
                           const LinearHead<typename BatchType::Real>& head,
                           const LinearGradients<typename BatchType::Real, Wide>& gradients,
                           const ChunkMemory& memory = {}) {
    detail::LinearChunks<typename A::OfTerms::masks, BatchType> chunks(run.backend, batch, head, hidden, memory);
    chunks.check(gradients);
    std::fill(gradients.hidden.begin(), gradients.hidden.end(), typename BatchType::Real(0));
    auto read = [&](std::int64_t begin, std::int64_t end) {
        chunks.compute(begin, end);
        chunks.read();
    };
    if constexpr ((detail::token_by_token<Term> && ...)) {
        return std::apply(
            [&](const auto&... term) {
                return detail::evaluate_in_order(
                    run.backend, batch, totals.counts, chunks.bounds(), read,
                    [&](std::int64_t, std::int64_t) { chunks.differentiate(gradients); }, term...);
            },
            detail::weighed_terms(algorithm, state));
    } else {
        Offsets bounds = chunks.bounds();
        for (std::size_t c = 0; c + 1 < bounds.size(); ++c) read(bounds[c], bounds[c + 1]);
        auto result = algorithm.objective(run, state, batch, totals);
        for (std::size_t c = 0; c + 1 < bounds.size(); ++c) {
            chunks.compute(bounds[c], bounds[c + 1]);
            chunks.differentiate(gradients);
        }
        return result;
    }
}

}  // namespace roars

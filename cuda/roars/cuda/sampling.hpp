#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "roars/cuda/log_softmax.hpp"
#include "roars/primitives/sampling.hpp"
#include "roars/random.hpp"

/// Tokens drawn from logits on a device, a block a row: the rules, their order and the numbers of the host
/// (primitives/sampling.hpp), in double. The same uniform number gives the same token, but where it falls within the
/// rounding of a sum (1e-15 of the mass; for top-p 1e-10) on a boundary. Nothing is sorted: a filter looks for its
/// threshold by a histogram of what is left, which it refines until one value is left.
namespace roars::gpu {

/// What a row's `token` is where none could be drawn: read_samples makes an Error of it.
enum class NoToken : std::int64_t { bad_logit = -1, none_allowed = -2, bad_previous = -3 };

namespace detail {

template <class T, bool penalised>
class SampleRows {
public:
    static constexpr int threads = 256, bins = 256;
    /// Weights e^z of the filters are whole numbers of 2^-44, so that their sums do not depend on an order.
    static constexpr double unit = 17592186044416.0;
    static constexpr std::int64_t most_penalised = 262144;
    static constexpr double infinity = std::numeric_limits<double>::infinity();

    struct Shared {
        double real[threads];
        std::int64_t whole[threads];
        unsigned long long mass[bins];
        unsigned seen[penalised ? most_penalised / 32 : 1];
        std::int64_t low, high;
        double wanted, reached, value, other;
        unsigned long long above;
        int bin;
    };

    Logits<const T> logits;
    Generation generation;
    const double* uniform;
    Sampled* result;
    const std::int64_t* previous_offsets;
    const std::int32_t* previous;

    template <class Block>
    ROARS_FN void operator()(Block& block, Shared& shared) const {
        const std::int64_t r = block.index(), n = logits.vocabulary;
        Row row{logits.row(r), generation.temperature, generation.repetition_penalty};
        if constexpr (penalised)
            if (!mark_previous(block, shared, r)) return fail(block, r, NoToken::bad_previous);

        auto plain = [&](std::int64_t i) { return row.plain(i); };
        if (count(block, shared, [&](std::int64_t i) { return plain(i) < infinity; }) < n)
            return fail(block, r, NoToken::bad_logit);
        const double full = largest(block, shared, plain);
        if (full == -infinity) return fail(block, r, NoToken::none_allowed);
        const double full_log_sum =
            full + std::log(sum(block, shared, [&](std::int64_t i) { return math::exp(plain(i) - full); }));
        auto penalty = [&](std::int64_t i) { return x(row, shared, i); };
        row.shift = largest(block, shared, penalty);
        if (generation.temperature == 0.0) {
            std::int64_t token =
                place(block, shared, 0.0, [&](std::int64_t i) { return penalty(i) == row.shift ? 1.0 : 0.0; });
            return write(block, r, token, 0.0, row.plain(token) - full_log_sum);
        }
        auto z = [&](std::int64_t i) { return (penalty(i) - row.shift) / row.temperature; };
        Filter top_k, top_p;
        if (generation.top_k > 0) {
            auto allowed = [&](std::int64_t i) { return z(i) > -infinity; };
            if (generation.top_k < count(block, shared, allowed))
                top_k = filter(
                    block, shared, z, allowed, [](double) { return 1ull; },
                    static_cast<unsigned long long>(generation.top_k));
        }
        if (generation.top_p < 1.0) {
            auto allowed = [&](std::int64_t i) { return top_k.keeps(z(i), i); };
            unsigned long long all = total(block, shared, z, allowed);
            double wanted = std::ceil(generation.top_p * static_cast<double>(all));
            auto counted = [&](std::int64_t i) { return allowed(i) && fixed(z(i)) > 0; };
            top_p = filter(
                block, shared, z, counted, [](double value) { return fixed(value); },
                wanted < 1.0 ? 1ull : static_cast<unsigned long long>(wanted));
        }
        const double lowest = generation.min_p > 0.0 ? std::log(generation.min_p) : -infinity;
        auto weight = [&](std::int64_t i) {
            double own = z(i);
            return top_k.keeps(own, i) && top_p.keeps(own, i) && !(own < lowest) ? math::exp(own) : 0.0;
        };
        const double mass = sum(block, shared, weight);
        std::int64_t token = place(block, shared, uniform[r] * mass, weight);
        write(block, r, token, z(token) - std::log(mass), row.plain(token) - full_log_sum);
    }

private:
    struct Row {
        const T* logit;
        double temperature, penalty, shift = 0.0;
        ROARS_FN double plain(std::int64_t i) const { return static_cast<double>(static_cast<SumOf<T>>(logit[i])); }
    };
    /// What a filter leaves: all above `value`, and of those equal to it the ones up to place `last`.
    struct Filter {
        double value = -infinity;
        std::int64_t last = std::numeric_limits<std::int64_t>::max();
        ROARS_FN bool keeps(double z, std::int64_t i) const {
            return z > -infinity && (z > value || (z == value && i <= last));
        }
    };

    ROARS_FN static unsigned long long fixed(double z) {
        return static_cast<unsigned long long>(math::exp(z) * unit + 0.5);
    }
    ROARS_FN double x(const Row& row, [[maybe_unused]] const Shared& shared, std::int64_t i) const {
        double plain = row.plain(i);
        if constexpr (penalised)
            if (shared.seen[i / 32] >> (i % 32) & 1u) return plain > 0.0 ? plain / row.penalty : plain * row.penalty;
        return plain;
    }

    /// False if a token is outside the vocabulary.
    template <class Block>
    ROARS_FN bool mark_previous(Block& block, Shared& shared, std::int64_t r) const {
        const std::int64_t n = logits.vocabulary;
        block.each([&](int thread) {
            for (std::int64_t i = thread; i < pieces_of(n, 32); i += threads) shared.seen[i] = 0u;
            shared.whole[thread] = 0;
        });
        block.each([&](int thread) {
            for (std::int64_t k = previous_offsets[r] + thread; k < previous_offsets[r + 1]; k += threads) {
                std::int64_t i = previous[k];
                if (i < 0 || i >= n)
                    shared.whole[thread] = 1;
                else
                    block.set_bits(shared.seen[i / 32], 1u << (i % 32));
            }
        });
        reduce(block, shared.whole, Plus{});
        return block.read(shared.whole[0]) == 0;
    }

    template <class Block>
    ROARS_FN void fail(Block& block, std::int64_t r, NoToken why) const {
        constexpr double nan = std::numeric_limits<double>::quiet_NaN();
        write(block, r, static_cast<std::int64_t>(why), nan, nan);
    }
    template <class Block>
    ROARS_FN void write(Block& block, std::int64_t r, std::int64_t token, double logp, double logp_full) const {
        block.each([&](int thread) {
            if (thread > 0) return;
            result[r].token = token;
            result[r].logp = logp;
            result[r].logp_full = logp_full;
        });
    }

    template <class Block, class Holds>
    ROARS_FN std::int64_t count(Block& block, Shared& shared, Holds holds) const {
        block.each([&](int thread) {
            std::int64_t own = 0;
            for (std::int64_t i = thread; i < logits.vocabulary; i += threads) own += holds(i) ? 1 : 0;
            shared.whole[thread] = own;
        });
        reduce(block, shared.whole, Plus{});
        return block.read(shared.whole[0]);
    }
    template <class Block, class Value>
    ROARS_FN double largest(Block& block, Shared& shared, Value value) const {
        block.each([&](int thread) {
            double own = -infinity;
            for (std::int64_t i = thread; i < logits.vocabulary; i += threads) own = math::max(own, value(i));
            shared.real[thread] = own;
        });
        reduce(block, shared.real, [](double a, double b) { return a < b ? b : a; });
        return block.read(shared.real[0]);
    }
    template <class Block, class Value>
    ROARS_FN double sum(Block& block, Shared& shared, Value value) const {
        block.each([&](int thread) {
            double own = 0.0;
            for (std::int64_t i = thread; i < logits.vocabulary; i += threads) own += value(i);
            shared.real[thread] = own;
        });
        reduce(block, shared.real, Plus{});
        return block.read(shared.real[0]);
    }
    /// The weights of what is allowed, in units.
    template <class Block, class Z, class Allowed>
    ROARS_FN unsigned long long total(Block& block, Shared& shared, Z z, Allowed allowed) const {
        block.each([&](int thread) {
            unsigned long long own = 0;
            for (std::int64_t i = thread; i < logits.vocabulary; i += threads) own += allowed(i) ? fixed(z(i)) : 0ull;
            shared.mass[thread] = own;
        });
        reduce(block, shared.mass, Plus{});
        return block.read(shared.mass[0]);
    }

    /// The first place at which the weights, cumulated in order, exceed `wanted`; never one of weight 0. Each thread
    /// sums a stretch, one of them is chosen and divided anew.
    template <class Block, class Weight>
    ROARS_FN std::int64_t place(Block& block, Shared& shared, double wanted, Weight weight) const {
        block.each([&](int thread) {
            if (thread > 0) return;
            shared.low = 0;
            shared.high = logits.vocabulary;
            shared.reached = 0.0;
        });
        for (;;) {
            const std::int64_t low = block.read(shared.low), high = block.read(shared.high);
            if (high - low <= 1) return low;
            const std::int64_t size = pieces_of(high - low, threads);
            block.each([&](int thread) {
                double own = 0.0;
                std::int64_t begin = low + thread * size, end = least(begin + size, high);
                for (std::int64_t i = begin; i < end; ++i) own += weight(i);
                shared.real[thread] = own;
            });
            block.each([&](int thread) {
                if (thread > 0) return;
                double reached = shared.reached, before = reached;
                int chosen = 0;
                for (int t = 0; t < threads; ++t) {
                    if (!(shared.real[t] > 0.0)) continue;
                    chosen = t;
                    before = reached;
                    reached += shared.real[t];
                    if (reached > wanted) break;
                }
                shared.reached = before;
                shared.low = low + chosen * size;
                shared.high = least(shared.low + size, high);
            });
        }
    }

    /// Of what is allowed, by falling z, as little as has `wanted` of the weight; of equal ones those of lowest place.
    template <class Block, class Z, class Allowed, class Weight>
    ROARS_FN Filter filter(Block& block, Shared& shared, Z z, Allowed allowed, Weight weight,
                           unsigned long long wanted) const {
        double low = -infinity, high = infinity;
        unsigned long long above = 0;
        auto chosen = [&](std::int64_t i, double& own) {
            own = z(i);
            return own >= low && own <= high && allowed(i);
        };
        narrow(block, shared, chosen, low, high);
        while (low < high) {
            // At most 64 wide: what lies further below shares the last bin until it is looked for.
            const double scale = (bins - 1) / math::min(high - low, 64.0);
            const bool usable = scale < infinity;
            auto bin_of = [&](double own) {
                double at = usable ? (high - own) * scale : own == high ? 0.0 : bins - 1.0;
                return at < bins - 1.0 ? static_cast<int>(at) : bins - 1;
            };
            block.each([&](int thread) { shared.mass[thread] = 0ull; });
            block.each([&](int thread) {
                for (std::int64_t i = thread; i < logits.vocabulary; i += threads)
                    if (double own; chosen(i, own)) block.add(shared.mass[bin_of(own)], weight(own));
            });
            block.each([&](int thread) {
                if (thread > 0) return;
                unsigned long long reached = above;
                shared.bin = -1;
                for (int b = 0; b < bins && shared.bin < 0; ++b) {
                    if (reached + shared.mass[b] >= wanted)
                        shared.bin = b;
                    else
                        reached += shared.mass[b];
                }
                shared.above = reached;
            });
            const int bin = block.read(shared.bin);
            if (bin < 0) return {};  // there is not that much: all stay
            above = block.read(shared.above);
            auto in_bin = [&](std::int64_t i, double& own) { return chosen(i, own) && bin_of(own) == bin; };
            double new_low = low, new_high = high;
            narrow(block, shared, in_bin, new_low, new_high);
            low = new_low;
            high = new_high;
        }
        if (low == infinity) return {};  // nothing is allowed that weighs anything
        const unsigned long long each = weight(low);
        const unsigned long long ties = wanted > above ? (wanted - above + each - 1) / each : 1ull;
        Filter found;
        found.value = low;
        found.last = place(block, shared, static_cast<double>(ties) - 1.0,
                           [&](std::int64_t i) { return z(i) == low && allowed(i) ? 1.0 : 0.0; });
        return found;
    }
    /// The least and the greatest value of those chosen; +inf and -inf for none.
    template <class Block, class Chosen>
    ROARS_FN void narrow(Block& block, Shared& shared, Chosen chosen, double& low, double& high) const {
        block.each([&](int thread) {
            double least_own = infinity, own;
            for (std::int64_t i = thread; i < logits.vocabulary; i += threads)
                if (chosen(i, own)) least_own = math::min(least_own, own);
            shared.real[thread] = least_own;
        });
        reduce(block, shared.real, Least{});
        const double lowest = block.read(shared.real[0]);
        block.each([&](int thread) {
            double most = -infinity, own;
            for (std::int64_t i = thread; i < logits.vocabulary; i += threads)
                if (chosen(i, own)) most = math::max(most, own);
            shared.real[thread] = most;
        });
        reduce(block, shared.real, [](double a, double b) { return a < b ? b : a; });
        high = block.read(shared.real[0]);
        low = lowest;
    }
};

struct UniformOfRows {
    Random random;
    const std::int64_t *sequence, *token;
    double* uniform;
    ROARS_FN void operator()(std::int64_t r) const {
        uniform[r] = random.uniform(static_cast<std::uint32_t>(sequence[r]), static_cast<std::uint32_t>(token[r]));
    }
};

}  // namespace detail

/// u_r = random.uniform(sequence_r, token_r): the host's numbers. Shapes: [rows].
template <class D>
void uniform_of_rows(D& device, const Random& random, std::int64_t rows, const std::int64_t* sequence,
                     const std::int64_t* token, double* uniform) {
    for_each(device, rows, detail::UniformOfRows{random, sequence, token, uniform});
}

/// A token of each row of logits from one uniform number each: see roars::sample_row. The previous tokens of row r,
/// which the repetition penalty looks at, are previous[offsets[r]] .. previous[offsets[r + 1] - 1]; null for none.
/// Nothing waits: a row from which nothing can be drawn has a NoToken for a token. Errors: settings out of range, a
/// penalty on more than 262,144 tokens. Shapes: uniform, result [rows].
template <class D, class T>
void sample_rows(D& device, const Logits<T>& logits, const Generation& generation, const double* uniform,
                 Sampled* result, const std::int64_t* previous_offsets = nullptr,
                 const std::int32_t* previous = nullptr) {
    generation.validate();
    detail::check_logits(logits, logits.rows, 1.0);
    using Value = std::remove_const_t<T>;
    Logits<const Value> rows(logits.data, logits.rows, logits.vocabulary, logits.stride);
    if (generation.repetition_penalty != 1.0 && previous_offsets) {
        using Kernel = detail::SampleRows<Value, true>;
        expect(logits.vocabulary <= Kernel::most_penalised, [&] {
            return "a repetition penalty over " + std::to_string(logits.vocabulary) + " tokens, expected at most " +
                   std::to_string(Kernel::most_penalised);
        });
        device.launch(rows.rows, Kernel{rows, generation, uniform, result, previous_offsets, previous});
    } else {
        device.launch(rows.rows, detail::SampleRows<Value, false>{rows, generation, uniform, result, nullptr, nullptr});
    }
}

/// The tokens on the host; waits. Errors: the first row from which nothing could be drawn, and why.
template <class D>
std::vector<Sampled> read_samples(D& device, const Sampled* samples, std::int64_t rows) {
    auto result = read_values(device, samples, rows);
    for (std::int64_t r = 0; r < rows; ++r) {
        std::int64_t token = result[static_cast<std::size_t>(r)].token;
        auto why = [&]() -> const char* {
            switch (static_cast<NoToken>(token)) {
                case NoToken::bad_logit:
                    return "a logit is nan or inf, expected a number or -inf";
                case NoToken::none_allowed:
                    return "a row of logits allows no token: expected one above -inf";
                default:
                    return "a previous token is outside the vocabulary";
            }
        };
        expect(token >= 0, [&] { return "row " + std::to_string(r) + ": " + why(); });
    }
    return result;
}

}  // namespace roars::gpu

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
/// rounding of a sum (1e-15 of the mass; for top-p 1e-10) on a boundary. A row is read once; what else is looked at are
/// the stretches that can matter: a few of a language model's, all of them where top-p meets flat logits. Nothing is
/// sorted.
namespace roars::gpu {

/// What a row's `token` is where none could be drawn: read_samples makes an Error of it.
enum class NoToken : std::int64_t { bad_logit = -1, none_allowed = -2, bad_previous = -3 };

namespace detail {

/// max = largest x, sum = sum of e^((x - max) / temperature).
struct WeightSum {
    double max, sum;

    ROARS_FN static WeightSum none() { return {-std::numeric_limits<double>::infinity(), 0.0}; }
    ROARS_FN static double scaled(double difference, double temperature) {
        return temperature == 1.0 ? difference : difference / temperature;
    }
    /// The sum as if it had been taken around another maximum.
    ROARS_FN double around(double other, double temperature) const {
        return max == other || sum == 0.0 ? sum : sum * math::exp(scaled(max - other, temperature));
    }
    template <int count>
    ROARS_FN ROARS_INLINE void add(const double (&x)[count], double temperature) {
        double largest = max;
        for (int k = 0; k < count; ++k) largest = math::max(largest, x[k]);
        if (!(largest > -std::numeric_limits<double>::infinity())) return;
        sum = around(largest, temperature);
        max = largest;
        for (int k = 0; k < count; ++k) sum += math::exp(scaled(x[k] - max, temperature));
    }
};
/// Two sums of plain logits.
struct JoinSums {
    ROARS_FN WeightSum operator()(const WeightSum& a, const WeightSum& b) const {
        double max = math::max(a.max, b.max);
        return {max, a.around(max, 1.0) + b.around(max, 1.0)};
    }
};

struct Range {
    double low, high;
};
struct JoinRanges {
    ROARS_FN Range operator()(const Range& a, const Range& b) const {
        return {math::min(a.low, b.low), math::max(a.high, b.high)};
    }
};

/// A block draws from one row. It reads the row once, each thread a stretch of neighbours (a run) at a time, and keeps
/// of each run the largest logit and the mass of its weights: they tell in which run the drawn token lies, and which
/// runs a filter must look at once more.
template <class T, bool penalised>
class SampleRows {
public:
    static constexpr int threads = 256, lanes = 32, together = 16, most_runs = penalised ? 256 : 512;
    static constexpr int bins = 512, few = threads;
    /// Weights e^z that top-p counts are whole numbers of 2^-44, so that their sums do not depend on an order.
    static constexpr double unit = 17592186044416.0;
    static constexpr std::int64_t most_penalised = 262144;
    static constexpr double infinity = std::numeric_limits<double>::infinity();

    struct Found {
        unsigned long long mass[bins];
        unsigned members[bins];
        double z[few];
        std::int32_t place[few];
    };
    struct Shared {
        double run_max[most_runs], run_mass[most_runs];
        std::uint16_t listed_run[most_runs];
        union {
            double real[threads];
            std::int64_t whole[threads];
        };
        union {
            WeightSum full[threads];
            Found found;
            double run_top[most_runs];
            Range range[threads];
        };
        unsigned seen[penalised ? most_penalised / 32 : 1];
        std::int64_t low, high;
        double reached;
        unsigned long long above;
        unsigned listed, collected;
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
        const std::int64_t r = block.index();
        const bool greedy = generation.temperature == 0.0;
        Row row{logits.row(r), logits.vocabulary, greedy ? 1.0 : generation.temperature, generation.repetition_penalty,
                shared.seen};
        if constexpr (penalised)
            if (!mark_previous(block, shared, row, r)) return fail(block, r, NoToken::bad_previous);
        if (!read(block, shared, row)) return fail(block, r, NoToken::bad_logit);
        const WeightSum full = block.read(shared.full[0]);
        if (full.max == -infinity) return fail(block, r, NoToken::none_allowed);
        const double full_log_sum = full.max + std::log(full.sum);
        row.shift = largest_of_runs(block, shared, row);

        if (greedy) {
            auto is_largest = [](std::int64_t, double z) { return z == 0.0 ? 1.0 : 0.0; };
            weigh(block, shared, row, 0.0, is_largest);
            std::int64_t token = find(block, shared, row, 0.0, is_largest);
            return write(block, r, token, 0.0, row.plain(token) - full_log_sum);
        }
        double mass = mass_of_runs(block, shared, row, [&](int run) {
            return WeightSum{shared.run_max[run], shared.run_mass[run]}.around(row.shift, row.temperature);
        });
        Filter top_k, top_p;
        double lowest = -infinity;
        auto weight = [&](std::int64_t i, double z) {
            return top_k.keeps(z, i) && top_p.keeps(z, i) && !(z < lowest) ? math::exp(z) : 0.0;
        };
        if (generation.top_k > 0 && generation.top_k < row.size) {
            const auto wanted = static_cast<unsigned long long>(generation.top_k);
            const double bound = below_largest_runs(block, shared, row, wanted);
            top_k = filter(
                block, shared, row, [](double, std::int64_t) { return true; }, [](double) { return 1ull; }, wanted,
                bound);
            mass = weigh(block, shared, row, top_k.value, weight);
        }
        if (generation.top_p < 1.0) {
            const double wanted = math::max(1.0, std::ceil(generation.top_p * mass * unit));
            const double bound = below_mass_of_runs(block, shared, row, wanted / unit, top_k.value);
            top_p = filter(
                block, shared, row, [&](double z, std::int64_t i) { return top_k.keeps(z, i) && fixed(z) > 0; },
                [](double z) { return fixed(z); }, static_cast<unsigned long long>(wanted), bound);
        }
        if (generation.min_p > 0.0) lowest = std::log(generation.min_p);
        if (generation.top_p < 1.0 || generation.min_p > 0.0)
            mass = weigh(block, shared, row, math::max(lowest, math::max(top_k.value, top_p.value)), weight);
        std::int64_t token = find(block, shared, row, uniform[r] * mass, weight);
        write(block, r, token, row.z(token) - std::log(mass), row.plain(token) - full_log_sum);
    }

private:
    /// A row, and how it is cut into runs.
    struct Row {
        const T* logit;
        std::int64_t size;
        double temperature, penalty;
        const unsigned* seen;
        double shift = 0.0;
        std::int64_t run_size = pieces_of(pieces_of(size, most_runs), lanes) * lanes;
        int runs = static_cast<int>(pieces_of(size, run_size));

        ROARS_FN std::int64_t begin(int run) const { return run * run_size; }
        ROARS_FN std::int64_t end(int run) const { return least(begin(run) + run_size, size); }
        ROARS_FN static double number(const T& x) { return static_cast<double>(static_cast<SumOf<T>>(x)); }
        ROARS_FN double plain(std::int64_t i) const { return number(logit[i]); }
        /// Behind the penalty.
        ROARS_FN double x([[maybe_unused]] std::int64_t i, double plain) const {
            if constexpr (penalised)
                if (seen[i / 32] >> (i % 32) & 1u) return plain > 0.0 ? plain / penalty : plain * penalty;
            return plain;
        }
        ROARS_FN double x(std::int64_t i) const { return x(i, plain(i)); }
        ROARS_FN double scaled(double x) const { return WeightSum::scaled(x - shift, temperature); }
        ROARS_FN double z(std::int64_t i) const { return scaled(x(i)); }
        /// visit(at, count, plain) for `together` of a run's logits after another, read in whole packets.
        template <class Visit>
        ROARS_FN ROARS_INLINE void each_of_run(int run, Visit&& visit) const {
            constexpr int width = packet_width<T>;
            const bool aligned = is_aligned(logit);
            for (std::int64_t at = begin(run), last = end(run); at < last; at += together) {
                const auto count = static_cast<int>(least(together, last - at));
                double plain[together];
                for (int k = 0; k < together; k += width) {
                    const bool whole = aligned && k + width <= count;
                    auto packet = load_packet<T, width>(logit + at + k, count - k, whole);
                    for (int j = 0; j < width; ++j) plain[k + j] = k + j < count ? number(packet.value[j]) : -infinity;
                }
                visit(at, count, plain);
            }
        }
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

    /// False if a token is outside the vocabulary.
    template <class Block>
    ROARS_FN bool mark_previous(Block& block, Shared& shared, const Row& row, std::int64_t r) const {
        block.each([&](int thread) {
            for (std::int64_t i = thread; i < pieces_of(row.size, 32); i += threads) shared.seen[i] = 0u;
            shared.whole[thread] = 0;
        });
        block.each([&](int thread) {
            for (std::int64_t k = previous_offsets[r] + thread; k < previous_offsets[r + 1]; k += threads) {
                std::int64_t i = previous[k];
                if (i < 0 || i >= row.size)
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

    /// The one read of the whole row: run_max and run_mass behind penalty and temperature, each run around its own
    /// maximum, and full[0] of the plain logits. False if a logit is NaN or +inf.
    template <class Block>
    ROARS_FN bool read(Block& block, Shared& shared, const Row& row) const {
        const bool apart = penalised || row.temperature != 1.0;
        block.each([&](int thread) {
            WeightSum full = WeightSum::none();
            std::int64_t bad = 0;
            for (int run = thread; run < row.runs; run += threads) {
                WeightSum own = WeightSum::none();
                row.each_of_run(run, [&](std::int64_t at, int count, const double(&plain)[together]) {
                    double x[together];
                    for (int k = 0; k < together; ++k) {
                        bad += plain[k] < infinity ? 0 : 1;
                        x[k] = k < count ? row.x(at + k, plain[k]) : -infinity;
                    }
                    own.add(x, row.temperature);
                    if (apart) full.add(plain, 1.0);
                });
                shared.run_max[run] = own.max;
                shared.run_mass[run] = own.sum;
                if (!apart) full = JoinSums{}(full, own);
            }
            shared.full[thread] = full;
            shared.whole[thread] = bad;
        });
        reduce(block, shared.full, JoinSums{});
        reduce(block, shared.whole, Plus{});
        return block.read(shared.whole[0]) == 0;
    }
    template <class Block>
    ROARS_FN double largest_of_runs(Block& block, Shared& shared, const Row& row) const {
        block.each([&](int thread) {
            double own = -infinity;
            for (int run = thread; run < row.runs; run += threads) own = math::max(own, shared.run_max[run]);
            shared.real[thread] = own;
        });
        reduce(block, shared.real, Largest{});
        return block.read(shared.real[0]);
    }
    /// run_mass = mass(run); all of them together.
    template <class Block, class Mass>
    ROARS_FN double mass_of_runs(Block& block, Shared& shared, const Row& row, Mass mass) const {
        block.each([&](int thread) {
            double own = 0.0;
            for (int run = thread; run < row.runs; run += threads) {
                shared.run_mass[run] = mass(run);
                own += shared.run_mass[run];
            }
            shared.real[thread] = own;
        });
        reduce(block, shared.real, Plus{});
        return block.read(shared.real[0]);
    }
    /// The same from weights, of which those with z below `cut` are 0: runs that lie below it are not read.
    template <class Block, class Weight>
    ROARS_FN double weigh(Block& block, Shared& shared, const Row& row, double cut, Weight weight) const {
        return mass_of_runs(block, shared, row, [&](int run) {
            double own = 0.0;
            if (!(row.scaled(shared.run_max[run]) >= cut)) return own;
            row.each_of_run(run, [&](std::int64_t at, int count, const double(&plain)[together]) {
                for (int k = 0; k < together; ++k)
                    if (k < count) own += weight(at + k, row.scaled(row.x(at + k, plain[k])));
            });
            return own;
        });
    }

    /// The first place at which the weights, cumulated in order, exceed `wanted`; never one of weight 0. By run_mass
    /// first, then in that run.
    template <class Block, class Weight>
    ROARS_FN std::int64_t find(Block& block, Shared& shared, const Row& row, double wanted, Weight weight) const {
        block.each([&](int thread) {
            if (thread == 0) shared.reached = 0.0;
        });
        auto run = static_cast<int>(
            narrow(block, shared, 0, row.runs, wanted, [&](std::int64_t each) { return shared.run_mass[each]; }));
        return narrow(block, shared, row.begin(run), row.end(run), wanted,
                      [&](std::int64_t i) { return weight(i, row.z(i)); });
    }
    /// Each thread sums a stretch of [low, high), one of them is chosen and divided anew. `reached` is the sum before.
    template <class Block, class Weight>
    ROARS_FN std::int64_t narrow(Block& block, Shared& shared, std::int64_t low, std::int64_t high, double wanted,
                                 Weight weight) const {
        while (high - low > 1) {
            const std::int64_t size = pieces_of(high - low, threads);
            const auto pieces = static_cast<int>(pieces_of(high - low, size));
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
                for (int t = 0; t < pieces; ++t) {
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
            low = block.read(shared.low);
            high = block.read(shared.high);
        }
        return low;
    }

    /// Bins of z from `high` down to `low`, at most 64 wide: what lies further below shares the last one.
    struct Bins {
        double high, scale;
        ROARS_FN Bins(double low, double high_) : high(high_), scale((bins - 1) / math::min(high_ - low, 64.0)) {}
        ROARS_FN int of(double z) const {
            double at = scale < infinity ? (high - z) * scale : z == high ? 0.0 : bins - 1.0;
            return at < bins - 1.0 ? static_cast<int>(at) : bins - 1;
        }
        /// Nothing in `bin` lies lower.
        ROARS_FN double floor(int bin) const {
            return bin < bins - 1 && scale < infinity ? high - (bin + 1.001) / scale : -infinity;
        }
    };
    template <class Block>
    ROARS_FN void clear_bins(Block& block, Shared& shared) const {
        block.each([&](int thread) {
            for (int bin = thread; bin < bins; bin += threads) {
                shared.found.mass[bin] = 0;
                shared.found.members[bin] = 0;
            }
        });
    }
    /// The first bin at which `above` and the mass of the bins reach what is wanted, -1 if none does; shared.above is
    /// then what was reached before it.
    template <class Block>
    ROARS_FN int bin_that_reaches(Block& block, Shared& shared, unsigned long long above,
                                  unsigned long long wanted) const {
        block.each([&](int thread) {
            if (thread > 0) return;
            int bin = 0;
            for (; bin < bins && above + shared.found.mass[bin] < wanted; ++bin) above += shared.found.mass[bin];
            shared.bin = bin < bins ? bin : -1;
            shared.above = above;
        });
        return block.read(shared.bin);
    }
    /// A z that at least `wanted` tokens reach, because as many runs have one that does; -inf if there are not so many.
    template <class Block>
    ROARS_FN double below_largest_runs(Block& block, Shared& shared, const Row& row, unsigned long long wanted) const {
        const Bins by(-infinity, 0.0);
        clear_bins(block, shared);
        block.each([&](int thread) {
            for (int run = thread; run < row.runs; run += threads)
                block.add(shared.found.mass[by.of(row.scaled(shared.run_max[run]))], 1ull);
        });
        const int bin = bin_that_reaches(block, shared, 0, wanted);
        return bin < 0 ? -infinity : by.floor(bin);
    }
    /// A z above which lies `wanted` of the mass that run_mass counts, of which nothing is below `low`; at least `low`.
    /// Of a run of n tokens at least its largest weight lies above z, and at least its mass less n e^z.
    template <class Block>
    ROARS_FN double below_mass_of_runs(Block& block, Shared& shared, const Row& row, double wanted, double low) const {
        constexpr double step = 0.125, rounding = 1e-6;  // also of whole numbers: n / 2 of 2^-44
        block.each([&](int thread) {
            for (int run = thread; run < row.runs; run += threads) {
                const double z = row.scaled(shared.run_max[run]);
                shared.run_top[run] = z > low ? math::exp(z) : 0.0;
            }
        });
        block.each([&](int thread) {
            const double z = -step * (thread + 1), weight = math::exp(z),
                         most = static_cast<double>(row.run_size) * weight;
            double above = 0.0;
            for (int run = 0; run < row.runs; ++run) {
                const double top = shared.run_top[run];
                above += math::max(top >= weight ? top : 0.0, shared.run_mass[run] - most);
            }
            shared.real[thread] = above >= wanted * (1.0 + rounding) + rounding ? z : -infinity;
        });
        reduce(block, shared.real, Largest{});
        return math::max(low, block.read(shared.real[0]));
    }
    /// visit(i, z) for all tokens of finite z in [low, high], by any thread. Runs that lie below are not read.
    template <class Block, class Visit>
    ROARS_FN void visit_between(Block& block, Shared& shared, const Row& row, double low, double high,
                                Visit visit) const {
        block.each([&](int thread) {
            if (thread == 0) shared.listed = 0;
        });
        block.each([&](int thread) {
            for (int run = thread; run < row.runs; run += threads)
                if (row.scaled(shared.run_max[run]) >= low)
                    shared.listed_run[block.add(shared.listed, 1u)] = static_cast<std::uint16_t>(run);
        });
        const auto listed = static_cast<int>(block.read(shared.listed));
        block.each([&](int thread) {
            for (int at = thread / lanes; at < listed; at += threads / lanes) {
                const int run = shared.listed_run[at];
                for (std::int64_t i = row.begin(run) + thread % lanes, end = row.end(run); i < end; i += lanes)
                    if (double z = row.z(i); z >= low && z <= high && z > -infinity) visit(thread, i, z);
            }
        });
    }

    /// Of what is allowed, by falling z, as little as has `wanted` of the weight; of equal ones those of lowest place.
    /// `low`: what is known to be at or below the last one, or -inf. A histogram tells which bin the last one is in; a
    /// bin of few is then ranked, one of many is divided anew.
    template <class Block, class Allowed, class Weight>
    ROARS_FN Filter filter(Block& block, Shared& shared, const Row& row, Allowed allowed, Weight weight,
                           unsigned long long wanted, double low) const {
        double high = 0.0;
        unsigned long long above = 0;
        for (;;) {
            const Bins by(low, high);
            clear_bins(block, shared);
            visit_between(block, shared, row, low, high, [&](int, std::int64_t i, double z) {
                if (!allowed(z, i)) return;
                block.add(shared.found.mass[by.of(z)], weight(z));
                block.add(shared.found.members[by.of(z)], 1u);
            });
            const int bin = bin_that_reaches(block, shared, above, wanted);
            if (bin < 0) return {};  // there is not that much: all stay
            above = block.read(shared.above);
            auto visit_bin = [&](auto visit) {
                visit_between(block, shared, row, math::max(low, by.floor(bin)), high,
                              [&](int thread, std::int64_t i, double z) {
                                  if (by.of(z) == bin && allowed(z, i)) visit(thread, i, z);
                              });
            };
            if (block.read(shared.found.members[bin]) <= few) {
                block.each([&](int thread) {
                    if (thread == 0) shared.collected = 0;
                });
                visit_bin([&](int, std::int64_t i, double z) {
                    const unsigned at = block.add(shared.collected, 1u);
                    shared.found.z[at] = z;
                    shared.found.place[at] = static_cast<std::int32_t>(i);
                    shared.found.mass[at] = weight(z);
                });
                return last_of_few(block, shared, above, wanted);
            }
            const Range range = range_of(block, shared, visit_bin);
            low = range.low;
            high = range.high;
            if (low == high) {
                const unsigned long long each = weight(low), ties = (wanted - above + each - 1) / each;
                auto equal = [&](std::int64_t i, double z) { return z == low && allowed(z, i) ? 1.0 : 0.0; };
                weigh(block, shared, row, low, equal);
                return {low, find(block, shared, row, static_cast<double>(ties) - 1.0, equal)};
            }
        }
    }
    /// The least and the largest value of a bin.
    template <class Block, class VisitBin>
    ROARS_FN Range range_of(Block& block, Shared& shared, VisitBin visit_bin) const {
        block.each([&](int thread) { shared.range[thread] = {infinity, -infinity}; });
        visit_bin([&](int thread, std::int64_t, double z) {
            shared.range[thread] = JoinRanges{}(shared.range[thread], {z, z});
        });
        reduce(block, shared.range, JoinRanges{});
        return block.read(shared.range[0]);
    }
    /// The collected one with which, behind those that come first, `wanted` is reached.
    template <class Block>
    ROARS_FN Filter last_of_few(Block& block, Shared& shared, unsigned long long above,
                                unsigned long long wanted) const {
        const auto& found = shared.found;
        const auto count = static_cast<int>(block.read(shared.collected));
        block.each([&](int thread) {
            if (thread >= count) return;
            const double z = found.z[thread];
            const std::int32_t place = found.place[thread];
            unsigned long long before = above;
            for (int k = 0; k < count; ++k)
                if (found.z[k] > z || (found.z[k] == z && found.place[k] < place)) before += found.mass[k];
            if (before >= wanted || before + found.mass[thread] < wanted) return;
            shared.reached = z;
            shared.low = place;
        });
        const double value = block.read(shared.reached);
        return {value, block.read(shared.low)};
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

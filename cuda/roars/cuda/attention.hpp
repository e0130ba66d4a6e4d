#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>

#include "roars/cuda/log_softmax.hpp"

/// Causal attention over packed sequences, a tile of queries and a head a block: scores are never stored. Products are
/// plain sums in Real, not tensor cores: for small heads and short sequences.
namespace roars::gpu {

/// Tokens of sequences that lie one after another. `position` of each in its sequence, `end` of its sequence. Shapes:
/// [tokens].
struct PackedTokens {
    const std::int32_t* token = nullptr;
    const std::int64_t *position = nullptr, *end = nullptr;
    std::int64_t tokens = 0;

    ROARS_FN bool sees(std::int64_t query, std::int64_t key) const {
        return query < tokens && key <= query && key >= query - position[query];
    }
};

/// What one head has in rows of all heads: feature f of a row, or its only number.
template <class T>
struct RowsOfHead {
    T* values;
    std::int64_t stride, begin;
    ROARS_FN T& operator()(std::int64_t row, std::int64_t f = 0) const { return values[row * stride + begin + f]; }
};
/// Which part of a row of `projected`.
enum class Part { query, key, value };
/// Heads side by side: a row of `projected` is query, key, value, each [heads x size]; a row of mixed values is [heads
/// x size], a row of numbers [heads].
struct Heads {
    std::int64_t heads;
    int size;
    double scale;
    ROARS_FN std::int64_t width() const { return heads * size; }
    template <class T>
    ROARS_FN RowsOfHead<T> part(T* projected, Part which, std::int64_t head) const {
        return {projected, 3 * width(), static_cast<int>(which) * width() + head * size};
    }
    template <class T>
    ROARS_FN RowsOfHead<T> mixed(T* rows, std::int64_t head) const {
        return {rows, width(), head * size};
    }
    template <class T>
    ROARS_FN RowsOfHead<T> number(T* rows, std::int64_t head) const {
        return {rows, heads, head};
    }
};

namespace detail {

/// How many rows are in shared memory at a time, for heads of up to `most` features.
template <class Real, int most>
struct AttentionTile {
    static constexpr int threads = 128, wide = static_cast<int>(sizeof(Real) / sizeof(float));
    static constexpr int queries = 16 / wide, keys = 2048 / most / wide, few_queries = 8 / wide;
};
template <class Real>
struct Sight {
    static constexpr Real none = -std::numeric_limits<Real>::infinity();
};

/// rows[r][f] = from(first + r, f), 0 from `last` on.
template <int columns, class Real, class From>
ROARS_FN ROARS_INLINE void load_rows(Real (*rows)[columns], int count, int size, std::int64_t first, std::int64_t last,
                                     int thread, int threads, From from) {
    for (int i = thread; i < count * size; i += threads) {
        int r = i / size, f = i % size;
        rows[r][f] = first + r < last ? from(first + r, f) : Real(0);
    }
}
template <class Real>
ROARS_FN ROARS_INLINE Real dot(const Real* a, const Real* b, int size) {
    Real sum(0);
    for (int f = 0; f < size; ++f) sum += a[f] * b[f];
    return sum;
}

/// mixed_q = sum_k softmax_k(scale q . k) v_k over the keys that q sees; log_sum_q [tokens x heads] = log of the
/// normaliser. The softmax is kept around the largest score so far.
template <class Real, class Factor, int most>
struct Attend {
    using Tile = AttentionTile<Real, most>;
    static constexpr int threads = Tile::threads, queries = Tile::queries, keys = Tile::keys;
    struct Shared {
        Real query[queries][most], sum[queries][most], key[keys][most + 1], value[keys][most + 1];
        Real score[queries][keys], largest[queries], total[queries], factor[queries];
    };
    PackedTokens packed;
    Heads heads;
    const Real* projected;
    Factor* mixed;
    Real* log_sum;

    template <class Block>
    ROARS_FN void operator()(Block& block, Shared& shared) const {
        const std::int64_t head = block.index() % heads.heads, first = block.index() / heads.heads * queries;
        const std::int64_t last = least(first + queries, packed.tokens);
        const int size = heads.size;
        const auto query = heads.part(projected, Part::query, head), key = heads.part(projected, Part::key, head),
                   value = heads.part(projected, Part::value, head);
        block.each([&](int thread) {
            load_rows(shared.query, queries, size, first, last, thread, threads, query);
            for (int i = thread; i < queries * size; i += threads) shared.sum[i / size][i % size] = Real(0);
            if (thread >= queries) return;
            shared.largest[thread] = Sight<Real>::none;
            shared.total[thread] = Real(0);
        });
        for (std::int64_t begin = first - packed.position[first]; begin < last; begin += keys) {
            block.each([&](int thread) {
                load_rows(shared.key, keys, size, begin, last, thread, threads, key);
                load_rows(shared.value, keys, size, begin, last, thread, threads, value);
            });
            block.each([&](int thread) {
                for (int i = thread; i < queries * keys; i += threads) {
                    int q = i / keys, k = i % keys;
                    shared.score[q][k] =
                        packed.sees(first + q, begin + k)
                            ? static_cast<Real>(heads.scale) * dot(shared.query[q], shared.key[k], size)
                            : Sight<Real>::none;
                }
            });
            block.each([&](int q) {
                if (q >= queries) return;
                Real largest = shared.largest[q];
                for (int k = 0; k < keys; ++k) largest = math::max(largest, shared.score[q][k]);
                shared.factor[q] = largest == Sight<Real>::none ? Real(1) : math::exp(shared.largest[q] - largest);
                shared.largest[q] = largest;
            });
            block.each([&](int thread) {
                for (int i = thread; i < queries * keys; i += threads) {
                    Real& score = shared.score[i / keys][i % keys];
                    score = score == Sight<Real>::none ? Real(0) : math::exp(score - shared.largest[i / keys]);
                }
            });
            block.each([&](int thread) {
                for (int i = thread; i < queries * size; i += threads) {
                    int q = i / size, f = i % size;
                    Real sum = shared.sum[q][f] * shared.factor[q];
                    for (int k = 0; k < keys; ++k) sum += shared.score[q][k] * shared.value[k][f];
                    shared.sum[q][f] = sum;
                }
                if (thread >= queries) return;
                Real total = shared.total[thread] * shared.factor[thread];
                for (int k = 0; k < keys; ++k) total += shared.score[thread][k];
                shared.total[thread] = total;
            });
        }
        block.each([&](int thread) {
            for (int i = thread; i < queries * size; i += threads) {
                int q = i / size, f = i % size;
                if (first + q >= last) continue;
                heads.mixed(mixed, head)(first + q, f) = static_cast<Factor>(shared.sum[q][f] / shared.total[q]);
            }
            if (thread < queries && first + thread < last)
                heads.number(log_sum, head)(first + thread) =
                    shared.largest[thread] + static_cast<Real>(std::log(shared.total[thread]));
        });
    }
};

/// With P the probabilities, O = sum_k P v_k: dP = dO . v, dS = scale P (dP - O . dO), dq = sum_k dS k. Keeps O . dO
/// [tokens x heads] for the keys.
template <class Real, class Factor, int most>
struct AttendQueriesBackward {
    using Tile = AttentionTile<Real, most>;
    static constexpr int threads = Tile::threads, queries = Tile::queries, keys = Tile::keys;
    struct Shared {
        Real query[queries][most], out[queries][most], grad[queries][most], key[keys][most + 1], value[keys][most + 1];
        Real score[queries][keys], along[queries], log_sum[queries];
    };
    PackedTokens packed;
    Heads heads;
    const Real* projected;
    const Factor* mixed;
    const Real *log_sum, *grad_mixed;
    Real *along, *grad_projected;

    template <class Block>
    ROARS_FN void operator()(Block& block, Shared& shared) const {
        const std::int64_t head = block.index() % heads.heads, first = block.index() / heads.heads * queries;
        const std::int64_t last = least(first + queries, packed.tokens);
        const int size = heads.size;
        const auto query = heads.part(projected, Part::query, head), key = heads.part(projected, Part::key, head),
                   value = heads.part(projected, Part::value, head);
        const auto out = heads.mixed(mixed, head);
        const auto grad_out = heads.mixed(grad_mixed, head);
        block.each([&](int thread) {
            load_rows(shared.query, queries, size, first, last, thread, threads, query);
            load_rows(shared.out, queries, size, first, last, thread, threads, grad_out);
            for (int i = thread; i < queries * size; i += threads) shared.grad[i / size][i % size] = Real(0);
        });
        block.each([&](int q) {
            if (q >= queries || first + q >= last) return;
            Real sum(0);
            for (int f = 0; f < size; ++f)
                sum += static_cast<Real>(static_cast<SumOf<Factor>>(out(first + q, f))) * shared.out[q][f];
            shared.along[q] = heads.number(along, head)(first + q) = sum;
            shared.log_sum[q] = heads.number(log_sum, head)(first + q);
        });
        for (std::int64_t begin = first - packed.position[first]; begin < last; begin += keys) {
            block.each([&](int thread) {
                load_rows(shared.key, keys, size, begin, last, thread, threads, key);
                load_rows(shared.value, keys, size, begin, last, thread, threads, value);
            });
            block.each([&](int thread) {
                const Real scale = static_cast<Real>(heads.scale);
                for (int i = thread; i < queries * keys; i += threads) {
                    int q = i / keys, k = i % keys;
                    Real slope(0);
                    if (packed.sees(first + q, begin + k)) {
                        Real p = math::exp(scale * dot(shared.query[q], shared.key[k], size) - shared.log_sum[q]);
                        slope = scale * p * (dot(shared.out[q], shared.value[k], size) - shared.along[q]);
                    }
                    shared.score[q][k] = slope;
                }
            });
            block.each([&](int thread) {
                for (int i = thread; i < queries * size; i += threads) {
                    int q = i / size, f = i % size;
                    Real sum = shared.grad[q][f];
                    for (int k = 0; k < keys; ++k) sum += shared.score[q][k] * shared.key[k][f];
                    shared.grad[q][f] = sum;
                }
            });
        }
        block.each([&](int thread) {
            for (int i = thread; i < queries * size; i += threads)
                if (int q = i / size, f = i % size; first + q < last)
                    heads.part(grad_projected, Part::query, head)(first + q, f) = shared.grad[q][f];
        });
    }
};

/// dk = sum_q dS q, dv = sum_q P dO: a tile of keys a block, over the queries that see them.
template <class Real, int most>
struct AttendKeysBackward {
    using Tile = AttentionTile<Real, most>;
    static constexpr int threads = Tile::threads, queries = Tile::few_queries, keys = Tile::keys;
    struct Shared {
        Real key[keys][most], value[keys][most], grad_key[keys][most], grad_value[keys][most];
        Real query[queries][most + 1], out[queries][most + 1], slope[queries][keys], probability[queries][keys];
    };
    PackedTokens packed;
    Heads heads;
    const Real *projected, *log_sum, *grad_mixed, *along;
    Real* grad_projected;

    template <class Block>
    ROARS_FN void operator()(Block& block, Shared& shared) const {
        const std::int64_t head = block.index() % heads.heads, first = block.index() / heads.heads * keys;
        const std::int64_t last = least(first + keys, packed.tokens), until = packed.end[last - 1];
        const int size = heads.size;
        const auto query = heads.part(projected, Part::query, head), key = heads.part(projected, Part::key, head),
                   value = heads.part(projected, Part::value, head);
        const auto grad_out = heads.mixed(grad_mixed, head);
        block.each([&](int thread) {
            load_rows(shared.key, keys, size, first, last, thread, threads, key);
            load_rows(shared.value, keys, size, first, last, thread, threads, value);
            for (int i = thread; i < keys * size; i += threads)
                shared.grad_key[i / size][i % size] = shared.grad_value[i / size][i % size] = Real(0);
        });
        for (std::int64_t begin = first; begin < until; begin += queries) {
            block.each([&](int thread) {
                load_rows(shared.query, queries, size, begin, until, thread, threads, query);
                load_rows(shared.out, queries, size, begin, until, thread, threads, grad_out);
            });
            block.each([&](int thread) {
                const Real scale = static_cast<Real>(heads.scale);
                for (int i = thread; i < queries * keys; i += threads) {
                    int q = i / keys, k = i % keys;
                    Real p(0), slope(0);
                    if (first + k < last && packed.sees(begin + q, first + k)) {
                        p = math::exp(scale * dot(shared.query[q], shared.key[k], size) -
                                      heads.number(log_sum, head)(begin + q));
                        slope = scale * p *
                                (dot(shared.out[q], shared.value[k], size) - heads.number(along, head)(begin + q));
                    }
                    shared.probability[q][k] = p;
                    shared.slope[q][k] = slope;
                }
            });
            block.each([&](int thread) {
                for (int i = thread; i < keys * size; i += threads) {
                    int k = i / size, f = i % size;
                    Real of_key = shared.grad_key[k][f], of_value = shared.grad_value[k][f];
                    for (int q = 0; q < queries; ++q) {
                        of_key += shared.slope[q][k] * shared.query[q][f];
                        of_value += shared.probability[q][k] * shared.out[q][f];
                    }
                    shared.grad_key[k][f] = of_key;
                    shared.grad_value[k][f] = of_value;
                }
            });
        }
        block.each([&](int thread) {
            for (int i = thread; i < keys * size; i += threads) {
                int k = i / size, f = i % size;
                if (first + k >= last) continue;
                heads.part(grad_projected, Part::key, head)(first + k, f) = shared.grad_key[k][f];
                heads.part(grad_projected, Part::value, head)(first + k, f) = shared.grad_value[k][f];
            }
        });
    }
};

/// Keys and values of rollouts: [rollout][layer][key, value][position][width].
template <class Real>
struct KeyValueCache {
    Real* data;
    std::int64_t layers, capacity, width;
    ROARS_FN Real* at(std::int64_t rollout, std::int64_t layer, int part, std::int64_t position) const {
        return data + (((rollout * layers + layer) * 2 + part) * capacity + position) * width;
    }
};

/// One query a rollout against its cached keys: row i is rollout[i], whose last position is position[i].
template <class Real, class Factor, int most>
struct AttendCached {
    static constexpr int threads = 128;
    struct Shared {
        Real query[most], sum[most], score[threads], tree[threads];
        Real largest, total, factor;
    };
    Heads heads;
    KeyValueCache<Real> cache;
    std::int64_t layer;
    const std::int64_t *rollout, *position;
    const Real* projected;
    Factor* mixed;

    template <class Block>
    ROARS_FN void operator()(Block& block, Shared& shared) const {
        const std::int64_t head = block.index() % heads.heads, row = block.index() / heads.heads;
        const std::int64_t seen = position[row] + 1, of = rollout[row];
        const int size = heads.size;
        block.each([&](int thread) {
            for (int f = thread; f < size; f += threads) {
                shared.query[f] = heads.part(projected, Part::query, head)(row, f);
                shared.sum[f] = Real(0);
            }
            if (thread > 0) return;
            shared.largest = Sight<Real>::none;
            shared.total = Real(0);
        });
        for (std::int64_t begin = 0; begin < seen; begin += threads) {
            const int count = static_cast<int>(least(threads, seen - begin));
            block.each([&](int k) {
                shared.score[k] = shared.tree[k] =
                    k < count ? static_cast<Real>(heads.scale) *
                                    dot(shared.query, cache.at(of, layer, 0, begin + k) + head * size, size)
                              : Sight<Real>::none;
            });
            reduce(block, shared.tree, Largest{});
            block.each([&](int thread) {
                if (thread > 0) return;
                Real largest = math::max(shared.largest, shared.tree[0]);
                shared.factor = math::exp(shared.largest - largest);
                shared.largest = largest;
            });
            block.each([&](int k) {
                shared.score[k] = shared.tree[k] = k < count ? math::exp(shared.score[k] - shared.largest) : Real(0);
            });
            reduce(block, shared.tree, Plus{});
            block.each([&](int thread) {
                for (int f = thread; f < size; f += threads) {
                    Real sum = shared.sum[f] * shared.factor;
                    for (int k = 0; k < count; ++k)
                        sum += shared.score[k] * cache.at(of, layer, 1, begin + k)[head * size + f];
                    shared.sum[f] = sum;
                }
                if (thread == 0) shared.total = shared.total * shared.factor + shared.tree[0];
            });
        }
        block.each([&](int thread) {
            for (int f = thread; f < size; f += threads)
                heads.mixed(mixed, head)(row, f) = static_cast<Factor>(shared.sum[f] / shared.total);
        });
    }
};

inline constexpr int largest_head = 128;
/// use(integral constant) with the room that a head of `size` needs.
template <class Use>
void with_room_for(int size, Use&& use) {
    if (size <= 32)
        use(std::integral_constant<int, 32>{});
    else if (size <= 64)
        use(std::integral_constant<int, 64>{});
    else
        use(std::integral_constant<int, largest_head>{});
}

}  // namespace detail

/// Shapes: projected [tokens x 3 width], rotated; mixed [tokens x width]; log_sum [tokens x heads].
template <class D, class Real, class Factor>
void attend(D& device, const PackedTokens& packed, const Heads& heads, const Real* projected, Factor* mixed,
            Real* log_sum) {
    detail::with_room_for(heads.size, [&](auto most) {
        using Kernel = detail::Attend<Real, Factor, decltype(most)::value>;
        device.launch(pieces_of(packed.tokens, Kernel::queries) * heads.heads,
                      Kernel{packed, heads, projected, mixed, log_sum});
    });
}
/// grad_projected [tokens x 3 width], overwritten, from grad_mixed [tokens x width].
template <class D, class Real, class Factor>
void attend_backward(D& device, const PackedTokens& packed, const Heads& heads, const Real* projected,
                     const Factor* mixed, const Real* log_sum, const Real* grad_mixed, Real* grad_projected) {
    Frame<D> frame(device);
    auto* along = frame.template take<Real>(packed.tokens * heads.heads);
    detail::with_room_for(heads.size, [&](auto most) {
        using Queries = detail::AttendQueriesBackward<Real, Factor, decltype(most)::value>;
        using Keys = detail::AttendKeysBackward<Real, decltype(most)::value>;
        device.launch(pieces_of(packed.tokens, Queries::queries) * heads.heads,
                      Queries{packed, heads, projected, mixed, log_sum, grad_mixed, along, grad_projected});
        device.launch(pieces_of(packed.tokens, Keys::keys) * heads.heads,
                      Keys{packed, heads, projected, log_sum, grad_mixed, along, grad_projected});
    });
}

}  // namespace roars::gpu

#pragma once

#include <cmath>
#include <cstdint>

#include "roars/cuda/attention.hpp"
#include "roars/cuda/products.hpp"

/// What lies between the matrix products of a transformer: norms, rotations, gates, and sums over rows.
namespace roars::gpu::detail {

/// y_i = gain x / sqrt(mean(x^2) + 1e-5) of row x = input[row[i]], or input[i] where `row` is null.
template <class Real, class Factor>
struct NormaliseRows {
    static constexpr int threads = 128;
    struct Shared {
        Real sum[threads];
    };
    const Real* input;
    const std::int64_t* row;
    std::int64_t width;
    const Real* gain;
    Real* inverse_root;
    Factor* output;

    template <class Block>
    ROARS_FN void operator()(Block& block, Shared& shared) const {
        const std::int64_t i = block.index();
        const Real* x = input + (row ? row[i] : i) * width;
        block.each([&](int thread) {
            Real own(0);
            for (std::int64_t f = thread; f < width; f += threads) own += x[f] * x[f];
            shared.sum[thread] = own;
        });
        reduce(block, shared.sum, Plus{});
        block.each([&](int thread) {
            Real inverse = Real(1) / math::sqrt(shared.sum[0] / static_cast<Real>(width) + Real(1e-5));
            if (thread == 0) inverse_root[i] = inverse;
            for (std::int64_t f = thread; f < width; f += threads)
                output[i * width + f] = static_cast<Factor>(x[f] * gain[f] * inverse);
        });
    }
};

/// grad_input_i (+)= inverse_root (gain dy - h mean(gain dy h)), h = x inverse_root.
template <class Real>
struct NormaliseRowsBackward {
    static constexpr int threads = 128;
    struct Shared {
        Real sum[threads];
    };
    const Real* input;
    const std::int64_t* row;
    std::int64_t width;
    const Real *gain, *inverse_root, *grad_output;
    Real* grad_input;
    bool adds;

    template <class Block>
    ROARS_FN void operator()(Block& block, Shared& shared) const {
        const std::int64_t i = block.index();
        const Real *x = input + (row ? row[i] : i) * width, *dy = grad_output + i * width;
        const Real inverse = inverse_root[i];
        block.each([&](int thread) {
            Real own(0);
            for (std::int64_t f = thread; f < width; f += threads) own += gain[f] * dy[f] * x[f];
            shared.sum[thread] = own;
        });
        reduce(block, shared.sum, Plus{});
        block.each([&](int thread) {
            const Real along = shared.sum[0] / static_cast<Real>(width) * inverse * inverse;
            for (std::int64_t f = thread; f < width; f += threads) {
                Real slope = inverse * (gain[f] * dy[f] - x[f] * along);
                Real& to = grad_input[i * width + f];
                to = adds ? to + slope : slope;
            }
        });
    }
};

/// Sums of value(row, column) over slabs of rows, which AddSlabs then joins: a tree that depends on sizes alone.
template <class Real, class Value>
struct SumSlabs {
    static constexpr int threads = 128, slab = 64;
    struct Shared {};
    std::int64_t rows, columns;
    Value value;
    Real* partial;

    template <class Block>
    ROARS_FN void operator()(Block& block, Shared&) const {
        const std::int64_t first = block.index() * slab, last = least(first + slab, rows);
        block.each([&](int thread) {
            for (std::int64_t f = thread; f < columns; f += threads) {
                Real sum(0);
                for (std::int64_t i = first; i < last; ++i) sum += value(i, f);
                partial[block.index() * columns + f] = sum;
            }
        });
    }
};
template <class Real>
struct AddSlabs {
    const Real* partial;
    std::int64_t slabs, columns;
    Real* to;
    ROARS_FN void operator()(std::int64_t f) const {
        Real sum(0);
        for (std::int64_t s = 0; s < slabs; ++s) sum += partial[s * columns + f];
        to[f] += sum;
    }
};
/// to[column] += the sum over rows of value(row, column).
template <class Real, class D, class Value>
void add_column_sums(D& device, std::int64_t rows, std::int64_t columns, const Value& value, Real* to) {
    using Kernel = SumSlabs<Real, Value>;
    std::int64_t slabs = pieces_of(rows, Kernel::slab);
    Frame<D> frame(device);
    auto* partial = frame.template take<Real>(slabs * columns);
    device.launch(slabs, Kernel{rows, columns, value, partial});
    for_each(device, columns, AddSlabs<Real>{partial, slabs, columns, to});
}

/// The gain's slope at a row and a feature.
template <class Real>
struct GainSlope {
    const Real* input;
    const std::int64_t* row;
    std::int64_t width;
    const Real *inverse_root, *grad_output;
    ROARS_FN Real operator()(std::int64_t i, std::int64_t f) const {
        return grad_output[i * width + f] * input[(row ? row[i] : i) * width + f] * inverse_root[i];
    }
};
template <class Real>
struct ValueAt {
    const Real* value;
    ROARS_FN Real operator()(std::int64_t i, std::int64_t) const { return value[i]; }
};

template <class Real>
struct GatherRows {
    const Real* from;
    const std::int32_t* row;
    std::int64_t width;
    Real* to;
    ROARS_FN void operator()(std::int64_t i) const {
        to[i] = from[static_cast<std::int64_t>(row[i / width]) * width + i % width];
    }
};
/// to_t = the sum of the rows i with row[i] = t; rows ascend, first[t] is the first of them or -1.
template <class Real>
struct ScatterRows {
    const Real* from;
    const std::int64_t *row, *first;
    std::int64_t rows, width;
    Real* to;
    ROARS_FN void operator()(std::int64_t i) const {
        std::int64_t t = i / width, f = i % width;
        Real sum(0);
        for (std::int64_t r = first[t]; r >= 0 && r < rows && row[r] == t; ++r) sum += from[r * width + f];
        to[i] = sum;
    }
};
/// to_v += the rows of the places that hold token v, in their order. Element: a kind of token, a feature.
template <class Real>
struct AddRowsOfTokens {
    const Real* from;
    const std::int32_t* token;
    const std::int64_t *by_token, *group;
    std::int64_t width;
    Real* to;
    ROARS_FN void operator()(std::int64_t i) const {
        std::int64_t kind = i / width, f = i % width;
        Real sum(0);
        for (std::int64_t k = group[kind]; k < group[kind + 1]; ++k) sum += from[by_token[k] * width + f];
        to[token[by_token[group[kind]]] * width + f] += sum;
    }
};

/// Rotates the pairs (i, i + half) of query and key by the angles of the row's position; direction -1 undoes it. What
/// is no query or key is copied. Element: a row, a part, a head, a pair.
template <class From, class To>
struct Rotate {
    const From* from;
    To* to;
    int parts;  ///< 2: query and key, 3: the value too
    Heads heads;
    const std::int64_t* position;
    const From *cosine, *sine;  ///< [max_length x half]
    From direction;
    ROARS_FN void operator()(std::int64_t index) const {
        const std::int64_t half = heads.size / 2, i = index % half, head = index / half % heads.heads;
        const std::int64_t rest = index / half / heads.heads, row = rest / parts;
        const auto part = static_cast<Part>(rest % parts);
        const auto read = heads.part(from, part, head);
        const auto write = heads.part(to, part, head);
        const From a = read(row, i), b = read(row, i + half);
        if (part == Part::value) {
            write(row, i) = static_cast<To>(a);
            write(row, i + half) = static_cast<To>(b);
            return;
        }
        const From c = cosine[position[row] * half + i], s = direction * sine[position[row] * half + i];
        write(row, i) = static_cast<To>(a * c - b * s);
        write(row, i + half) = static_cast<To>(a * s + b * c);
    }
    template <class D>
    void run(D& device, std::int64_t rows) const {
        for_each(device, rows * parts * heads.width() / 2, *this);
    }
};

/// silu(u) = u s, s = 1 / (1 + e^-u).
template <class Real, class Factor>
struct Silu {
    const Real* raised;
    Factor* activated;
    ROARS_FN void operator()(std::int64_t i) const {
        activated[i] = static_cast<Factor>(raised[i] * math::sigmoid(raised[i]));
    }
};
/// silu' = s (1 + u (1 - s)).
template <class Real, class Factor>
struct SiluBackward {
    const Real *raised, *grad;
    Factor* to;
    ROARS_FN void operator()(std::int64_t i) const {
        Real u = raised[i], s = math::sigmoid(u);
        to[i] = static_cast<Factor>(grad[i] * (s * (Real(1) + u * (Real(1) - s))));
    }
};

template <class Real>
struct AddBias {
    const Real* bias;
    Real* to;
    ROARS_FN void operator()(std::int64_t i) const { to[i] += *bias; }
};

/// A prompt's keys and values into the cache of each of its rollouts, of one layer. Element: a rollout, a part, a
/// position, a feature.
template <class Real>
struct ForkPrompts {
    const Real* projected;
    KeyValueCache<Real> cache;
    std::int64_t layer, longest;
    const std::int64_t *first, *length;  ///< of a rollout's prompt
    ROARS_FN void operator()(std::int64_t index) const {
        const std::int64_t f = index % cache.width, position = index / cache.width % longest;
        const std::int64_t rest = index / cache.width / longest, rollout = rest / 2;
        const int part = static_cast<int>(rest % 2);
        if (position >= length[rollout]) return;
        cache.at(rollout, layer, part, position)[f] =
            projected[((first[rollout] + position) * 3 + 1 + part) * cache.width + f];
    }
};
/// A row's key and value to the end of its rollout's cache.
template <class Real>
struct AppendToCache {
    const Real* projected;
    KeyValueCache<Real> cache;
    std::int64_t layer;
    const std::int64_t *rollout, *position;
    ROARS_FN void operator()(std::int64_t index) const {
        const std::int64_t f = index % cache.width, row = index / cache.width / 2;
        const int part = static_cast<int>(index / cache.width % 2);
        cache.at(rollout[row], layer, part, position[row])[f] = projected[(3 * row + 1 + part) * cache.width + f];
    }
};

}  // namespace roars::gpu::detail

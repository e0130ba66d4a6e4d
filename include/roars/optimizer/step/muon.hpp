#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/fields.hpp"
#include "roars/optimizer/step/adamw.hpp"

namespace roars::step {

/// A matrix within the flat parameters: elements [offset, offset + rows columns), row by row.
struct MatrixPlace {
    std::int64_t offset = 0, rows = 0, columns = 0;
    std::int64_t end() const { return offset + rows * columns; }
};
ROARS_FIELDS(MatrixPlace, offset, rows, columns)

/// Tells a rule where the matrices are, however deep the part that asks for it stands in wrappers. Nothing for a rule
/// that treats all parameters alike.
template <class State>
void set_matrices(State& state, std::span<const MatrixPlace> matrices) {
    if constexpr (requires { state.matrices; })
        state.matrices.assign(matrices.begin(), matrices.end());
    else if constexpr (requires { state.base; })
        set_matrices(state.base, matrices);
}

/// One iteration of Newton-Schulz: with A = X X^T, X becomes a X + (b A + c A^2) X.
struct Quintic {
    double a = 3.4445, b = -4.775, c = 2.0315;
};
ROARS_FIELDS(Quintic, a, b, c)

namespace detail {

template <class Real>
using Dense = Eigen::Matrix<Real, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// b = momentum b + g;  u = g + momentum b.
template <class V>
struct MuonMomentum {
    V factor, keep;
    ROARS_FN ROARS_INLINE void operator()(const V& gradient, V& b, V& u) const {
        V g = gradient * factor;
        b = keep * b + g;
        u = g + keep * b;
    }
};
/// theta = theta - (stretch u + decay theta).
template <class V>
struct MuonUpdate {
    V stretch, decay;
    ROARS_FN ROARS_INLINE void operator()(const V& u, V& theta) const { theta = theta - (stretch * u + decay * theta); }
};

/// left right, in panels of rows whose cut depends on the size alone.
template <class Real>
Dense<Real> product(const Dense<Real>& left, const Dense<Real>& right) {
    constexpr std::int64_t panel = 64;
    Dense<Real> result(left.rows(), right.cols());
    backend::Host host;
    parallel_for(host, (left.rows() + panel - 1) / panel, [&](std::int64_t i) {
        std::int64_t begin = i * panel, rows = std::min<std::int64_t>(panel, left.rows() - begin);
        result.middleRows(begin, rows).noalias() = left.middleRows(begin, rows) * right;
    });
    return result;
}

}  // namespace detail

/// Near the closest matrix with orthonormal rows or columns: X = U / (|U|_F + eps), transposed if it has more rows than
/// columns, one Newton-Schulz iteration for each of `iterations`, transposed back. Shapes: [rows x columns].
template <class Real>
detail::Dense<Real> newton_schulz(const detail::Dense<Real>& u, std::span<const Quintic> iterations, double eps) {
    bool tall = u.rows() > u.cols();
    detail::Dense<Real> x = u;
    if (tall) x = u.transpose();
    auto elements = std::span<const Real>(u.data(), static_cast<std::size_t>(u.size()));
    x *= static_cast<Real>(1.0 / (gradient_norm(elements) + eps));
    for (const Quintic& k : iterations) {
        detail::Dense<Real> gram = detail::product<Real>(x, x.transpose());
        detail::Dense<Real> mix = static_cast<Real>(k.b) * gram + static_cast<Real>(k.c) * detail::product(gram, gram);
        x = static_cast<Real>(k.a) * x + detail::product(mix, x);
    }
    if (tall) x.transposeInPlace();
    return x;
}

/// Muon, an orthogonalised momentum, for every matrix R x C that State.matrices lists (see set_matrices):
///     buffer = momentum buffer + g;  U = g + momentum buffer;  X = newton_schulz(U);
///     theta = theta (1 - lr weight_decay) - lr sqrt(max(1, R / C)) X.
/// All other parameters (embeddings, norms, biases) are stepped by Rest. Source: K. Jordan et al., Muon, 2024;
/// arXiv 2502.16982.
template <class Rest = AdamW>
struct Muon {
    double learning_rate = 0.02;
    double momentum = 0.95;
    double weight_decay = 0.0;
    double eps = 1e-7;
    int iterations = 5;
    Quintic quintic{};
    Rest rest{};

    template <class Real>
    struct StateOf {
        std::vector<MatrixPlace> matrices;                        ///< in the order of their offsets
        std::vector<Real> buffer;                                 ///< of the matrices, one behind the other
        std::vector<typename Rest::template StateOf<Real>> rest;  ///< of what lies before, between and behind them

        ROARS_MEMBERS(StateOf, matrices, buffer, rest)
    };
    using State = StateOf<float>;

    /// Shapes and scales as in AdamW.
    template <class Real>
    void step(StateOf<Real>& state, std::span<Real> parameters, std::span<Real> gradients, double scale = 1.0,
              double gradient_scale = 1.0) const {
        detail::expect_gradients("Muon", parameters, gradients);
        auto buffer = detail::buffer("Muon", state.buffer, covered(state.matrices, std::ssize(parameters)));
        state.rest.resize(state.matrices.size() + 1);
        const std::vector<Quintic> same(static_cast<std::size_t>(std::max(iterations, 0)), quintic);
        auto step_rest = [&](std::size_t i, std::int64_t begin, std::int64_t end) {
            auto from = static_cast<std::size_t>(begin), count = static_cast<std::size_t>(end - begin);
            if (count > 0)
                rest.step(state.rest[i], parameters.subspan(from, count), gradients.subspan(from, count), scale,
                          gradient_scale);
        };
        std::int64_t place = 0, behind = 0;
        for (std::size_t i = 0; i < state.matrices.size(); ++i) {
            const MatrixPlace& matrix = state.matrices[i];
            step_rest(i, behind, matrix.offset);
            auto from = static_cast<std::size_t>(matrix.offset),
                 count = static_cast<std::size_t>(matrix.rows * matrix.columns);
            step_matrix(matrix.rows, matrix.columns, parameters.subspan(from, count),
                        std::span<const Real>(gradients.subspan(from, count)),
                        buffer.subspan(static_cast<std::size_t>(place), count), std::span<const Quintic>(same), scale,
                        gradient_scale);
            place += matrix.rows * matrix.columns;
            behind = matrix.end();
        }
        step_rest(state.matrices.size(), behind, std::ssize(parameters));
    }

    /// The step of one matrix with a list of its own of iterations. Returns X.
    template <class Real>
    detail::Dense<Real> step_matrix(std::int64_t rows, std::int64_t columns, std::span<Real> parameters,
                                    std::span<const Real> gradients, std::span<Real> buffer,
                                    std::span<const Quintic> each, double scale = 1.0,
                                    double gradient_scale = 1.0) const {
        detail::Dense<Real> x(rows, columns);
        auto direction = std::span<Real>(x.data(), buffer.size());
        using V = math::Lanes<Real>;
        detail::update_lanes(gradients, momentum_formula<V>(gradient_scale), buffer, direction);
        x = newton_schulz(x, each, eps);
        detail::update_lanes(std::span<const Real>(x.data(), buffer.size()), formula<V>(rows, columns, scale),
                             parameters);
        return x;
    }
    template <class V>
    detail::MuonMomentum<V> momentum_formula(double gradient_scale) const {
        using Real = math::Scalar<V>;
        return {V(static_cast<Real>(gradient_scale)), V(static_cast<Real>(momentum))};
    }
    template <class V>
    detail::MuonUpdate<V> formula(std::int64_t rows, std::int64_t columns, double scale) const {
        using Real = math::Scalar<V>;
        double rate = learning_rate * scale, shape = static_cast<double>(rows) / static_cast<double>(columns);
        return {V(static_cast<Real>(rate * std::sqrt(std::max(1.0, shape)))),
                V(static_cast<Real>(rate * weight_decay))};
    }

    /// Elements of all matrices. Errors: a matrix that overlaps the one before it, or reaches beyond the parameters.
    static std::size_t covered(std::span<const MatrixPlace> matrices, std::int64_t parameters) {
        std::int64_t behind = 0, count = 0;
        for (const MatrixPlace& m : matrices) {
            expect(m.rows >= 1 && m.columns >= 1 && m.offset >= behind && m.end() <= parameters, [&] {
                return "Muon: a matrix of " + std::to_string(m.rows) + " x " + std::to_string(m.columns) +
                       " at offset " + std::to_string(m.offset) + ", expected it within [" + std::to_string(behind) +
                       ", " + std::to_string(parameters) + ")";
            });
            behind = m.end();
            count += m.rows * m.columns;
        }
        return static_cast<std::size_t>(count);
    }
};
template <class Rest>
ROARS_FIELDS_OF((Muon<Rest>), learning_rate, momentum, weight_decay, eps, iterations, quintic, rest)

}  // namespace roars::step

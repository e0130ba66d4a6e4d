#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>

#include "roars/critic/rows.hpp"
#include "roars/critic/steps.hpp"
#include "roars/critic/two_hot.hpp"
#include "roars/fields.hpp"

/// A critic that says how likely each of some evenly spaced returns (atoms) is. Source: C51, arXiv 1707.06887, alg. 1.
namespace roars::critic {

/// The distribution of r + gamma (1 - terminated) z, z = atoms with next_probability, on the atoms: clamped to both
/// ends, mass between two neighbours split linearly. Shapes: atoms [atoms], reward, terminated [rows],
/// next_probability, projected [rows, atoms].
struct CategoricalProjection {
    double gamma = 0.99;

    template <class Real>
    void project(backend::Host& backend, std::span<const Real> atoms, std::span<const Real> reward,
                 std::span<const Real> terminated, Rows<const Real> next_probability, Rows<Real> projected) const {
        if (atoms.empty()) return;
        EvenAtoms even{double(atoms.front()), double(atoms.back()), atoms.size()};
        parallel_for(backend, projected.count(), [&](std::int64_t row) {
            auto to = projected[row];
            std::fill(to.begin(), to.end(), Real(0));
            bool ends = terminated[std::size_t(row)] != Real(0);
            for (std::size_t j = 0; j < atoms.size(); ++j) {
                double z = one_step_target(double(reward[std::size_t(row)]), gamma, ends, double(atoms[j]));
                AtomPlace at = even.place(z);
                double mass = double(next_probability[row][j]);
                to[at.below] += static_cast<Real>(mass * (1.0 - at.share));
                to[at.above] += static_cast<Real>(mass * at.share);
            }
        });
    }
};
ROARS_FIELDS(CategoricalProjection, gamma)

/// Mean over rows of -sum_j m_j log softmax(logits)_j; grad = its derivative by the logits. A logit of -inf where m is
/// 0 costs nothing. Shapes: logits, m, grad [rows, atoms].
template <class Real>
double cross_entropy(backend::Host& backend, Rows<const Real> logits, Rows<const Real> m, Rows<Real> grad) {
    double rows = double(logits.count());
    return mean_of(backend, logits.count(), [&](std::int64_t i) {
        double normaliser = log_sum_exp(logits[i]), loss = 0.0, mass = 0.0;
        for (std::size_t j = 0; j < logits[i].size(); ++j) {
            double weight = double(m[i][j]);
            mass += weight;
            if (weight != 0.0) loss -= weight * (double(logits[i][j]) - normaliser);
        }
        for (std::size_t j = 0; j < logits[i].size(); ++j)
            grad[i][j] =
                static_cast<Real>((probability(double(logits[i][j]), normaliser) * mass - double(m[i][j])) / rows);
        return loss;
    });
}

}  // namespace roars::critic

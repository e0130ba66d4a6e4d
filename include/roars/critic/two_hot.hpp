#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "roars/critic/rows.hpp"
#include "roars/fields.hpp"

namespace roars::critic {

/// Where a number lies among `atoms` evenly spaced ones: a share 1 - `share` on the atom `below`, `share` on the one
/// `above` it. A number beyond an end lies at that end.
struct AtomPlace {
    std::size_t below, above;
    double share;
};
struct EvenAtoms {
    double low, high;
    std::size_t atoms;

    double spacing() const { return atoms > 1 ? (high - low) / double(atoms - 1) : 1.0; }
    double operator[](std::size_t j) const { return low + spacing() * double(j); }
    AtomPlace place(double x) const {
        double at = (std::clamp(x, low, high) - low) / spacing();
        auto below = std::min(static_cast<std::size_t>(at), atoms - 1);
        return {below, std::min(below + 1, atoms - 1), at - double(below)};
    }
};

/// A number as a distribution over `bins` evenly spaced atoms from `low` to `high` that has it as its mean: all mass on
/// its two neighbours. A critic of so many logits learns it by cross_entropy, and says the mean of its distribution.
/// Shapes: x [rows], probability [rows, bins]. Sources: MuZero, arXiv 1911.08265, appendix F; DreamerV3, arXiv
/// 2301.04104. Errors: fewer than 2 bins, or an empty range.
struct TwoHot {
    double low = -300.0;
    double high = 300.0;
    std::int64_t bins = 601;

    template <class Real>
    void encode(backend::Host& backend, std::span<const Real> x, Rows<Real> probability) const {
        EvenAtoms all = atoms();
        expect_width(probability.width);
        parallel_for(backend, std::ssize(x), [&](std::int64_t row) {
            auto to = probability[row];
            std::fill(to.begin(), to.end(), Real(0));
            AtomPlace at = all.place(double(x[static_cast<std::size_t>(row)]));
            to[at.below] += static_cast<Real>(1.0 - at.share);
            to[at.above] += static_cast<Real>(at.share);
        });
    }
    /// x = sum_j probability_j atom_j.
    template <class Real>
    void decode(backend::Host& backend, Rows<const Real> probability, std::span<Real> x) const {
        EvenAtoms all = atoms();
        expect_width(probability.width);
        parallel_for(backend, std::ssize(x), [&](std::int64_t row) {
            double mean = 0.0;
            auto mass = probability[row];
            for (std::size_t j = 0; j < mass.size(); ++j) mean += double(mass[j]) * all[j];
            x[static_cast<std::size_t>(row)] = static_cast<Real>(mean);
        });
    }

private:
    EvenAtoms atoms() const {
        expect(bins >= 2 && low < high, [&] {
            return "two-hot: " + std::to_string(bins) + " bins from " + std::to_string(low) + " to " +
                   std::to_string(high) + ", expected 2 or more in a range";
        });
        return {low, high, static_cast<std::size_t>(bins)};
    }
    void expect_width(std::int64_t width) const {
        expect(width == bins, [&] {
            return "two-hot: rows of " + std::to_string(width) + " numbers, expected " + std::to_string(bins);
        });
    }
};
ROARS_FIELDS(TwoHot, low, high, bins)

}  // namespace roars::critic

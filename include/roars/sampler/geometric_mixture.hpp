#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>

#include "roars/fields.hpp"
#include "roars/primitives/log_softmax.hpp"

namespace roars::sampler {

/// A policy between two: log p = (1 - mixture) log p_policy + mixture log p_reference, up to its normaliser. The
/// opponent of Nash-MD draws from it. What either forbids (-inf) it forbids, unless that one has no part. Shapes:
/// policy, reference, mixed [rows x vocabulary]. Source: arXiv 2312.00886, section 5.
struct GeometricMixture {
    double mixture = 0.5;

    template <class Real>
    void mix(backend::Host& backend, std::span<const Real> policy, std::span<const Real> reference,
             std::int64_t vocabulary, std::span<Real> mixed) const {
        std::int64_t rows = roars::detail::expect_rows(policy.size(), vocabulary);
        roars::detail::expect_size("reference", reference.size(), rows * vocabulary);
        roars::detail::expect_size("mixed", mixed.size(), rows * vocabulary);
        roars::detail::for_each_row(backend, rows, vocabulary, [&](std::int64_t r) {
            const Real *one = policy.data() + r * vocabulary, *other = reference.data() + r * vocabulary;
            double of_one = softmax_row<OnlyNormaliser>(one, vocabulary).log_sum_exp(),
                   of_other = softmax_row<OnlyNormaliser>(other, vocabulary).log_sum_exp();
            for (std::int64_t j = 0; j < vocabulary; ++j)
                mixed[static_cast<std::size_t>(r * vocabulary + j)] = static_cast<Real>(
                    share(1.0 - mixture, double(one[j]) - of_one) + share(mixture, double(other[j]) - of_other));
        });
    }

private:
    static double share(double weight, double logp) { return weight == 0.0 ? 0.0 : weight * logp; }
};
ROARS_FIELDS(GeometricMixture, mixture)

}  // namespace roars::sampler

#pragma once

#include <cstdint>
#include <span>

#include "roars/backend.hpp"
#include "roars/error.hpp"
#include "roars/fields.hpp"

namespace roars::critic {

/// target = (1 - tau) target + tau online; tau = 1 copies. Shapes: online, target [parameters]. Source: Polyak
/// averaging as in DDPG, arXiv 1509.02971.
struct Polyak {
    double tau = 0.005;

    template <class Real>
    void follow(backend::Host& backend, std::span<const Real> online, std::span<Real> target) const {
        expect(online.size() == target.size(), "Polyak: expected as many target parameters as online ones");
        const Real keep = static_cast<Real>(1.0 - tau), add = static_cast<Real>(tau);
        parallel_pieces(backend, std::ssize(target), [&](std::int64_t, std::int64_t begin, std::int64_t end) {
            for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i)
                target[i] = keep * target[i] + add * online[i];
        });
    }
};
ROARS_FIELDS(Polyak, tau)

}  // namespace roars::critic

#pragma once

#include <cstdint>
#include <span>
#include <string>

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

/// The same in every `every`-th update alone, by default a copy: the target stands still in between. `update` counts
/// from 1. Shapes: as Polyak. Source: DQN, doi 10.1038/nature14236. Errors: every below 1.
struct Periodic {
    std::int64_t every = 1000;
    Polyak rule{.tau = 1.0};

    bool due(std::int64_t update) const {
        expect(every >= 1,
               [&] { return "periodic update: in every " + std::to_string(every) + ". update, expected 1 or more"; });
        return update % every == 0;
    }
    template <class Real>
    void follow(backend::Host& backend, std::int64_t update, std::span<const Real> online,
                std::span<Real> target) const {
        if (due(update)) rule.follow(backend, online, target);
    }
};
ROARS_FIELDS(Periodic, every, rule)

}  // namespace roars::critic

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/critic/rows.hpp"
#include "roars/fields.hpp"
#include "roars/primitives/sphere.hpp"
#include "roars/run.hpp"

namespace roars::sampler {

/// The task of every transition of a batch, a vector of norm sqrt(d): uniform on the sphere, or with probability
/// `mix_ratio` the representation B of another state of the batch, a constant. A vector of zeros stays zero. Source:
/// forward-backward representations, arXiv 2209.14935; arXiv 2508.16496, eq. 3.
struct TaskVectors {
    double mix_ratio = 0.5;

    /// z_i from the normal numbers noise_i, or from backward_{permutation_i} where mix_uniform_i < mix_ratio. Shapes:
    /// noise, backward, task [rows, d]; mix_uniform, permutation [rows]. Errors: sizes that differ, a row that does not
    /// exist.
    template <class Real>
    void mix(backend::Host& backend, critic::Rows<const Real> noise, critic::Rows<const Real> backward,
             std::span<const Real> mix_uniform, std::span<const std::int64_t> permutation,
             critic::Rows<Real> task) const {
        const std::int64_t rows = noise.count();
        expect(task.count() == rows && std::ssize(mix_uniform) == rows && std::ssize(permutation) == rows &&
                   (rows == 0 || (task.width == noise.width && backward.width == noise.width)),
               [&] { return "task vectors: expected " + std::to_string(rows) + " rows everywhere, of one width"; });
        for (std::int64_t from : permutation)
            expect(from >= 0 && from < backward.count(), [&] {
                return "task vectors: row " + std::to_string(from) + " of the permutation, expected one below " +
                       std::to_string(backward.count());
            });
        parallel_for(backend, rows, [&](std::int64_t i) {
            auto at = static_cast<std::size_t>(i);
            to_sphere(mixed(double(mix_uniform[at])) ? backward[permutation[at]] : noise[i], task[i]);
        });
    }
    bool mixed(double uniform) const { return uniform < mix_ratio; }

    /// The same with numbers of the run's iteration. Shapes: backward, task [rows, d].
    template <class RunType, class Real>
    void draw(RunType& run, critic::Rows<const Real> backward, critic::Rows<Real> task) const {
        const std::int64_t rows = task.count();
        Random normal = run.random.of(Purpose::noise), uniform = run.random.of(Purpose::task);
        std::vector<Real> noise(task.values.size()), mixes(static_cast<std::size_t>(rows));
        for (std::size_t c = 0; c < noise.size(); ++c)
            noise[c] = normal.template normal<Real>(1, static_cast<std::uint32_t>(c));
        for (std::size_t i = 0; i < mixes.size(); ++i)
            mixes[i] = uniform.template uniform<Real>(1, static_cast<std::uint32_t>(i));
        RandomStream shuffle(run.random.of(Purpose::shuffle));
        std::vector<std::int64_t> permutation(mixes.size());
        for (std::size_t i = 0; i < permutation.size(); ++i) {
            auto other = static_cast<std::size_t>(shuffle.below(std::int64_t(i) + 1));
            permutation[i] = permutation[other];
            permutation[other] = std::int64_t(i);
        }
        mix(run.backend, critic::Rows<const Real>{noise, task.width}, backward, std::span<const Real>(mixes),
            permutation, task);
    }
};
ROARS_FIELDS(TaskVectors, mix_ratio)

}  // namespace roars::sampler

#pragma once

#include <cmath>
#include <cstdint>
#include <span>

#include "roars/backend.hpp"
#include "roars/critic/steps.hpp"
#include "roars/fields.hpp"
#include "roars/math.hpp"

/// Invertible squeezes of returns, so that one critic learns small and large ones: apply(x), and invert(apply(x)) = x.
/// Both are odd and grow without end.
namespace roars::critic {
namespace transform {

/// h(x) = sign(x) (sqrt(|x| + 1) - 1) + eps x, eps > 0; its inverse in closed form. Source: arXiv 1805.11593, appendix
/// A.
struct SignedHyperbolic {
    double eps = 1e-3;

    template <class V>
    ROARS_FN V apply(const V& x) const {
        const V one(math::Scalar<V>(1));
        V size = math::abs(x);
        // sqrt(1 + s) - 1 without the loss of digits near 0.
        V root = size / (math::sqrt(size + one) + one);
        return math::select(x < V(math::Scalar<V>(0)), -root, root) + V(static_cast<math::Scalar<V>>(eps)) * x;
    }
    template <class V>
    ROARS_FN V invert(const V& y) const {
        using Real = math::Scalar<V>;
        // With u = sqrt(1 + |x|): eps u^2 + u - (1 + eps + |y|) = 0, and |x| = u^2 - 1. The root is written for u - 1 =
        // w: eps w^2 + (1 + 2 eps) w - |y| = 0.
        const V one(Real(1)), e(static_cast<Real>(eps)), middle(static_cast<Real>(1.0 + 2.0 * eps)), two(Real(2));
        V size = math::abs(y);
        V w = two * size / (middle + math::sqrt(middle * middle + two * two * e * size));
        V x = w * (w + two * one);
        return math::select(y < V(Real(0)), -x, x);
    }
};

/// h(x) = sign(x) log(1 + |x|). Source: DreamerV3, arXiv 2301.04104, eq. 9.
struct SignedLogarithm {
    template <class V>
    ROARS_FN V apply(const V& x) const {
        V size = math::log1p(math::abs(x));
        return math::select(x < V(math::Scalar<V>(0)), -size, size);
    }
    template <class V>
    ROARS_FN V invert(const V& y) const {
        V size = math::expm1(math::abs(y));
        return math::select(y < V(math::Scalar<V>(0)), -size, size);
    }
};
ROARS_FIELDS(SignedHyperbolic, eps)
ROARS_FIELDS(SignedLogarithm)

}  // namespace transform

/// y = h(R), R = r + gamma (1 - terminated) h^-1(next): the target of a critic that learns squeezed values. Shapes:
/// reward, next, terminated, target [rows]. Source: arXiv 1805.11593, eq. 3.
template <class Transform = transform::SignedHyperbolic>
struct TransformedTarget {
    double gamma = 0.99;
    Transform transform{};

    template <class Real>
    void target(backend::Host& backend, std::span<const Real> reward, std::span<const Real> next,
                std::span<const Real> terminated, std::span<Real> target) const {
        parallel_for(backend, std::ssize(target), [&](std::int64_t row) {
            auto i = static_cast<std::size_t>(row);
            double raw =
                one_step_target(double(reward[i]), gamma, terminated[i] != Real(0), transform.invert(double(next[i])));
            target[i] = static_cast<Real>(transform.apply(raw));
        });
    }
};
template <class Transform>
ROARS_FIELDS_OF((TransformedTarget<Transform>), gamma, transform)

}  // namespace roars::critic

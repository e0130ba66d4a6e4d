#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "roars/fields.hpp"
#include "roars/optimizer/surrogates/sequence.hpp"

/// Importance sampling without a clip: -w A, and the weight w is differentiated. p = e^logp, p_old = e^logp_old.
namespace roars {

/// The density b of the policy that wrote a token, beside p_old.
namespace behaviour {

/// b = p_old / 2 + uniform / 2: nobody knows who wrote it, so the mean of the old policy and of one that knows nothing.
/// `uniform` is the density of the latter: 1 as RL-PLUS's code has it, 1 / vocabulary as its paper.
struct HalfUniform {
    double uniform = 1.0;

    using needs = columns<>;

    template <class X>
    ROARS_FN value_t<X> density(const X&, const value_t<X>& old) const {
        using V = value_t<X>;
        using Real = math::Scalar<V>;
        return V(Real(0.5)) * old + V(static_cast<Real>(0.5 * uniform));
    }
    /// False where b + p_old may be 0.
    bool positive() const { return uniform > 0.0; }
};
/// b = e^logp_behaviour: written by a policy that gave its probabilities.
struct Known {
    using needs = columns<col::logp_behaviour>;

    template <class X>
    ROARS_FN value_t<X> density(const X& x, const value_t<X>&) const {
        return math::exp(x[col::logp_behaviour{}]);
    }
    bool positive() const { return false; }
};
ROARS_FIELDS(HalfUniform, uniform)
ROARS_FIELDS(Known)

}  // namespace behaviour

namespace surrogate {

/// w = p / p_old, the log-ratio held within +-20.
struct ImportanceRatio {
    static constexpr std::string_view name = "policy_loss";
    using needs = columns<col::logp, col::logp_old, col::advantage>;
    using differentiates = columns<col::logp>;
    static constexpr std::array<std::string_view, 2> metrics{"ratio", "approx_kl"};

    template <class X>
    ROARS_FN Loss<value_t<X>, 1, 2> token(const X& x) const {
        using V = value_t<X>;
        auto [l, inside] = log_ratio<V>(x[col::logp{}], x[col::logp_old{}]);
        V ratio = math::exp(l), loss = -ratio * x[col::advantage{}];
        return {loss, {loss * inside}, {ratio, -l}};
    }
};
ROARS_FIELDS(ImportanceRatio)

/// w = 2 p / (b + p_old): multiple importance sampling, as if half of the tokens were the old policy's and half the
/// behaviour's. With HalfUniform w is at most 4 / uniform, however far p_old is from p. RL-PLUS, arXiv 2508.00222.
/// Errors: a trainable token with b + p_old = 0.
template <class Behaviour = behaviour::HalfUniform>
struct MultipleImportance {
    Behaviour behaviour{};

    static constexpr std::string_view name = "policy_loss";
    using needs = unite_t<columns<col::logp, col::logp_old, col::advantage>, needs_of<Behaviour>>;
    using prepare_needs = minus_t<needs, columns<col::logp, col::advantage>>;
    using differentiates = columns<col::logp>;
    static constexpr std::array<std::string_view, 1> metrics{"multiple_importance_weight"};

    static constexpr bool everywhere = true;

    /// On a device such a token's weight is infinite instead.
    template <class RunType, class BatchType>
    void prepare(RunType&, [[maybe_unused]] BatchType& batch) const {
        if constexpr (!RunType::backend_type::on_device) check(batch);
    }
    template <class X>
    ROARS_FN Loss<value_t<X>, 1, 1> token(const X& x) const {
        using V = value_t<X>;
        V old = math::exp(x[col::logp_old{}]);
        V weight = V(math::Scalar<V>(2)) * math::exp(x[col::logp{}]) / (behaviour.density(x, old) + old);
        V loss = -weight * x[col::advantage{}];
        return {loss, {loss}, {weight}};
    }

private:
    template <class BatchType>
    void check(const BatchType& batch) const {
        if (behaviour.positive()) return;
        for (std::int64_t t = 0; t < batch.tokens(); ++t)
            if (detail::trainable<col::mask>(batch, t)) check(batch, static_cast<std::size_t>(t));
    }
    template <class BatchType>
    void check(const BatchType& batch, std::size_t t) const {
        auto x = [&]<class... Column>(columns<Column...>) {
            return Token<double, columns<Column...>>{{double(batch[Column{}][t])}...};
        }(prepare_needs{});
        double old = std::exp(x[col::logp_old{}]);
        expect(behaviour.density(x, old) + old != 0.0, [&] {
            return "token " + std::to_string(t) +
                   " has probability 0 under the old policy and under its writer's, expected one of them to be more";
        });
    }
};
template <class Behaviour>
ROARS_FIELDS_OF((MultipleImportance<Behaviour>), behaviour)

}  // namespace surrogate
}  // namespace roars

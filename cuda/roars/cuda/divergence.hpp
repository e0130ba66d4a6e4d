#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "roars/cuda/log_softmax.hpp"
#include "roars/regularizer/full_distribution.hpp"

/// Divergences between whole distributions on a device, a block a row: what roars::full_divergence is on the host.
namespace roars::gpu {
namespace detail {

/// visit(packet, teacher's packet, first) for the part of two rows that a thread has. The teacher's is one access where
/// both rows begin alike.
template <class T, class Visit>
ROARS_FN ROARS_INLINE void visit_two_rows(const T* row, const T* teacher, std::int64_t count, int thread, int threads,
                                          Visit&& visit) {
    const bool together = unaligned_head(row, count) == unaligned_head(teacher, count);
    visit_row(row, count, thread, threads, [&](const auto& packet, std::int64_t at) {
        constexpr int width = static_cast<int>(sizeof(packet) / sizeof(T));
        visit(packet, load_packet<T, width>(teacher + at, width, together), at);
    });
}

/// Values of a row that are summed over its actions.
template <class S, int count>
struct ActionSums {
    S of[count];
    ROARS_FN friend ActionSums operator+(ActionSums a, const ActionSums& b) {
        for (int k = 0; k < count; ++k) a.of[k] += b.of[k];
        return a;
    }
};

/// divergence::*: two log-sum-exps, the parts of all actions, and the slopes where they are wanted.
template <class S, class Divergence>
class RowRule {
public:
    static constexpr bool needs_softmax = true;
    using Sums = ActionSums<S, 2>;  ///< value, pull

    ROARS_FN RowRule(const Divergence& divergence, double temperature, const RowSums<S>& policy,
                     const RowSums<S>& teacher)
        : divergence_(divergence),
          scale_(static_cast<S>(1.0 / temperature)),
          shift_(log_sum_exp(policy, temperature)),
          teacher_shift_(log_sum_exp(teacher, temperature)) {}

    ROARS_FN void add(Sums& sums, S z, S t) const {
        auto part = this->part(z, t);
        sums.of[0] += part.value;
        sums.of[1] += part.pull;
    }
    ROARS_FN static S value(const Sums& all) { return all.of[0]; }
    ROARS_FN static bool has_slopes(const Sums& all) { return !std::isinf(all.of[1]); }
    /// d divergence / d z
    ROARS_FN S slope(S z, S t, const Sums& all) const {
        if (z == -std::numeric_limits<S>::infinity()) return S(0);
        return scale_ * (part(z, t).pull - math::exp(S(z * scale_ - shift_)) * all.of[1]);
    }

private:
    ROARS_FN static S log_sum_exp(const RowSums<S>& row, double temperature) {
        return static_cast<S>(static_cast<double>(row.max) / temperature + std::log(static_cast<double>(row.sum)));
    }
    ROARS_FN roars::divergence::Part<S> part(S z, S t) const {
        S logp = z * scale_ - shift_, logq = t * scale_ - teacher_shift_;
        return divergence_.of(S(math::exp(logp)), logp, S(math::exp(logq)), logq);
    }
    Divergence divergence_;
    S scale_, shift_, teacher_shift_;
};
template <class S>
class RowRule<S, roars::divergence::Cosine> {
public:
    static constexpr bool needs_softmax = false;
    using Sums = ActionSums<S, 3>;  ///< x y, x x, y y

    ROARS_FN RowRule(const roars::divergence::Cosine&, double, const RowSums<S>&, const RowSums<S>&) {}

    ROARS_FN void add(Sums& sums, S z, S t) const {
        if (left_out(z, t)) return;
        sums.of[0] += z * t;
        sums.of[1] += z * z;
        sums.of[2] += t * t;
    }
    ROARS_FN static S value(const Sums& all) {
        S size = std::sqrt(all.of[1]) * std::sqrt(all.of[2]);
        return S(1) - (size > S(0) ? all.of[0] / size : S(0));
    }
    ROARS_FN static bool has_slopes(const Sums& all) { return std::sqrt(all.of[1]) * std::sqrt(all.of[2]) > S(0); }
    ROARS_FN S slope(S z, S t, const Sums& all) const {
        if (left_out(z, t)) return S(0);
        return (S(1) - value(all)) * z / all.of[1] - t / (std::sqrt(all.of[1]) * std::sqrt(all.of[2]));
    }

private:
    ROARS_FN static bool left_out(S z, S t) {
        const S forbidden = -std::numeric_limits<S>::infinity();
        return z == forbidden || t == forbidden;
    }
};

/// Rows -> their divergence and, in the place of the logits, weight * its gradient. A row of weight 0 is not read and
/// gets zeros.
template <class T, class Real, class Divergence, bool with_gradient>
struct DivergeRows {
    static constexpr int threads = 512;
    using S = SumOf<T>;
    using Rule = RowRule<S, Divergence>;
    struct Shared {
        RowSums<S> policy[threads], teacher[threads];
        typename Rule::Sums sums[threads];
    };
    Logits<T> logits;
    Logits<const std::remove_const_t<T>> teacher;
    Divergence divergence;
    double temperature;
    const Real* weight;
    Real* value;

    template <class Block>
    ROARS_FN void operator()(Block& block, Shared& shared) const {
        const std::int64_t r = block.index(), count = logits.vocabulary;
        auto* row = logits.row(r);
        const auto* other = teacher.row(r);
        const S own_weight = weight ? static_cast<S>(weight[r]) : S(1);
        if (own_weight == S(0)) {
            block.each([&](int thread) {
                if (thread == 0) value[r] = Real(0);
                clear(row, count, thread);
            });
            return;
        }
        auto policy_sums = RowSums<S>::none(), teacher_sums = policy_sums;
        if constexpr (Rule::needs_softmax) {
            const S scale = static_cast<S>(roars::detail::log2_e / temperature);
            block.each([&](int thread) {
                shared.policy[thread] = normaliser(row, count, thread, scale);
                shared.teacher[thread] = normaliser(other, count, thread, scale);
            });
            reduce(block, shared.policy, CombineRows<S>{scale});
            reduce(block, shared.teacher, CombineRows<S>{scale});
            policy_sums = block.read(shared.policy[0]);
            teacher_sums = block.read(shared.teacher[0]);
        }
        const Rule rule(divergence, temperature, policy_sums, teacher_sums);
        block.each([&](int thread) {
            typename Rule::Sums own{};
            visit_two_rows(static_cast<const std::remove_const_t<T>*>(row), other, count, thread, threads,
                           [&](const auto& z, const auto& t, std::int64_t) {
                               for (int k = 0; k < width_of(z); ++k)
                                   rule.add(own, static_cast<S>(z.value[k]), static_cast<S>(t.value[k]));
                           });
            shared.sums[thread] = own;
        });
        reduce(block, shared.sums, Plus{});
        const auto all = block.read(shared.sums[0]);
        block.each([&](int thread) {
            if (thread == 0) value[r] = static_cast<Real>(Rule::value(all));
            if constexpr (with_gradient) {
                if (!Rule::has_slopes(all)) return clear(row, count, thread);
                visit_two_rows(static_cast<const T*>(row), other, count, thread, threads,
                               [&](const auto& z, const auto& t, std::int64_t at) {
                                   auto out = z;
                                   for (int k = 0; k < width_of(z); ++k)
                                       out.value[k] =
                                           static_cast<T>(own_weight * rule.slope(static_cast<S>(z.value[k]),
                                                                                  static_cast<S>(t.value[k]), all));
                                   *reinterpret_cast<std::remove_cvref_t<decltype(z)>*>(row + at) = out;
                               });
            }
        });
    }

private:
    template <class Row>
    ROARS_FN static void clear([[maybe_unused]] Row* row, [[maybe_unused]] std::int64_t count,
                               [[maybe_unused]] int thread) {
        if constexpr (with_gradient) clear_row(row, count, thread, threads);
    }
    template <class Row>
    ROARS_FN static RowSums<S> normaliser(const Row* row, std::int64_t count, int thread, S scale) {
        auto own = RowSums<S>::none();
        visit_row(row, count, thread, threads,
                  [&](const auto& packet, std::int64_t) { own.template add<false>(packet, scale); });
        return own;
    }
};

template <class T, class U>
void check_teacher(const Logits<T>& logits, const Logits<U>& teacher, double temperature) {
    check_logits(logits, logits.rows, temperature);
    check_logits(teacher, logits.rows, temperature);
    expect(teacher.vocabulary == logits.vocabulary, [&] {
        return "the teacher's rows have " + std::to_string(teacher.vocabulary) + " logits, expected " +
               std::to_string(logits.vocabulary);
    });
}

}  // namespace detail

/// value_r = the divergence of row r of `logits` from the teacher's, both divided by the temperature. weight: null (1
/// for all), or [rows]: a row of weight 0 (a masked token) costs nothing and has the value 0. Nothing waits. Shapes:
/// logits, teacher [rows x vocabulary]; value [rows].
template <class Divergence, class D, class T, class Real>
void full_divergence(D& device, const Divergence& divergence, const Logits<const T>& logits,
                     const Logits<const T>& teacher, double temperature, const Real* weight, Real* value) {
    detail::check_teacher(logits, teacher, temperature);
    device.launch(logits.rows, detail::DivergeRows<const T, Real, Divergence, false>{logits, teacher, divergence,
                                                                                     temperature, weight, value});
}

/// The same, and weight_r times the gradient in the place of the logits: three reads and a write of the policy's, three
/// reads of the teacher's.
template <class Divergence, class D, class T, class Real>
void full_divergence_with_gradient(D& device, const Divergence& divergence, const Logits<T>& logits,
                                   const Logits<const T>& teacher, double temperature, const Real* weight,
                                   Real* value) {
    detail::check_teacher(logits, teacher, temperature);
    device.launch(logits.rows, detail::DivergeRows<T, Real, Divergence, true>{logits, teacher, divergence, temperature,
                                                                              weight, value});
}

}  // namespace roars::gpu

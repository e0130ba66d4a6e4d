#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roars/critic/rows.hpp"
#include "roars/fields.hpp"

/// Forward-backward representations: the discounted measure of the states that follow (state i, action, task) is F_i^T
/// B_j at state j, whatever will be rewarded later. Rows are batches of vectors of d numbers. Sources: arXiv
/// 2103.07945, 2209.14935; the conservative forms arXiv 2309.15178; all in On Zero-Shot RL, arXiv 2508.16496.
namespace roars::detail {

template <class T>
using MatrixOf = Eigen::Matrix<std::remove_const_t<T>, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
auto matrix(critic::Rows<T> rows) {
    using Matrix = std::conditional_t<std::is_const_v<T>, const MatrixOf<T>, MatrixOf<T>>;
    return Eigen::Map<Matrix>(rows.values.data(), rows.count(), rows.width);
}

template <class T>
void expect_matrix(const char* what, critic::Rows<T> rows, std::int64_t count, std::int64_t width) {
    expect(rows.count() == count && (count == 0 || rows.width == width), [&] {
        return std::string(what) + " has " + std::to_string(rows.count()) + " rows of " + std::to_string(rows.width) +
               ", expected " + std::to_string(count) + " of " + std::to_string(width);
    });
}

template <class A, class B>
double dot_product(std::span<A> a, std::span<B> b) {
    double sum = 0.0;
    for (std::size_t j = 0; j < a.size(); ++j) sum += double(a[j]) * double(b[j]);
    return sum;
}

}  // namespace roars::detail

namespace roars::critic {

/// The loss of F_1, F_2, ... and B over N transitions: column j of M_k = F_k B^T stands for any state of the data, the
/// diagonal for the one that was reached. With M' = min_k F'_k B'^T (element by element, of target networks, a
/// constant)
///     off_diagonal = 1/2 sum_k mean_{i != j} (M_k[i,j] - gamma (1 - terminated_i) M'[i,j])^2,
///     diagonal = -sum_k mean_i M_k[i,i],
///     orthonormal = orthonormality (mean_{i != j} (B_i^T B_j)^2 - 2 mean_i |B_i|^2);
/// means over i != j divide by N (N - 1), and are 0 for N = 1; equal states in two rows are off the diagonal like
/// others.
struct ForwardBackward {
    double gamma = 0.98;
    double orthonormality = 1.0;

    struct Loss {
        double off_diagonal = 0.0, diagonal = 0.0, orthonormal = 0.0;
        double total() const { return off_diagonal + diagonal + orthonormal; }
    };

    /// M'. Shapes: forward [rows, d] each, backward [rows, d], target [rows, rows].
    template <class Real>
    void target(std::span<const Rows<const Real>> forward, Rows<const Real> backward, Rows<Real> target) const {
        expect(!forward.empty(), "forward-backward: expected one forward network or more");
        roars::detail::expect_matrix("target measure", target, backward.count(), backward.count());
        for (std::size_t k = 0; k < forward.size(); ++k) {
            roars::detail::expect_matrix("target forward", forward[k], backward.count(), backward.width);
            roars::detail::MatrixOf<Real> measure =
                roars::detail::matrix(forward[k]) * roars::detail::matrix(backward).transpose();
            auto least = roars::detail::matrix(target);
            if (k == 0)
                least = measure;
            else
                least = least.cwiseMin(measure);
        }
    }

    /// The loss and its derivatives by every F_k and by B. Behind a termination the target is not looked at. Shapes:
    /// forward, grad_forward [rows, d] each, backward, grad_backward [rows, d], target [rows, rows], terminated [rows].
    template <class Real>
    Loss loss(backend::Host& backend, std::span<const Rows<const Real>> forward, Rows<const Real> backward,
              Rows<const Real> target, std::span<const Real> terminated, std::span<const Rows<Real>> grad_forward,
              Rows<Real> grad_backward) const {
        const std::int64_t rows = backward.count();
        check(forward, backward, target, terminated, grad_forward, grad_backward);
        Loss sum;
        const auto states = roars::detail::matrix(backward);
        roars::detail::MatrixOf<Real> slope(rows, rows);
        auto by_backward = roars::detail::matrix(grad_backward);
        by_backward.setZero();
        for (std::size_t k = 0; k < forward.size(); ++k) {
            slope.noalias() = roars::detail::matrix(forward[k]) * states.transpose();
            sum.diagonal -= mean_of(backend, rows, [&](std::int64_t i) { return double(slope(i, i)); });
            sum.off_diagonal += measure_slope(backend, target, terminated, slope);
            roars::detail::matrix(grad_forward[k]).noalias() = slope * states;
            by_backward.noalias() += slope.transpose() * roars::detail::matrix(forward[k]);
        }
        slope.noalias() = states * states.transpose();
        sum.orthonormal = orthonormal_slope<Real>(backend, slope);
        by_backward.noalias() += slope * states;
        return sum;
    }

    /// -mean_i min_k F_k(s_i, policy_action_i, z_i)^T z_i, what the policy minimises, and its derivatives by the F_k:
    /// of equal ones the first. Shapes: forward, grad_forward [rows, d] each, task [rows, d].
    template <class Real>
    double policy_loss(backend::Host& backend, std::span<const Rows<const Real>> forward, Rows<const Real> task,
                       std::span<const Rows<Real>> grad_forward) const {
        const double rows = double(task.count());
        expect(!forward.empty() && forward.size() == grad_forward.size(),
               "forward-backward: expected one forward network or more, and a gradient of each");
        for (std::size_t k = 0; k < forward.size(); ++k) {
            roars::detail::expect_matrix("forward", forward[k], task.count(), task.width);
            roars::detail::expect_matrix("gradient of forward", grad_forward[k], task.count(), task.width);
        }
        return -mean_of(backend, task.count(), [&](std::int64_t i) {
            const auto [least, value] = least_value(forward, task, i);
            for (std::size_t k = 0; k < forward.size(); ++k)
                for (std::size_t j = 0; j < task[i].size(); ++j)
                    grad_forward[k][i][j] = k == least ? static_cast<Real>(-double(task[i][j]) / rows) : Real(0);
            return value;
        });
    }
    /// Which of the networks says least of row i, of equal ones the first, and what it says: F_k(s_i, a_i, z_i)^T z_i.
    template <class Real>
    static std::pair<std::size_t, double> least_value(std::span<const Rows<const Real>> forward, Rows<const Real> task,
                                                      std::int64_t i) {
        std::pair<std::size_t, double> least{0, 0.0};
        for (std::size_t k = 0; k < forward.size(); ++k) {
            const double own = roars::detail::dot_product(forward[k][i], task[i]);
            if (k == 0 || own < least.second) least = {k, own};
        }
        return least;
    }

private:
    template <class Real>
    static void check(std::span<const Rows<const Real>> forward, Rows<const Real> backward, Rows<const Real> target,
                      std::span<const Real> terminated, std::span<const Rows<Real>> grad_forward,
                      Rows<Real> grad_backward) {
        const std::int64_t rows = backward.count();
        expect(!forward.empty() && forward.size() == grad_forward.size(),
               "forward-backward: expected one forward network or more, and a gradient of each");
        for (std::size_t k = 0; k < forward.size(); ++k) {
            roars::detail::expect_matrix("forward", forward[k], rows, backward.width);
            roars::detail::expect_matrix("gradient of forward", grad_forward[k], rows, backward.width);
        }
        roars::detail::expect_matrix("gradient of backward", grad_backward, rows, backward.width);
        roars::detail::expect_matrix("target measure", target, rows, rows);
        roars::detail::expect_size("terminated", terminated.size(), rows);
    }
    static double share_of_pair(std::int64_t rows) { return rows > 1 ? 1.0 / (double(rows) * double(rows - 1)) : 0.0; }

    /// From M_k to d loss / d M_k, in place; returns the part off the diagonal.
    template <class Real>
    double measure_slope(backend::Host& backend, Rows<const Real> target, std::span<const Real> terminated,
                         roars::detail::MatrixOf<Real>& measure) const {
        const std::int64_t rows = measure.rows();
        const double share = share_of_pair(rows);
        return double(rows) * mean_of(backend, rows, [&](std::int64_t i) {
                   const bool ends = terminated[static_cast<std::size_t>(i)] != Real(0);
                   double square = 0.0;
                   for (std::int64_t j = 0; j < rows; ++j) {
                       if (j == i) continue;
                       double next = ends ? 0.0 : gamma * double(target[i][static_cast<std::size_t>(j)]);
                       double error = double(measure(i, j)) - next;
                       square += 0.5 * share * error * error;
                       measure(i, j) = static_cast<Real>(share * error);
                   }
                   measure(i, i) = static_cast<Real>(-1.0 / double(rows));
                   return square;
               });
    }
    /// From C = B B^T to G with d loss / d B = G B, in place; returns the loss.
    template <class Real>
    double orthonormal_slope(backend::Host& backend, roars::detail::MatrixOf<Real>& product) const {
        const std::int64_t rows = product.rows();
        const double share = share_of_pair(rows);
        return double(rows) * mean_of(backend, rows, [&](std::int64_t i) {
                   double part = -2.0 * orthonormality * double(product(i, i)) / double(rows);
                   for (std::int64_t j = 0; j < rows; ++j) {
                       if (j == i) continue;
                       double each = double(product(i, j));
                       part += orthonormality * share * each * each;
                       product(i, j) = static_cast<Real>(4.0 * orthonormality * share * each);
                   }
                   product(i, i) = static_cast<Real>(-4.0 * orthonormality / double(rows));
                   return part;
               });
    }
};
ROARS_FIELDS(ForwardBackward, gamma, orthonormality)

/// q_a = min_k F_k(s, a)^T z of every action of one state. Shapes: forward [actions, d] each, task [d], q [actions].
template <class Real>
void task_values(std::span<const Rows<const Real>> forward, std::span<const Real> task, std::span<Real> q) {
    for (std::size_t k = 0; k < forward.size(); ++k) {
        roars::detail::expect_matrix("forward", forward[k], std::ssize(q), std::ssize(task));
        for (std::size_t a = 0; a < q.size(); ++a) {
            auto own = static_cast<Real>(roars::detail::dot_product(forward[k][std::int64_t(a)], task));
            q[a] = k == 0 ? own : std::min(q[a], own);
        }
    }
}
/// The largest, of equal ones the first; 0 of nothing.
template <class Real>
std::int64_t greedy_action(std::span<Real> q) {
    return std::max_element(q.begin(), q.end()) - q.begin();
}

/// Shares of the actions softmax(q / temperature), by which the target's F' are averaged; temperature = 0 is the greedy
/// action alone.
struct SoftChoice {
    double temperature = 0.0;

    /// Shapes: q, share [actions].
    template <class Real>
    void operator()(std::span<const Real> q, std::span<Real> share) const {
        if (q.empty()) return;
        std::fill(share.begin(), share.end(), Real(0));
        auto best = static_cast<std::size_t>(greedy_action(q));
        if (temperature == 0.0) {
            share[best] = Real(1);
            return;
        }
        double sum = 0.0;
        auto weight = [&](std::size_t a) { return std::exp((double(q[a]) - double(q[best])) / temperature); };
        for (std::size_t a = 0; a < q.size(); ++a) sum += weight(a);
        for (std::size_t a = 0; a < q.size(); ++a) share[a] = static_cast<Real>(weight(a) / sum);
    }
};
ROARS_FIELDS(SoftChoice, temperature)

/// VC-FB's penalty of one forward network: mean_i (ln sum_m e^{F(s_i, a_m)^T z_i} - F(s_i, a_i)^T z_i) over K candidate
/// actions a_m; no ln K is taken off. The gradients are of the penalty alone, z is a constant. Shapes: samples,
/// grad_samples [K rows, d], candidate by candidate; forward, grad_forward, task [rows, d].
template <class Real>
double conservative_values(backend::Host& backend, Rows<const Real> samples, Rows<const Real> forward,
                           Rows<const Real> task, Rows<Real> grad_samples, Rows<Real> grad_forward) {
    const std::int64_t rows = task.count(), candidates = rows > 0 ? samples.count() / rows : 1;
    expect(candidates >= 1, "conservative values: expected one candidate action or more");
    roars::detail::expect_matrix("forward samples", samples, candidates * rows, task.width);
    roars::detail::expect_matrix("gradient of forward samples", grad_samples, candidates * rows, task.width);
    roars::detail::expect_matrix("forward", forward, rows, task.width);
    roars::detail::expect_matrix("gradient of forward", grad_forward, rows, task.width);
    return mean_of(backend, rows, [&](std::int64_t i) {
        std::vector<double> value(static_cast<std::size_t>(candidates));
        for (std::size_t m = 0; m < value.size(); ++m)
            value[m] = roars::detail::dot_product(samples[std::int64_t(m) * rows + i], task[i]);
        double normaliser = log_sum_exp(std::span<const double>(value));
        for (std::size_t j = 0; j < task[i].size(); ++j) {
            double share = double(task[i][j]) / double(rows);
            for (std::size_t m = 0; m < value.size(); ++m)
                grad_samples[std::int64_t(m) * rows + i][j] =
                    static_cast<Real>(probability(value[m], normaliser) * share);
            grad_forward[i][j] = static_cast<Real>(-share);
        }
        return normaliser - roars::detail::dot_product(forward[i], task[i]);
    });
}

/// MC-FB's penalty of one forward network: mean_{i,j} (ln sum_m e^{F(s_i, a_m)^T B_j} - F(s_i, a_i)^T B_j). Shapes as
/// above, with backward, grad_backward [rows, d].
template <class Real>
double conservative_measures(backend::Host& backend, Rows<const Real> samples, Rows<const Real> forward,
                             Rows<const Real> backward, Rows<Real> grad_samples, Rows<Real> grad_forward,
                             Rows<Real> grad_backward) {
    const std::int64_t rows = backward.count(), candidates = rows > 0 ? samples.count() / rows : 1;
    expect(candidates >= 1, "conservative measures: expected one candidate action or more");
    roars::detail::expect_matrix("forward samples", samples, candidates * rows, backward.width);
    roars::detail::expect_matrix("gradient of forward samples", grad_samples, candidates * rows, backward.width);
    roars::detail::expect_matrix("forward", forward, rows, backward.width);
    roars::detail::expect_matrix("gradient of forward", grad_forward, rows, backward.width);
    roars::detail::expect_matrix("gradient of backward", grad_backward, rows, backward.width);
    if (rows == 0) return 0.0;
    const double share = 1.0 / (double(rows) * double(rows));
    const auto states = roars::detail::matrix(backward);
    roars::detail::MatrixOf<Real> measure = roars::detail::matrix(samples) * states.transpose();
    const roars::detail::MatrixOf<Real> taken = roars::detail::matrix(forward) * states.transpose();
    double penalty = mean_of(backend, rows, [&](std::int64_t i) {
        std::vector<double> value(static_cast<std::size_t>(candidates));
        double sum = 0.0;
        for (std::int64_t j = 0; j < rows; ++j) {
            for (std::size_t m = 0; m < value.size(); ++m) value[m] = double(measure(std::int64_t(m) * rows + i, j));
            double normaliser = log_sum_exp(std::span<const double>(value));
            for (std::size_t m = 0; m < value.size(); ++m)
                measure(std::int64_t(m) * rows + i, j) = static_cast<Real>(share * probability(value[m], normaliser));
            sum += normaliser - double(taken(i, j));
        }
        return sum / double(rows);
    });
    roars::detail::matrix(grad_samples).noalias() = measure * states;
    const roars::detail::MatrixOf<Real> mean_state = states.colwise().sum() * static_cast<Real>(-share);
    roars::detail::matrix(grad_forward) = mean_state.replicate(rows, 1);
    auto by_backward = roars::detail::matrix(grad_backward);
    by_backward.noalias() = measure.transpose() * roars::detail::matrix(samples);
    const roars::detail::MatrixOf<Real> of_data =
        roars::detail::matrix(forward).colwise().sum() * static_cast<Real>(share);
    by_backward -= of_data.replicate(rows, 1);
    return penalty;
}

}  // namespace roars::critic

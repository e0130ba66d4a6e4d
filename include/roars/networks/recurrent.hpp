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

#include "roars/networks/perceptron.hpp"

namespace roars::network {

/// A context of `shown` steps of `step_width` numbers, the oldest first, of which the last `read` are read.
struct RecurrentSettings {
    std::int64_t step_width = 1;
    std::int64_t shown = 32;
    std::int64_t read = 32;
    std::int64_t units = 64;
    PerceptronSettings rest;  ///< of [what is remembered | what stands beside the context]
};

/// A gated recurrent unit over the steps x_1, ..., x_L of a context, and a perceptron of what it remembers and of the
/// numbers beside the context. From h_0 = 0, with W x + b as one product and s the logistic function,
///     r = s(W_r x + b_r + U_r h)    z = s(W_z x + b_z + U_z h)    n = tanh(W_n x + b_n + r (U_n h + c))
///     h' = (1 - z) n + z h.
/// Parameters are handed to each call, as to a Perceptron. Shapes: inputs [rows x (shown step_width + beside)], outputs
/// [rows x outputs]; W [step_width x 3 units], U [units x 3 units], gates r, z, n. Source: arXiv 1406.1078, n as cuDNN
/// has it.
template <class Real>
class Recurrent {
public:
    Recurrent() = default;
    explicit Recurrent(RecurrentSettings settings) : settings_(std::move(settings)), rest_(settings_.rest) {
        expect(settings_.units > 0 && settings_.step_width > 0 && settings_.read > 0 &&
                   settings_.read <= settings_.shown && rest_.inputs() >= settings_.units,
               "recurrent settings: units, step_width and read are 1 or more, read at most shown, and the rest reads "
               "all units");
        add("memory.input.weight", {settings_.step_width, 3 * settings_.units});
        add("memory.input.bias", {3 * settings_.units});
        add("memory.weight", {settings_.units, 3 * settings_.units});
        add("memory.bias", {settings_.units});
        rest_at_ = parameters_;
        for (Tensor tensor : rest_.tensors()) {
            tensor.offset += rest_at_;
            tensors_.push_back(std::move(tensor));
        }
        parameters_ += rest_.parameters();
        widths_ = {inputs(), settings_.read, settings_.units};
        widths_.insert(widths_.end(), rest_.widths().begin(), rest_.widths().end());
    }

    const RecurrentSettings& settings() const { return settings_; }
    /// Numbers in, steps read, units, and those of the rest.
    const std::vector<std::int64_t>& widths() const { return widths_; }
    std::int64_t inputs() const { return context() + beside(); }
    std::int64_t outputs() const { return rest_.outputs(); }
    std::int64_t parameters() const { return parameters_; }
    const std::vector<Tensor>& tensors() const { return tensors_; }

    /// W, b, U and c uniform within +-1 / sqrt(units), the rest as a Perceptron.
    void initialise(std::span<Real> values, std::uint64_t seed, std::uint32_t which = 0) const {
        check_parameters(values.size());
        const Random random = Random(seed, Purpose::initialise).at(which);
        const double bound = 1.0 / std::sqrt(double(settings_.units));
        for (std::int64_t i = 0; i < rest_at_; ++i)
            values[static_cast<std::size_t>(i)] =
                static_cast<Real>(bound * (2.0 * random.uniform(in_memory, static_cast<std::uint32_t>(i)) - 1.0));
        rest_.initialise(values.subspan(static_cast<std::size_t>(rest_at_)), seed, which);
    }

    /// Valid until the next forward.
    std::span<Real> forward(std::span<const Real> values, std::span<const Real> batch) {
        check_parameters(values.size());
        expect(std::ssize(batch) % inputs() == 0, [&] {
            return "recurrent forward: " + std::to_string(batch.size()) + " numbers, expected rows of " +
                   std::to_string(inputs());
        });
        rows_ = std::ssize(batch) / inputs();
        batch_.assign(batch.begin(), batch.end());
        steps_.resize(static_cast<std::size_t>(settings_.read));
        remembered_.setZero(rows_, settings_.units);
        for (std::int64_t t = 0; rows_ > 0 && t < settings_.read; ++t) step(values, t);
        joined_.resize(static_cast<std::size_t>(rows_ * rest_.inputs()));
        for (std::int64_t i = 0; i < rows_; ++i) {
            auto to = std::copy_n(remembered_.data() + i * settings_.units, settings_.units,
                                  joined_.begin() + i * rest_.inputs());
            std::copy_n(batch_.begin() + i * inputs() + context(), beside(), to);
        }
        return rest_.forward(of_rest(values), joined_);
    }

    /// Adds d loss/d parameters to `gradients`, for the last forward, which had the same `values`. Where grad_inputs
    /// [rows x inputs] is given, it receives d loss/d inputs.
    void backward(std::span<const Real> values, std::span<const Real> grad_outputs, std::span<Real> gradients,
                  std::span<Real> grad_inputs = {}) {
        check_parameters(gradients.size());
        by_joined_.resize(joined_.size());
        rest_.backward(of_rest(values), grad_outputs, gradients.subspan(static_cast<std::size_t>(rest_at_)),
                       by_joined_);
        back_through_steps(values, gradients, grad_inputs);
    }
    /// d loss/d inputs alone.
    void backward_inputs(std::span<const Real> values, std::span<const Real> grad_outputs,
                         std::span<Real> grad_inputs) {
        by_joined_.resize(joined_.size());
        rest_.backward_inputs(of_rest(values), grad_outputs, by_joined_);
        back_through_steps(values, {}, grad_inputs);
    }

private:
    using Matrix = Eigen::Matrix<Real, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    template <class M>
    using Strided = Eigen::Map<M, 0, Eigen::OuterStride<>>;
    static constexpr std::uint32_t in_memory = 0x80000000u;  ///< layers of a Perceptron count from 0

    /// What a step leaves behind for the way back. Shapes: [rows x units].
    struct Step {
        Matrix before, r, z, n, recalled;
    };

    std::int64_t context() const { return settings_.shown * settings_.step_width; }
    std::int64_t beside() const { return rest_.inputs() - settings_.units; }
    void add(std::string name, std::vector<std::int64_t> shape) {
        std::int64_t count = 1;
        for (std::int64_t extent : shape) count *= extent;
        tensors_.push_back({std::move(name), std::move(shape), parameters_});
        parameters_ += count;
    }
    void check_parameters(std::size_t given) const {
        expect(static_cast<std::int64_t>(given) == parameters_, [&] {
            return "recurrent: " + std::to_string(given) + " parameters, expected " + std::to_string(parameters_);
        });
    }
    std::span<const Real> of_rest(std::span<const Real> values) const {
        return values.subspan(static_cast<std::size_t>(rest_at_));
    }
    /// Tensor k of the memory: W, b, U, c. A vector is a row.
    template <class Element>
    auto tensor(std::span<Element> values, std::size_t k) const {
        using M = std::conditional_t<std::is_const_v<Element>, const Matrix, Matrix>;
        const Tensor& it = tensors_[k];
        return Eigen::Map<M>(values.data() + it.offset, it.shape.size() > 1 ? it.shape[0] : 1, it.shape.back());
    }
    /// Step t of those that are read, of every row.
    template <class Element>
    auto step_of(Element* rows, std::int64_t t) const {
        using M = std::conditional_t<std::is_const_v<Element>, const Matrix, Matrix>;
        return Strided<M>(rows + (settings_.shown - settings_.read + t) * settings_.step_width, rows_,
                          settings_.step_width, Eigen::OuterStride<>(inputs()));
    }
    static Matrix logistic(const Matrix& x) { return (Real(1) + (-x.array()).exp()).inverse().matrix(); }

    void step(std::span<const Real> values, std::int64_t t) {
        const std::int64_t units = settings_.units;
        Step& own = steps_[static_cast<std::size_t>(t)];
        own.before = remembered_;
        seen_.noalias() = step_of(std::as_const(batch_).data(), t) * tensor(values, 0);
        seen_.rowwise() += tensor(values, 1).row(0);
        recalled_.noalias() = own.before * tensor(values, 2);
        own.recalled = recalled_.rightCols(units).rowwise() + tensor(values, 3).row(0);
        own.r = logistic(seen_.leftCols(units) + recalled_.leftCols(units));
        own.z = logistic(seen_.middleCols(units, units) + recalled_.middleCols(units, units));
        own.n = (seen_.rightCols(units).array() + own.r.array() * own.recalled.array()).tanh().matrix();
        remembered_ = own.n + own.z.cwiseProduct(own.before - own.n);
    }

    /// From by_joined_. `gradients` may be empty.
    void back_through_steps(std::span<const Real> values, std::span<Real> gradients, std::span<Real> grad_inputs) {
        if (rows_ == 0) return;
        const std::int64_t units = settings_.units;
        const Strided<const Matrix> by_remembered(by_joined_.data(), rows_, units,
                                                  Eigen::OuterStride<>(rest_.inputs()));
        if (!grad_inputs.empty()) {
            std::fill(grad_inputs.begin(), grad_inputs.end(), Real(0));
            for (std::int64_t i = 0; i < rows_; ++i)
                std::copy_n(by_joined_.begin() + i * rest_.inputs() + units, beside(),
                            grad_inputs.begin() + i * inputs() + context());
        }
        Matrix by_h = by_remembered, by_seen(rows_, 3 * units), by_recalled(rows_, 3 * units);
        for (std::int64_t t = settings_.read; t-- > 0;) {
            const Step& own = steps_[static_cast<std::size_t>(t)];
            const auto r = own.r.array(), z = own.z.array(), n = own.n.array();
            by_seen.rightCols(units) = (by_h.array() * (Real(1) - z) * (Real(1) - n * n)).matrix();
            by_seen.middleCols(units, units) = (by_h.array() * (own.before.array() - n) * z * (Real(1) - z)).matrix();
            by_seen.leftCols(units) =
                (by_seen.rightCols(units).array() * own.recalled.array() * r * (Real(1) - r)).matrix();
            by_recalled.leftCols(2 * units) = by_seen.leftCols(2 * units);
            by_recalled.rightCols(units) = (by_seen.rightCols(units).array() * r).matrix();
            if (!gradients.empty()) {
                tensor(gradients, 0).noalias() += step_of(std::as_const(batch_).data(), t).transpose() * by_seen;
                tensor(gradients, 1) += by_seen.colwise().sum();
                tensor(gradients, 2).noalias() += own.before.transpose() * by_recalled;
                tensor(gradients, 3) += by_recalled.rightCols(units).colwise().sum();
            }
            if (!grad_inputs.empty())
                step_of(grad_inputs.data(), t).noalias() = by_seen * tensor(values, 0).transpose();
            by_h = by_h.cwiseProduct(own.z);
            by_h.noalias() += by_recalled * tensor(values, 2).transpose();
        }
    }

    RecurrentSettings settings_;
    Perceptron<Real> rest_;
    std::vector<Tensor> tensors_;
    std::vector<std::int64_t> widths_;
    std::int64_t parameters_ = 0, rest_at_ = 0, rows_ = 0;
    std::vector<Real> batch_, joined_, by_joined_;
    std::vector<Step> steps_;
    Matrix remembered_, seen_, recalled_;
};

}  // namespace roars::network

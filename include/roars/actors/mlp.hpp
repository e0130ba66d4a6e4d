#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roars/actors/matrix.hpp"
#include "roars/actors/parameters.hpp"
#include "roars/backend.hpp"
#include "roars/error.hpp"
#include "roars/random.hpp"

namespace roars::actor {

/// gelu is the tanh form: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), arXiv 1606.08415.
enum class Activation { identity, relu, tanh, gelu };

namespace detail {

template <class Real>
inline constexpr Real gelu_scale = static_cast<Real>(0.7978845608028654);
template <class Real>
inline constexpr Real gelu_cubic = static_cast<Real>(0.044715);

template <class Real>
void activate(Activation activation, const MatrixMap<Real>& input, MatrixMap<Real> output) {
    auto x = input.array();
    switch (activation) {
        case Activation::identity:
            output = input;
            break;
        case Activation::relu:
            output.array() = x.max(Real(0));
            break;
        case Activation::tanh:
            output.array() = x.tanh();
            break;
        case Activation::gelu:
            output.array() = gelu_scale<Real> * (x + gelu_cubic<Real> * x.cube());
            output.array() = Real(0.5) * x * (Real(1) + output.array().tanh());
            break;
    }
}

/// grad: d loss/d output becomes d loss/d input. `output` is what activate() gave for `input`.
template <class Real>
void activate_backward(Activation activation, const MatrixMap<Real>& input, const MatrixMap<Real>& output,
                       MatrixMap<Real> grad) {
    auto x = input.array();
    auto dy = grad.array();
    switch (activation) {
        case Activation::identity:
            break;
        case Activation::relu:
            dy = (x > Real(0)).select(dy, Real(0));
            break;
        case Activation::tanh:
            dy *= Real(1) - output.array().square();
            break;
        case Activation::gelu:
            // With t = tanh(u): y' = (1 + t)/2 + x/2 (1 - t^2) u'. Tanh twice costs less than a stored matrix.
            for (Eigen::Index column = 0; column < grad.cols(); ++column) {
                auto z = input.col(column).array();
                auto t = (gelu_scale<Real> * (z + gelu_cubic<Real> * z.cube())).tanh();
                grad.col(column).array() *=
                    Real(0.5) * ((Real(1) + t) + z * (Real(1) - t.square()) * gelu_scale<Real> *
                                                     (Real(1) + Real(3) * gelu_cubic<Real> * z.square()));
            }
            break;
    }
}

/// y = gain * h + bias with h = (x - mean(x)) * inverse, inverse = 1 / sqrt(var(x) + 1e-5), a column (row of the batch)
/// at a time (arXiv 1607.06450).
template <class Real>
void layer_normalise(const MatrixMap<Real>& input, const ConstVectorMap<Real>& gain, const ConstVectorMap<Real>& bias,
                     MatrixMap<Real> normed, Real* inverse, MatrixMap<Real> output) {
    for (Eigen::Index c = 0; c < input.cols(); ++c) {
        normed.col(c).array() = input.col(c).array() - input.col(c).mean();
        inverse[c] = Real(1) / std::sqrt(normed.col(c).squaredNorm() / static_cast<Real>(input.rows()) + Real(1e-5));
        normed.col(c) *= inverse[c];
        output.col(c) = normed.col(c).cwiseProduct(gain) + bias;
    }
}

/// grad: d loss/d y becomes d loss/d x = inverse * (g - mean(g) - h mean(g h)), g = gain * dy.
template <class Real>
void layer_normalise_backward(const MatrixMap<Real>& normed, const ConstVectorMap<Real>& gain, const Real* inverse,
                              MatrixMap<Real> grad) {
    for (Eigen::Index c = 0; c < grad.cols(); ++c) {
        auto g = grad.col(c).array();
        auto h = normed.col(c).array();
        g *= gain.array();
        Real mean = g.mean(), along = (g * h).mean();
        g = inverse[c] * (g - mean - h * along);
    }
}

}  // namespace detail

struct MlpSettings {
    /// Inputs, hidden layers, outputs.
    std::vector<std::int64_t> widths;
    Activation activation = Activation::relu;
    /// After the last layer: tanh for actions in [-1, 1].
    Activation output = Activation::identity;
    /// Of every hidden layer, between the linear map and the activation.
    bool layer_norm = false;
    /// Start deviation of the last layer's weights, times 1/sqrt(inputs).
    double output_gain = 1;
};

/// A multi-layer perceptron: logits of a categorical policy, actions, values. x' = activation(W x + b).
/// Shapes: inputs [rows x inputs], outputs [rows x outputs], row by row. A value: a copy is a frozen network.
/// The bits of a result depend on parameters and input alone, on no number of threads.
template <class Real = float>
class Mlp {
public:
    explicit Mlp(MlpSettings settings, std::uint64_t seed = 0) : settings_(std::move(settings)) {
        expect(settings_.widths.size() >= 2, "mlp settings: widths needs at least inputs and outputs");
        for (std::int64_t width : settings_.widths)
            expect(width > 0,
                   [&] { return "mlp settings: a width is " + std::to_string(width) + ", expected at least 1"; });
        add_tensors();
        initialise(Random(seed, Purpose::initialise));
    }
    Mlp(const Mlp& other) : settings_(other.settings_), parameters_(other.parameters_), places_(other.places_) {}
    Mlp& operator=(const Mlp& other) {
        if (this != &other) *this = Mlp(other);
        return *this;
    }
    Mlp(Mlp&&) noexcept = default;
    Mlp& operator=(Mlp&&) noexcept = default;

    const MlpSettings& settings() const { return settings_; }
    std::int64_t inputs() const { return settings_.widths.front(); }
    std::int64_t outputs() const { return settings_.widths.back(); }
    Parameters<Real>& parameters() { return parameters_; }
    const Parameters<Real>& parameters() const { return parameters_; }
    Mlp snapshot() const { return *this; }

    /// Valid until the next forward; a loss may write its gradient in place. Activations are kept for backward.
    std::span<Real> forward(std::span<const Real> batch) {
        expect(static_cast<std::int64_t>(batch.size()) % inputs() == 0, [&] {
            return "mlp forward: " + std::to_string(batch.size()) + " numbers, expected rows of " +
                   std::to_string(inputs());
        });
        rows_ = static_cast<std::int64_t>(batch.size()) / inputs();
        prepare();
        std::copy(batch.begin(), batch.end(), input_.data());
        parallel_for(backend_, (rows_ + block - 1) / block,
                     [&](std::int64_t part) { forward_block(part * block, std::min(block, rows_ - part * block)); });
        return {layers_.back().output.data(), static_cast<std::size_t>(layers_.back().output.size())};
    }

    /// Adds d loss/d parameters to parameters().gradients(), for the last forward. Where grad_inputs [rows x inputs] is
    /// given, it receives d loss/d inputs.
    void backward(std::span<const Real> grad_outputs, std::span<Real> grad_inputs = {}) {
        check_gradients(grad_outputs, grad_inputs);
        std::int64_t lanes = resize_lanes();
        parallel_for(backend_, lanes, [&](std::int64_t index) {
            Lane& lane = lanes_[index];
            lane.gradients.assign(static_cast<std::size_t>(parameters_.size()), Real(0));
            backward_rows<true>(lane, rows_ * index / lanes, rows_ * (index + 1) / lanes, grad_outputs, grad_inputs);
        });
        parallel_pieces(backend_, parameters_.size(), [&](std::int64_t, std::int64_t begin, std::int64_t end) {
            VectorMap<Real> total(parameters_.gradients().data() + begin, end - begin);
            for (std::int64_t lane = 0; lane < lanes; ++lane)
                total += VectorMap<Real>(lanes_[lane].gradients.data() + begin, end - begin);
        });
    }

    /// d loss/d inputs alone; the parameters' gradients stay as they are: dQ/da of a critic, for its actor.
    void backward_inputs(std::span<const Real> grad_outputs, std::span<Real> grad_inputs) {
        expect(!grad_inputs.empty() || rows_ == 0, "mlp backward_inputs: grad_inputs is empty");
        check_gradients(grad_outputs, grad_inputs);
        std::int64_t lanes = resize_lanes();
        parallel_for(backend_, lanes, [&](std::int64_t index) {
            backward_rows<false>(lanes_[index], rows_ * index / lanes, rows_ * (index + 1) / lanes, grad_outputs,
                                 grad_inputs);
        });
    }

private:
    struct Places {
        std::int64_t weight, bias, gain, shift;
    };
    struct Layer {
        Buffer<Real> linear, normed, inverse, activation_input, output;
    };
    /// A lane sums the gradients of its rows; lanes are added in order. Their number depends on the rows alone.
    struct Lane {
        AlignedVector<Real> gradients;
        Buffer<Real> grad, grad_below;
    };

    static constexpr std::int64_t block = 64, lane_limit = 4;

    bool normed(std::size_t l) const { return settings_.layer_norm && l + 1 < places_.size(); }
    Activation activation(std::size_t l) const {
        return l + 1 < places_.size() ? settings_.activation : settings_.output;
    }
    std::int64_t width(std::size_t index) const { return settings_.widths[index]; }

    void add_tensors() {
        for (std::size_t l = 0; l + 1 < settings_.widths.size(); ++l) {
            std::string layer = "layers." + std::to_string(l) + ".";
            Places place{};
            place.weight = parameters_.add(layer + "weight", {width(l + 1), width(l)});
            place.bias = parameters_.add(layer + "bias", {width(l + 1)});
            if (settings_.layer_norm && l + 2 < settings_.widths.size()) {
                place.gain = parameters_.add(layer + "norm.weight", {width(l + 1)});
                place.shift = parameters_.add(layer + "norm.bias", {width(l + 1)});
            }
            places_.push_back(place);
        }
    }

    /// Weights normal: variance 2/inputs before relu and gelu (arXiv 1502.01852), 1/inputs before tanh,
    /// output_gain^2/inputs in the last layer. Biases 0, gains 1.
    void initialise(const Random& random) {
        for (std::size_t l = 0; l < places_.size(); ++l) {
            bool last = l + 1 == places_.size();
            double variance = last || settings_.activation == Activation::tanh ? 1 : 2;
            double deviation = std::sqrt(variance / static_cast<double>(width(l))) * (last ? settings_.output_gain : 1);
            std::int64_t count = width(l) * width(l + 1);
            for (std::int64_t i = 0; i < count; ++i)
                parameters_.values()[static_cast<std::size_t>(places_[l].weight + i)] = static_cast<Real>(
                    deviation * random.normal(static_cast<std::uint32_t>(l), static_cast<std::uint32_t>(i)));
            if (!normed(l)) continue;
            std::span<Real> gain = parameters_.values("layers." + std::to_string(l) + ".norm.weight");
            std::fill(gain.begin(), gain.end(), Real(1));
        }
    }

    ConstWeightMap<Real> weight(std::size_t l) const {
        return parameters_.weight(places_[l].weight, width(l + 1), width(l));
    }

    void prepare() {
        layers_.resize(places_.size());
        input_.resize(inputs(), rows_);
        for (std::size_t l = 0; l < places_.size(); ++l) {
            layers_[l].activation_input.resize(width(l + 1), rows_);
            layers_[l].output.resize(width(l + 1), rows_);
            if (!normed(l)) continue;
            layers_[l].linear.resize(width(l + 1), rows_);
            layers_[l].normed.resize(width(l + 1), rows_);
            layers_[l].inverse.resize(1, rows_);
        }
    }

    MatrixMap<Real> layer_input(std::size_t l, std::int64_t begin, std::int64_t count) {
        return (l == 0 ? input_ : layers_[l - 1].output).columns(begin, count);
    }

    void forward_block(std::int64_t begin, std::int64_t count) {
        for (std::size_t l = 0; l < places_.size(); ++l) {
            Layer& layer = layers_[l];
            auto linear = (normed(l) ? layer.linear : layer.activation_input).columns(begin, count);
            linear.colwise() = parameters_.vector(places_[l].bias, width(l + 1));
            add_product(linear, weight(l), layer_input(l, begin, count));
            auto raised = layer.activation_input.columns(begin, count);
            if (normed(l))
                detail::layer_normalise<Real>(linear, parameters_.vector(places_[l].gain, width(l + 1)),
                                              parameters_.vector(places_[l].shift, width(l + 1)),
                                              layer.normed.columns(begin, count), layer.inverse.data() + begin, raised);
            detail::activate<Real>(activation(l), raised, layer.output.columns(begin, count));
        }
    }

    void check_gradients(std::span<const Real> grad_outputs, std::span<Real> grad_inputs) const {
        auto check = [&](std::size_t given, std::int64_t columns, const char* name) {
            expect(static_cast<std::int64_t>(given) == rows_ * columns, [&] {
                return std::string("mlp backward: ") + name + " has " + std::to_string(given) + " numbers, expected " +
                       std::to_string(rows_) + " rows of " + std::to_string(columns);
            });
        };
        check(grad_outputs.size(), outputs(), "grad_outputs");
        if (!grad_inputs.empty()) check(grad_inputs.size(), inputs(), "grad_inputs");
    }

    std::int64_t resize_lanes() {
        std::int64_t lanes = std::min(lane_limit, (rows_ + block - 1) / block);
        if (static_cast<std::int64_t>(lanes_.size()) < lanes) lanes_.resize(static_cast<std::size_t>(lanes));
        return lanes;
    }

    /// Rows [begin, end), from the last layer to the first; `grad` is d loss/d what the step before it works on.
    template <bool sum_parameters>
    void backward_rows(Lane& lane, std::int64_t begin, std::int64_t end, std::span<const Real> grad_outputs,
                       std::span<Real> grad_inputs) {
        std::int64_t count = end - begin;
        lane.grad.resize(outputs(), count) =
            ConstMatrixMap<Real>(grad_outputs.data() + begin * outputs(), outputs(), count);
        for (std::size_t l = places_.size(); l-- > 0;) {
            auto grad = lane.grad.all();
            detail::activate_backward<Real>(activation(l), layers_[l].activation_input.columns(begin, count),
                                            layers_[l].output.columns(begin, count), grad);
            if (normed(l)) norm_backward<sum_parameters>(lane, l, begin, grad);
            if constexpr (sum_parameters) {
                MatrixMap<Real> grad_weight(lane.gradients.data() + places_[l].weight, width(l), width(l + 1));
                add_product(grad_weight, layer_input(l, begin, count), grad.transpose());
                VectorMap<Real>(lane.gradients.data() + places_[l].bias, width(l + 1)) += grad.rowwise().sum();
            }
            if (l > 0) {
                set_product(lane.grad_below.resize(width(l), count), weight(l).transpose(), grad);
                std::swap(lane.grad, lane.grad_below);
            } else if (!grad_inputs.empty()) {
                set_product(MatrixMap<Real>(grad_inputs.data() + begin * inputs(), inputs(), count),
                            weight(l).transpose(), grad);
            }
        }
    }

    template <bool sum_parameters>
    void norm_backward(Lane& lane, std::size_t l, std::int64_t begin, MatrixMap<Real> grad) {
        auto unit = layers_[l].normed.columns(begin, grad.cols());
        if constexpr (sum_parameters) {
            VectorMap<Real>(lane.gradients.data() + places_[l].gain, width(l + 1)) +=
                grad.cwiseProduct(unit).rowwise().sum();
            VectorMap<Real>(lane.gradients.data() + places_[l].shift, width(l + 1)) += grad.rowwise().sum();
        }
        detail::layer_normalise_backward<Real>(unit, parameters_.vector(places_[l].gain, width(l + 1)),
                                               layers_[l].inverse.data() + begin, grad);
    }

    MlpSettings settings_;
    Parameters<Real> parameters_;
    std::vector<Places> places_;
    Buffer<Real> input_;
    std::vector<Layer> layers_;
    std::vector<Lane> lanes_;
    std::int64_t rows_ = 0;
    backend::Host backend_;
};

}  // namespace roars::actor

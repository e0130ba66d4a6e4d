#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roars/backend.hpp"
#include "roars/error.hpp"
#include "roars/primitives/product.hpp"
#include "roars/random.hpp"

/// Networks: functions with parameters, which belong to somebody else: an actor, or the State of a critic.
namespace roars::network {

/// gelu is the tanh form: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), arXiv 1606.08415.
enum class Activation { identity, relu, tanh, gelu };

struct PerceptronSettings {
    /// Inputs, hidden layers, outputs.
    std::vector<std::int64_t> widths;
    Activation activation = Activation::relu;
    /// After the last layer: tanh for actions in [-1, 1].
    Activation output = Activation::identity;
    /// Of every hidden layer, between the linear map and the activation (arXiv 1607.06450).
    bool layer_norm = false;
    /// Start deviation of the last layer's weights, times 1/sqrt(inputs).
    double output_gain = 1;
};

/// One tensor in the flat parameters.
struct Tensor {
    std::string name;
    std::vector<std::int64_t> shape;
    std::int64_t offset;
};

namespace detail {

template <class V>
ROARS_INLINE V gelu_inner(const V& x) {
    using Real = math::Scalar<V>;
    return math::tanh(V(Real(0.7978845608028654)) * (x + V(Real(0.044715)) * x * x * x));
}

/// count is a multiple of the lanes. output may be input.
template <class Real>
void activate(Activation activation, const Real* input, Real* output, std::int64_t count) {
    using V = math::Lanes<Real>;
    auto each = [&](auto&& apply) {
        for (std::int64_t i = 0; i < count; i += math::lanes<V>)
            math::store(output + i, apply(math::load<V>(input + i)));
    };
    const V zero(Real(0)), half(Real(0.5)), one(Real(1));
    switch (activation) {
        case Activation::identity:
            if (output != input) std::copy(input, input + count, output);
            break;
        case Activation::relu:
            each([&](const V& x) { return math::max(x, zero); });
            break;
        case Activation::tanh:
            each([&](const V& x) { return math::tanh(x); });
            break;
        case Activation::gelu:
            each([&](const V& x) { return half * x * (one + gelu_inner(x)); });
            break;
    }
}

/// grad: d loss / d output becomes d loss / d input; gelu alone looks at the input.
template <class Real>
void activate_backward(Activation activation, const Real* input, const Real* output, Real* grad, std::int64_t count) {
    using V = math::Lanes<Real>;
    auto each = [&](const Real* from, auto&& slope) {
        for (std::int64_t i = 0; i < count; i += math::lanes<V>)
            math::store(grad + i, slope(math::load<V>(grad + i), math::load<V>(from + i)));
    };
    const V zero(Real(0)), half(Real(0.5)), one(Real(1));
    switch (activation) {
        case Activation::identity:
            break;
        case Activation::relu:
            each(output, [&](const V& g, const V& y) { return math::select(y > zero, g, zero); });
            break;
        case Activation::tanh:
            each(output, [&](const V& g, const V& y) { return g * (one - y * y); });
            break;
        case Activation::gelu:
            // With t = tanh(u): y' = (1 + t)/2 + x/2 (1 - t^2) u'. Tanh twice costs less than a stored matrix.
            each(input, [&](const V& g, const V& x) {
                V t = gelu_inner(x);
                V inner = V(Real(0.7978845608028654)) * (one + V(Real(3 * 0.044715)) * x * x);
                return g * half * ((one + t) + x * (one - t * t) * inner);
            });
            break;
    }
}

/// y = gain * h + bias with h = (x - mean(x)) * inverse, inverse = 1 / sqrt(var(x) + 1e-5), of one row.
template <class Real>
void layer_normalise(std::int64_t width, const Real* x, const Real* gain, const Real* bias, Real* normed, Real& inverse,
                     Real* y) {
    Real mean = 0, square = 0;
    for (std::int64_t j = 0; j < width; ++j) mean += x[j];
    mean /= static_cast<Real>(width);
    for (std::int64_t j = 0; j < width; ++j) square += (x[j] - mean) * (x[j] - mean);
    inverse = Real(1) / std::sqrt(square / static_cast<Real>(width) + Real(1e-5));
    for (std::int64_t j = 0; j < width; ++j) {
        normed[j] = (x[j] - mean) * inverse;
        y[j] = normed[j] * gain[j] + bias[j];
    }
}

/// grad: d loss/d y becomes d loss/d x = inverse * (g - mean(g) - h mean(g h)), g = gain * dy.
template <class Real>
void layer_normalise_backward(std::int64_t width, const Real* normed, const Real* gain, Real inverse, Real* grad) {
    Real mean = 0, along = 0;
    for (std::int64_t j = 0; j < width; ++j) {
        grad[j] *= gain[j];
        mean += grad[j];
        along += grad[j] * normed[j];
    }
    mean /= static_cast<Real>(width);
    along /= static_cast<Real>(width);
    for (std::int64_t j = 0; j < width; ++j) grad[j] = inverse * (grad[j] - mean - normed[j] * along);
}

}  // namespace detail

/// A multi-layer perceptron, x' = activation(x W + b), and its passes over parameters that are handed to each call:
/// the same perceptron serves an online network, its target and every member of an ensemble of one shape. Activations
/// are kept for the backward passes; the memory for them is kept too, so that in the steady state nothing is allocated.
/// Shapes: inputs [rows x inputs], outputs [rows x outputs], row by row; W [inputs x outputs]. The bits of a result
/// depend on parameters and input alone, on no number of threads.
template <class Real>
class Perceptron {
public:
    Perceptron() = default;
    explicit Perceptron(PerceptronSettings settings) : settings_(std::move(settings)) {
        expect(settings_.widths.size() >= 2, "perceptron settings: widths needs at least inputs and outputs");
        for (std::int64_t width : settings_.widths)
            expect(width > 0, [&] {
                return "perceptron settings: a width is " + std::to_string(width) + ", expected at least 1";
            });
        for (std::size_t l = 0; l + 1 < settings_.widths.size(); ++l) add_layer(l);
    }

    const PerceptronSettings& settings() const { return settings_; }
    const std::vector<std::int64_t>& widths() const { return settings_.widths; }
    std::int64_t inputs() const { return settings_.widths.front(); }
    std::int64_t outputs() const { return settings_.widths.back(); }
    /// How many parameters there are, and the tensors they are.
    std::int64_t parameters() const { return parameters_; }
    const std::vector<Tensor>& tensors() const { return tensors_; }

    /// Weights normal: variance 2/inputs before relu and gelu (arXiv 1502.01852), 1/inputs before tanh,
    /// output_gain^2/inputs in the last layer. Biases 0, gains 1. `which` tells networks of one seed apart.
    void initialise(std::span<Real> values, std::uint64_t seed, std::uint32_t which = 0) const {
        check_parameters(values.size());
        Random random = Random(seed, Purpose::initialise).at(which);
        std::fill(values.begin(), values.end(), Real(0));
        for (std::size_t l = 0; l < layers_.size(); ++l) {
            const Layer& layer = layers_[l];
            bool last = l + 1 == layers_.size();
            double variance = last || settings_.activation == Activation::tanh ? 1 : 2;
            double deviation =
                std::sqrt(variance / static_cast<double>(layer.inputs)) * (last ? settings_.output_gain : 1);
            for (std::int64_t i = 0; i < layer.inputs * layer.outputs; ++i)
                values[static_cast<std::size_t>(layer.weight + i)] = static_cast<Real>(
                    deviation * random.normal(static_cast<std::uint32_t>(l), static_cast<std::uint32_t>(i)));
            if (layer.normed) std::fill_n(values.begin() + layer.gain, layer.outputs, Real(1));
        }
    }

    /// Valid until the next forward.
    std::span<Real> forward(std::span<const Real> values, std::span<const Real> batch) {
        check_parameters(values.size());
        expect(static_cast<std::int64_t>(batch.size()) % inputs() == 0, [&] {
            return "perceptron forward: " + std::to_string(batch.size()) + " numbers, expected rows of " +
                   std::to_string(inputs());
        });
        rows_ = static_cast<std::int64_t>(batch.size()) / inputs();
        fill_up(values.data());
        make_room();
        parallel_for(backend_, pieces(), [&](std::int64_t piece) {
            forward_rows(values.data(), batch.data(), piece * block, std::min(rows_, (piece + 1) * block));
        });
        Layer& last = layers_.back();
        return {last.outputs == last.wide_outputs ? last.after.data() : outputs_of_rows_.data(),
                static_cast<std::size_t>(rows_ * last.outputs)};
    }

    /// Adds d loss/d parameters to `gradients`, for the last forward, which had the same `values`. Where grad_inputs
    /// [rows x inputs] is given, it receives d loss/d inputs.
    void backward(std::span<const Real> values, std::span<const Real> grad_outputs, std::span<Real> gradients,
                  std::span<Real> grad_inputs = {}) {
        check_parameters(values.size());
        check_parameters(gradients.size());
        check_gradients(grad_outputs, grad_inputs);
        const std::int64_t lanes = prepare_backward(values.data(), !grad_inputs.empty());
        parallel_for(backend_, lanes, [&](std::int64_t index) {
            Lane& lane = lanes_[static_cast<std::size_t>(index)];
            Real* sum = gradients.data();
            if (lanes > 1) {
                lane.gradients.assign(static_cast<std::size_t>(parameters_), Real(0));
                sum = lane.gradients.data();
            }
            backward_rows<true>(lane, values.data(), rows_ * index / lanes, rows_ * (index + 1) / lanes, grad_outputs,
                                sum, grad_inputs);
        });
        if (lanes < 2) return;
        parallel_pieces(backend_, parameters_, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
            for (std::int64_t lane = 0; lane < lanes; ++lane)
                for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i)
                    gradients[i] += lanes_[static_cast<std::size_t>(lane)].gradients[i];
        });
    }

    /// d loss/d inputs alone: dQ/da of a critic, for its actor.
    void backward_inputs(std::span<const Real> values, std::span<const Real> grad_outputs,
                         std::span<Real> grad_inputs) {
        expect(!grad_inputs.empty() || rows_ == 0, "perceptron backward_inputs: grad_inputs is empty");
        check_parameters(values.size());
        check_gradients(grad_outputs, grad_inputs);
        const std::int64_t lanes = prepare_backward(values.data(), !grad_inputs.empty());
        parallel_for(backend_, lanes, [&](std::int64_t index) {
            backward_rows<false>(lanes_[static_cast<std::size_t>(index)], values.data(), rows_ * index / lanes,
                                 rows_ * (index + 1) / lanes, grad_outputs, nullptr, grad_inputs);
        });
    }

private:
    struct Layer {
        std::int64_t inputs = 0, outputs = 0, wide_inputs = 0, wide_outputs = 0;  // as they are, and filled up to lanes
        std::int64_t weight = 0, bias = 0, gain = 0, shift = 0;                   // offsets
        bool normed = false;
        Activation activation = Activation::identity;
        matrix::Aligned<Real> filled, start;  // W and b where outputs are filled up to lanes
        matrix::Aligned<Real> turned;         // W' [outputs x wide_inputs], for the way back
        matrix::Aligned<Real> linear, normal, inverse, before,
            after;  // [rows x wide_outputs]; what a pass leaves behind
    };
    /// A lane sums the gradients of its rows; lanes are added in order. Their number depends on the rows alone.
    struct Lane {
        matrix::Aligned<Real> gradients, grad, grad_below, sum;
    };
    static constexpr std::int64_t block = 256, lane_limit = 4;

    std::int64_t pieces() const { return (rows_ + block - 1) / block; }

    void add_layer(std::size_t l) {
        bool last = l + 2 == settings_.widths.size();
        Layer layer;
        layer.inputs = settings_.widths[l];
        layer.outputs = settings_.widths[l + 1];
        layer.wide_inputs = matrix::padded<Real>(layer.inputs);
        layer.wide_outputs = matrix::padded<Real>(layer.outputs);
        layer.normed = settings_.layer_norm && !last;
        layer.activation = last ? settings_.output : settings_.activation;
        std::string name = "layers." + std::to_string(l) + ".";
        auto add = [&](const char* what, std::vector<std::int64_t> shape) {
            std::int64_t offset = parameters_, count = 1;
            for (std::int64_t extent : shape) count *= extent;
            tensors_.push_back({name + what, std::move(shape), offset});
            parameters_ += count;
            return offset;
        };
        layer.weight = add("weight", {layer.inputs, layer.outputs});
        layer.bias = add("bias", {layer.outputs});
        if (layer.normed) {
            layer.gain = add("norm.weight", {layer.outputs});
            layer.shift = add("norm.bias", {layer.outputs});
        }
        layers_.push_back(std::move(layer));
    }

    void check_parameters(std::size_t given) const {
        expect(static_cast<std::int64_t>(given) == parameters_, [&] {
            return "perceptron: " + std::to_string(given) + " parameters, expected " + std::to_string(parameters_);
        });
    }
    void check_gradients(std::span<const Real> grad_outputs, std::span<Real> grad_inputs) const {
        auto check = [&](std::size_t given, std::int64_t columns, const char* name) {
            expect(static_cast<std::int64_t>(given) == rows_ * columns, [&] {
                return std::string("perceptron backward: ") + name + " has " + std::to_string(given) +
                       " numbers, expected " + std::to_string(rows_) + " rows of " + std::to_string(columns);
            });
        };
        check(grad_outputs.size(), outputs(), "grad_outputs");
        if (!grad_inputs.empty()) check(grad_inputs.size(), inputs(), "grad_inputs");
    }

    /// Grows and never shrinks. What no row fills is zero.
    static void grow(matrix::Aligned<Real>& memory, std::int64_t count) {
        if (static_cast<std::int64_t>(memory.size()) < count) memory.resize(static_cast<std::size_t>(count), Real(0));
    }

    /// W and b with rows of whole lanes.
    void fill_up(const Real* values) {
        for (Layer& layer : layers_) {
            if (layer.outputs == layer.wide_outputs) continue;
            grow(layer.filled, layer.inputs * layer.wide_outputs);
            grow(layer.start, layer.wide_outputs);
            copy_rows(values + layer.weight, layer.outputs, layer.filled.data(), layer.wide_outputs, layer.inputs,
                      layer.outputs);
            std::copy_n(values + layer.bias, layer.outputs, layer.start.data());
        }
    }
    static void turn(Layer& layer, const Real* values) {
        grow(layer.turned, layer.outputs * layer.wide_inputs);
        const Real* weight = values + layer.weight;
        for (std::int64_t i = 0; i < layer.inputs; ++i)
            for (std::int64_t o = 0; o < layer.outputs; ++o)
                layer.turned[std::size_t(o * layer.wide_inputs + i)] = weight[i * layer.outputs + o];
    }

    void make_room() {
        grow(input_, rows_ * layers_.front().wide_inputs);
        for (Layer& layer : layers_) {
            std::int64_t count = rows_ * layer.wide_outputs;
            grow(layer.after, count);
            if (layer.activation == Activation::gelu) grow(layer.before, count);
            if (!layer.normed) continue;
            grow(layer.linear, count);
            grow(layer.normal, count);
            grow(layer.inverse, rows_);
        }
        if (outputs() != layers_.back().wide_outputs) grow(outputs_of_rows_, rows_ * outputs());
    }

    static void copy_rows(const Real* from, std::int64_t from_width, Real* to, std::int64_t to_width, std::int64_t rows,
                          std::int64_t width) {
        for (std::int64_t r = 0; r < rows; ++r)
            for (std::int64_t j = 0; j < width; ++j) to[r * to_width + j] = from[r * from_width + j];
    }

    Real* input_of(std::size_t l) { return l == 0 ? input_.data() : layers_[l - 1].after.data(); }

    void forward_rows(const Real* values, const Real* batch, std::int64_t begin, std::int64_t end) {
        std::int64_t rows = end - begin, width = layers_.front().wide_inputs;
        copy_rows(batch + begin * inputs(), inputs(), input_.data() + begin * width, width, rows, inputs());
        for (std::size_t l = 0; l < layers_.size(); ++l) {
            Layer& layer = layers_[l];
            std::int64_t at = begin * layer.wide_outputs, count = rows * layer.wide_outputs;
            Real* after = layer.after.data() + at;
            Real* before = (layer.activation == Activation::gelu ? layer.before.data() : layer.after.data()) + at;
            Real* linear = layer.normed ? layer.linear.data() + at : before;
            bool wide = layer.outputs == layer.wide_outputs;
            matrix::product<false, Real>(rows, layer.wide_outputs, layer.inputs,
                                         {input_of(l) + begin * layer.wide_inputs, layer.wide_inputs, 1},
                                         wide ? values + layer.weight : layer.filled.data(), layer.wide_outputs, linear,
                                         layer.wide_outputs, wide ? values + layer.bias : layer.start.data());
            if (layer.normed)
                for (std::int64_t r = 0; r < rows; ++r) {
                    std::int64_t row = r * layer.wide_outputs;
                    detail::layer_normalise(layer.outputs, linear + row, values + layer.gain, values + layer.shift,
                                            layer.normal.data() + at + row,
                                            layer.inverse[static_cast<std::size_t>(begin + r)], before + row);
                }
            detail::activate(layer.activation, before, after, count);
        }
        const Layer& last = layers_.back();
        if (outputs() != last.wide_outputs)
            copy_rows(last.after.data() + begin * last.wide_outputs, last.wide_outputs,
                      outputs_of_rows_.data() + begin * outputs(), outputs(), rows, outputs());
    }

    /// The number of lanes.
    std::int64_t prepare_backward(const Real* values, bool to_inputs) {
        std::int64_t lanes = std::min(lane_limit, pieces());
        lanes_.resize(std::max(lanes_.size(), static_cast<std::size_t>(lanes)));
        for (std::size_t l = to_inputs ? 0 : 1; l < layers_.size(); ++l) turn(layers_[l], values);
        return lanes;
    }

    /// Rows [begin, end), from the last layer to the first; `grad` is d loss/d what the step before it works on.
    template <bool sum_parameters>
    void backward_rows(Lane& lane, const Real* values, std::int64_t begin, std::int64_t end,
                       std::span<const Real> grad_outputs, Real* sum, std::span<Real> grad_inputs) {
        std::int64_t rows = end - begin, widest = layers_.front().wide_inputs;
        for (const Layer& layer : layers_) widest = std::max(widest, layer.wide_outputs);
        grow(lane.grad, rows * widest);
        grow(lane.grad_below, rows * widest);
        const Layer& last = layers_.back();
        if (last.outputs != last.wide_outputs) std::fill_n(lane.grad.data(), rows * last.wide_outputs, Real(0));
        copy_rows(grad_outputs.data() + begin * outputs(), outputs(), lane.grad.data(), last.wide_outputs, rows,
                  outputs());
        for (std::size_t l = layers_.size(); l-- > 0;) {
            Layer& layer = layers_[l];
            std::int64_t at = begin * layer.wide_outputs;
            Real* grad = lane.grad.data();
            const Real* after = layer.after.data() + at;
            detail::activate_backward(layer.activation,
                                      layer.activation == Activation::gelu ? layer.before.data() + at : after, after,
                                      grad, rows * layer.wide_outputs);
            if (layer.normed) norm_backward<sum_parameters>(layer, values, begin, rows, grad, sum);
            if constexpr (sum_parameters) add_parameters(lane, l, begin, rows, grad, sum);
            if (l == 0 && grad_inputs.empty()) break;
            matrix::product<false, Real>(rows, layer.wide_inputs, layer.outputs, {grad, layer.wide_outputs, 1},
                                         layer.turned.data(), layer.wide_inputs, lane.grad_below.data(),
                                         layer.wide_inputs);
            std::swap(lane.grad, lane.grad_below);
        }
        if (!grad_inputs.empty())
            copy_rows(lane.grad.data(), layers_.front().wide_inputs, grad_inputs.data() + begin * inputs(), inputs(),
                      rows, inputs());
    }

    template <bool sum_parameters>
    void norm_backward(const Layer& layer, const Real* values, std::int64_t begin, std::int64_t rows, Real* grad,
                       Real* sum) const {
        for (std::int64_t r = 0; r < rows; ++r) {
            Real* g = grad + r * layer.wide_outputs;
            const Real* h = layer.normal.data() + (begin + r) * layer.wide_outputs;
            if constexpr (sum_parameters)
                for (std::int64_t j = 0; j < layer.outputs; ++j) {
                    sum[layer.gain + j] += g[j] * h[j];
                    sum[layer.shift + j] += g[j];
                }
            detail::layer_normalise_backward(layer.outputs, h, values + layer.gain,
                                             layer.inverse[static_cast<std::size_t>(begin + r)], g);
        }
    }

    /// W += x' g, b += the sum of g over the rows.
    void add_parameters(Lane& lane, std::size_t l, std::int64_t begin, std::int64_t rows, const Real* grad, Real* sum) {
        const Layer& layer = layers_[l];
        const matrix::Strided<Real> left{input_of(l) + begin * layer.wide_inputs, 1, layer.wide_inputs};
        if (layer.outputs == layer.wide_outputs) {
            matrix::product<true, Real>(layer.inputs, layer.wide_outputs, rows, left, grad, layer.wide_outputs,
                                        sum + layer.weight, layer.outputs);
        } else {
            grow(lane.sum, layer.inputs * layer.wide_outputs);
            matrix::product<false, Real>(layer.inputs, layer.wide_outputs, rows, left, grad, layer.wide_outputs,
                                         lane.sum.data(), layer.wide_outputs);
            for (std::int64_t i = 0; i < layer.inputs; ++i)
                for (std::int64_t o = 0; o < layer.outputs; ++o)
                    sum[layer.weight + i * layer.outputs + o] += lane.sum[std::size_t(i * layer.wide_outputs + o)];
        }
        grow(lane.sum, layer.wide_outputs);
        std::fill_n(lane.sum.data(), layer.wide_outputs, Real(0));
        for (std::int64_t r = 0; r < rows; ++r)
            for (std::int64_t j = 0; j < layer.wide_outputs; ++j)
                lane.sum[std::size_t(j)] += grad[r * layer.wide_outputs + j];
        for (std::int64_t j = 0; j < layer.outputs; ++j) sum[layer.bias + j] += lane.sum[std::size_t(j)];
    }

    PerceptronSettings settings_;
    std::vector<Layer> layers_;
    std::vector<Tensor> tensors_;
    std::int64_t parameters_ = 0, rows_ = 0;
    matrix::Aligned<Real> input_, outputs_of_rows_;
    std::vector<Lane> lanes_;
    backend::Host backend_;
};

}  // namespace roars::network

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "roars/actors/matrix.hpp"
#include "roars/actors/parameters.hpp"
#include "roars/actors/safetensors.hpp"
#include "roars/actors/transformer_layout.hpp"
#include "roars/backend.hpp"
#include "roars/error.hpp"
#include "roars/random.hpp"

namespace roars::actor {

/// What the transformer gives for the requested rows: logits [rows x vocabulary], row by row, and values [rows] (empty
/// without a value head). Views into the workspace, valid until the next forward; a loss may write its gradient in
/// place.
template <class Real>
struct TransformerOutput {
    std::span<Real> logits;
    std::span<Real> values;
};

namespace detail {

/// Packets of every machine divide 16 reals, so that padded columns are read in whole packets: the rest would go
/// through a scalar exp.
inline std::int64_t padded(std::int64_t count) { return (count + 15) / 16 * 16; }

/// Memory of the calling thread for the scores of one block of queries.
template <class Real, int Which>
MatrixMap<Real> scratch(std::int64_t rows, std::int64_t columns) {
    thread_local Buffer<Real> buffer;
    return buffer.resize(rows, columns);
}

/// In place: scores [padded keys x queries] -> probabilities softmax(scale * scores) over the first `first_keys` + j
/// keys of column j; exact zeros below. log_sums[j * stride] receives the log of the normaliser.
template <class Real>
void causal_softmax(MatrixMap<Real> scores, std::int64_t first_keys, Real scale, Real* log_sums, std::int64_t stride) {
    for (Eigen::Index j = 0; j < scores.cols(); ++j) {
        auto column = scores.col(j);
        Eigen::Index keys = first_keys + j;
        Real largest = column.head(keys).maxCoeff();
        column.tail(column.size() - keys).setConstant(largest);
        column.array() = scale * (column.array() - largest);
        log_sums[j * stride] = scale * largest;
    }
    scores.array() = scores.array().exp();
    for (Eigen::Index j = 0; j < scores.cols(); ++j) {
        auto column = scores.col(j);
        column.tail(column.size() - first_keys - j).setZero();
        Real sum = column.sum();
        log_sums[j * stride] += std::log(sum);
        column *= Real(1) / sum;
    }
}

/// The same probabilities from the stored normaliser.
template <class Real>
void causal_softmax_again(MatrixMap<Real> scores, std::int64_t first_keys, Real scale, const Real* log_sums,
                          std::int64_t stride) {
    for (Eigen::Index j = 0; j < scores.cols(); ++j) {
        auto column = scores.col(j);
        column.tail(column.size() - first_keys - j).setConstant(log_sums[j * stride] / scale);
        column.array() = scale * column.array() - log_sums[j * stride];
    }
    scores.array() = scores.array().exp();
    for (Eigen::Index j = 0; j < scores.cols(); ++j) {
        auto column = scores.col(j);
        column.tail(column.size() - first_keys - j).setZero();
    }
}

/// Root mean square norm: y = gain * x / sqrt(mean(x^2) + 1e-5), a column (token) at a time. Keeps the inverse root.
template <class Real>
void normalise(const MatrixMap<Real>& input, const ConstVectorMap<Real>& gain, Real* inverse_root,
               MatrixMap<Real> output) {
    Real scale = Real(1) / static_cast<Real>(input.rows());
    for (Eigen::Index t = 0; t < input.cols(); ++t) {
        inverse_root[t] = Real(1) / std::sqrt(input.col(t).squaredNorm() * scale + Real(1e-5));
        output.col(t) = input.col(t).cwiseProduct(gain) * inverse_root[t];
    }
}

/// grad_input += d loss/d x and grad_gain += d loss/d gain, from grad_output = d loss/d y. With h = x * inverse_root:
/// dx = inverse_root * (gain * dy - h * mean(gain * dy * h)).
template <class Real>
void normalise_backward(const MatrixMap<Real>& input, const ConstVectorMap<Real>& gain, const Real* inverse_root,
                        const MatrixMap<Real>& grad_output, VectorMap<Real> grad_gain, MatrixMap<Real> grad_input) {
    Real scale = Real(1) / static_cast<Real>(input.rows());
    for (Eigen::Index t = 0; t < input.cols(); ++t) {
        auto x = input.col(t).array();
        auto dy = grad_output.col(t).array();
        Real inverse = inverse_root[t];
        Real along = (gain.array() * dy * x).sum() * scale * inverse * inverse;
        grad_gain.array() += dy * x * inverse;
        grad_input.col(t).array() += inverse * (gain.array() * dy - x * along);
    }
}

}  // namespace detail

template <class Real>
class Generator;

/// A decoder-only transformer, pre-norm (RMSNorm, arXiv 1910.07467), causal multi-head attention with rotary positions
/// (arXiv 2104.09864), a SiLU MLP, no biases, output head tied to the embedding, optional scalar value head:
///     x_0 = E[token];  m = x + Wo attention(norm(x));  x' = m + Wd silu(Wu norm(m));  logits = E norm(x_L)
/// Sequences are packed one after another, without padding. A value: a copy is a frozen policy with the same
/// parameters. The bits of a result depend on parameters and input alone, on no number of threads.
template <class Real = float>
class Transformer {
public:
    explicit Transformer(const TransformerSettings& settings, std::uint64_t seed = 0) : settings_(validated(settings)) {
        places_ = add_transformer(parameters_, settings_);
        initialise(Random(seed, Purpose::initialise));
        tabulate_rotations();
    }
    Transformer(const Transformer& other)
        : settings_(other.settings_),
          parameters_(other.parameters_),
          places_(other.places_),
          cosines_(other.cosines_),
          sines_(other.sines_) {}
    Transformer& operator=(const Transformer& other) {
        if (this != &other) *this = Transformer(other);
        return *this;
    }
    Transformer(Transformer&&) noexcept = default;
    Transformer& operator=(Transformer&&) noexcept = default;

    const TransformerSettings& settings() const { return settings_; }
    Parameters<Real>& parameters() { return parameters_; }
    const Parameters<Real>& parameters() const { return parameters_; }

    /// The same policy, frozen: a copy of the parameters without activations.
    Transformer snapshot() const { return *this; }

    /// Sequence s is tokens [token_offsets[s], token_offsets[s + 1]). For row i of the output, logits[i] predict the
    /// token after token rows[i]. Activations are kept for backward. `added` [tokens x width], where given, is added to
    /// the embeddings: what a token stands for is numbers.
    TransformerOutput<Real> forward(std::span<const std::int32_t> tokens, std::span<const std::int64_t> token_offsets,
                                    std::span<const std::int64_t> rows, std::span<const Real> added = {}) {
        encode(workspace_, tokens, token_offsets, added);
        return read_out(workspace_, rows);
    }

    /// Adds d loss/d parameters to parameters().gradients(), for the last forward. grad_logits [rows x vocabulary] may
    /// be the span that forward returned; grad_values [rows] or empty. Where grad_added [tokens x width] is given, it
    /// receives d loss/d added.
    void backward(std::span<const Real> grad_logits, std::span<const Real> grad_values = {},
                  std::span<Real> grad_added = {}) {
        Workspace& w = workspace_;
        auto rows = static_cast<std::int64_t>(w.rows.size());
        expect(static_cast<std::int64_t>(grad_logits.size()) == rows * settings_.vocabulary, [&] {
            return "transformer backward: grad_logits has " + std::to_string(grad_logits.size()) +
                   " numbers, expected " + std::to_string(rows) + " rows of " + std::to_string(settings_.vocabulary);
        });
        expect(
            grad_values.empty() || (settings_.value_head && static_cast<std::int64_t>(grad_values.size()) == rows),
            [&] {
                return "transformer backward: grad_values has " + std::to_string(grad_values.size()) +
                       " numbers, expected " +
                       (settings_.value_head ? std::to_string(rows) : std::string("none: the model has no value head"));
            });
        check_added("grad_added", grad_added.size(), static_cast<std::int64_t>(w.tokens.size()));
        std::fill(grad_added.begin(), grad_added.end(), Real(0));
        if (rows == 0) return;
        std::int64_t row_lanes = std::min(lane_limit, (rows + 63) / 64);
        auto chunks = static_cast<std::int64_t>(w.chunks.size()) - 1;
        std::int64_t chunk_lanes = std::min(lane_limit, chunks);
        clear_lanes(w, std::max(row_lanes, chunk_lanes));
        parallel_for(backend_, row_lanes, [&](std::int64_t lane) {
            read_out_backward(w, w.lanes[lane], rows * lane / row_lanes, rows * (lane + 1) / row_lanes, grad_logits,
                              grad_values);
        });
        scatter_rows(w);
        parallel_for(backend_, chunk_lanes, [&](std::int64_t lane) {
            for (std::int64_t chunk = chunks * lane / chunk_lanes; chunk < chunks * (lane + 1) / chunk_lanes; ++chunk)
                chunk_backward(w, w.lanes[lane], w.chunks[chunk], w.chunks[chunk + 1]);
        });
        add_lanes(w, std::max(row_lanes, chunk_lanes));
        std::copy_n(w.grad_residual.data(), grad_added.size(), grad_added.begin());
    }

    /// The parameters and, as metadata, the settings; load() needs nothing else.
    void save(const std::string& path) const {
        SafeTensors file;
        parameters_.write(file);
        for (const auto& [name, member] : whole_settings()) file.metadata[name] = std::to_string(settings_.*member);
        file.metadata["value_head"] = settings_.value_head ? "1" : "0";
        file.metadata["rotary_base"] = nlohmann::json(settings_.rotary_base).dump();  // shortest text that reads back
        file.save(path);
    }
    static Transformer load(const std::string& path) {
        SafeTensors file = SafeTensors::load(path);
        auto number = [&](const std::string& name) {
            auto found = file.metadata.find(name);
            expect(found != file.metadata.end(),
                   [&] { return path + ": metadata lacks '" + name + "', expected the settings of a transformer"; });
            char* end = nullptr;
            double value = std::strtod(found->second.c_str(), &end);
            expect(end != found->second.c_str() && *end == '\0' && std::abs(value) < 1e12,
                   [&] { return path + ": metadata '" + name + "' is '" + found->second + "', expected a number"; });
            return value;
        };
        TransformerSettings settings;
        for (const auto& [name, member] : whole_settings()) settings.*member = static_cast<std::int64_t>(number(name));
        settings.value_head = number("value_head") != 0;
        settings.rotary_base = number("rotary_base");
        Transformer loaded(settings);
        loaded.parameters_.read(file);
        return loaded;
    }

private:
    friend class Generator<Real>;

    using LayerPlaces = TransformerPlaces::Layer;

    struct LayerActivations {
        Buffer<Real> input, normed, projected, mixed, middle, middle_normed, up, activated;  // [features x tokens]
        Buffer<Real> inverse_root, middle_inverse_root;                                      // [1 x tokens]
        Buffer<Real> log_sums;                                                               // [heads x tokens]
    };
    /// A lane sums gradients in a fixed order; lanes are added in a fixed order. Their number depends on the size
    /// alone.
    struct Lane {
        Aligned<Real> gradients;
        Buffer<Real> gate, wide, narrow, projected;
    };
    struct Workspace {
        std::vector<std::int32_t> tokens;
        std::vector<std::int64_t> offsets, rows, chunks;
        std::vector<LayerActivations> layers;
        Buffer<Real> final, gathered, final_normed, inverse_root, logits, values;
        Buffer<Real> grad_residual, grad_rows;
        std::vector<Lane> lanes;
    };

    static constexpr std::int64_t lane_limit = 8;
    static constexpr std::int64_t query_block = 32;

    /// Gains 1; matrices normal with variance 1/inputs, the two that write to the residual stream over 2 layers more
    /// (GPT-2); the embedding 0.5/sqrt(width), so that the first policy is nearly uniform; the value head 0.
    void initialise(const Random& random) {
        auto tensor_index = std::uint32_t{0};
        for (const TensorEntry& entry : parameters_.tensors()) {
            std::span<Real> values = parameters_.values(entry.name);
            ++tensor_index;
            if (entry.name.rfind("value.", 0) == 0) continue;
            if (entry.shape.size() == 1) {
                std::fill(values.begin(), values.end(), Real(1));
                continue;
            }
            double deviation = 1 / std::sqrt(static_cast<double>(entry.shape[1]));
            if (entry.name.ends_with("output.weight") || entry.name.ends_with("down.weight"))
                deviation /= std::sqrt(2.0 * static_cast<double>(settings_.layers));
            if (entry.name == "embedding.weight") deviation *= 0.5;
            for (std::size_t i = 0; i < values.size(); ++i)
                values[i] = static_cast<Real>(deviation * random.normal(tensor_index, static_cast<std::uint32_t>(i)));
        }
    }

    void tabulate_rotations() {
        std::int64_t half = settings_.head_size() / 2;
        cosines_.resize(half, settings_.max_length);
        sines_.resize(half, settings_.max_length);
        for (std::int64_t position = 0; position < settings_.max_length; ++position)
            for (std::int64_t i = 0; i < half; ++i) {
                double angle = settings_.angle(position, i);
                cosines_(i, position) = static_cast<Real>(std::cos(angle));
                sines_(i, position) = static_cast<Real>(std::sin(angle));
            }
    }

    /// Rotates the pairs (i, i + half) of every head of one query and its key by the angles of `position`; direction -1
    /// undoes it.
    void rotate(Real* query_and_key, std::int64_t position, Real direction) const {
        std::int64_t half = cosines_.rows();
        const Real* cosine = cosines_.data() + position * half;
        const Real* sine = sines_.data() + position * half;
        for (std::int64_t head = 0; head < 2 * settings_.heads; ++head) {
            Real* low = query_and_key + head * 2 * half;
            Real* high = low + half;
            for (std::int64_t i = 0; i < half; ++i) {
                Real a = low[i], b = high[i], s = direction * sine[i];
                low[i] = a * cosine[i] - b * s;
                high[i] = a * s + b * cosine[i];
            }
        }
    }

    /// Views of the parameters; neighbours in the buffer may be read as one matrix.
    ConstWeightMap<Real> matrix_at(std::int64_t offset, std::int64_t rows, std::int64_t columns) const {
        return {parameters_.values().data() + offset, rows, columns};
    }
    ConstVectorMap<Real> vector_at(std::int64_t offset, std::int64_t count) const {
        return {parameters_.values().data() + offset, count};
    }
    Real attention_scale() const { return static_cast<Real>(settings_.attention_scale()); }
    ConstVectorMap<Real> gain(std::int64_t place) const { return vector_at(place, settings_.width); }
    ConstWeightMap<Real> embedding() const {
        return matrix_at(places_.embedding, settings_.vocabulary, settings_.width);
    }
    ConstWeightMap<Real> projection(const LayerPlaces& place) const {
        return matrix_at(place.query, 3 * settings_.width, settings_.width);
    }
    ConstWeightMap<Real> output(const LayerPlaces& place) const {
        return matrix_at(place.output, settings_.width, settings_.width);
    }
    ConstWeightMap<Real> up(const LayerPlaces& place) const {
        return matrix_at(place.up, settings_.hidden, settings_.width);
    }
    ConstWeightMap<Real> down(const LayerPlaces& place) const {
        return matrix_at(place.down, settings_.width, settings_.hidden);
    }

    // Forward.

    void encode(Workspace& w, std::span<const std::int32_t> tokens, std::span<const std::int64_t> offsets,
                std::span<const Real> added = {}) const {
        check_sequences(settings_, tokens, offsets);
        check_added("added", added.size(), static_cast<std::int64_t>(tokens.size()));
        w.tokens.assign(tokens.begin(), tokens.end());
        w.offsets.assign(offsets.begin(), offsets.end());
        w.rows.clear();
        cut_chunks(w);
        prepare(w, static_cast<std::int64_t>(tokens.size()));
        parallel_for(backend_, static_cast<std::int64_t>(w.chunks.size()) - 1,
                     [&](std::int64_t chunk) { encode_chunk(w, w.chunks[chunk], w.chunks[chunk + 1], added); });
    }
    void check_added(const char* name, std::size_t numbers, std::int64_t tokens) const {
        expect(numbers == 0 || static_cast<std::int64_t>(numbers) == tokens * settings_.width, [&] {
            return std::string("transformer: ") + name + " has " + std::to_string(numbers) + " numbers, expected " +
                   std::to_string(tokens) + " rows of " + std::to_string(settings_.width);
        });
    }

    /// Whole sequences, about a 16th of the batch and 64 to 512 tokens a chunk: large products that stay in cache.
    static void cut_chunks(Workspace& w) {
        std::int64_t target = std::clamp<std::int64_t>(w.offsets.back() / 16, 64, 512);
        auto sequences = static_cast<std::int64_t>(w.offsets.size()) - 1;
        w.chunks.assign(1, 0);
        for (std::int64_t s = 1; s <= sequences; ++s)
            if (s == sequences || w.offsets[s] - w.offsets[w.chunks.back()] >= target) w.chunks.push_back(s);
    }

    void prepare(Workspace& w, std::int64_t tokens) const {
        w.layers.resize(static_cast<std::size_t>(settings_.layers));
        for (LayerActivations& layer : w.layers) {
            for (Buffer<Real>* buffer :
                 {&layer.input, &layer.normed, &layer.mixed, &layer.middle, &layer.middle_normed})
                buffer->resize(settings_.width, tokens);
            for (Buffer<Real>* buffer : {&layer.up, &layer.activated}) buffer->resize(settings_.hidden, tokens);
            for (Buffer<Real>* buffer : {&layer.inverse_root, &layer.middle_inverse_root}) buffer->resize(1, tokens);
            layer.projected.resize(3 * settings_.width, tokens);
            layer.log_sums.resize(settings_.heads, tokens);
        }
        w.final.resize(settings_.width, tokens);
    }

    void encode_chunk(Workspace& w, std::int64_t first, std::int64_t last, std::span<const Real> added) const {
        std::int64_t begin = w.offsets[first], count = w.offsets[last] - begin;
        if (count == 0) return;
        for (std::int64_t t = begin; t < begin + count; ++t)
            w.layers[0].input.column(t) = embedding().row(w.tokens[t]).transpose();
        if (!added.empty())
            w.layers[0].input.columns(begin, count) +=
                ConstMatrixMap<Real>(added.data() + begin * settings_.width, settings_.width, count);
        for (std::int64_t l = 0; l < settings_.layers; ++l) {
            Buffer<Real>& next = l + 1 < settings_.layers ? w.layers[l + 1].input : w.final;
            layer_forward(w, l, first, last, next.columns(begin, count));
        }
    }

    void layer_forward(Workspace& w, std::int64_t l, std::int64_t first, std::int64_t last,
                       MatrixMap<Real> next) const {
        LayerActivations& a = w.layers[l];
        const LayerPlaces& place = places_.layers[l];
        std::int64_t begin = w.offsets[first], count = next.cols();
        auto input = a.input.columns(begin, count), normed = a.normed.columns(begin, count);
        detail::normalise<Real>(input, gain(place.attention_norm), a.inverse_root.data() + begin, normed);
        set_product(a.projected.columns(begin, count), projection(place), normed);
        for (std::int64_t s = first; s < last; ++s) attend(w.offsets[s], w.offsets[s + 1], a);

        auto middle = a.middle.columns(begin, count), middle_normed = a.middle_normed.columns(begin, count);
        middle = input;
        add_product(middle, output(place), a.mixed.columns(begin, count));
        detail::normalise<Real>(middle, gain(place.mlp_norm), a.middle_inverse_root.data() + begin, middle_normed);
        auto raised = a.up.columns(begin, count), activated = a.activated.columns(begin, count);
        set_product(raised, up(place), middle_normed);
        activated.array() = raised.array() * raised.array().logistic();
        next = middle;
        add_product(next, down(place), activated);
    }

    /// Causal attention of the sequence of tokens [begin, end): rotates queries and keys in place, then mixes values, a
    /// block of queries at a time, against the keys that the block may see.
    void attend(std::int64_t begin, std::int64_t end, LayerActivations& a) const {
        std::int64_t width = settings_.width, size = width / settings_.heads;
        for (std::int64_t t = begin; t < end; ++t) rotate(a.projected.column(t).data(), t - begin, Real(1));
        for (std::int64_t h = 0; h < settings_.heads; ++h)
            for (std::int64_t from = begin; from < end; from += query_block) {
                std::int64_t queries = std::min(query_block, end - from), keys = from + queries - begin;
                auto scores = detail::scratch<Real, 0>(detail::padded(keys), queries);
                auto query = a.projected.block(h * size, size, from, queries);
                auto key = a.projected.block(width + h * size, size, begin, keys);
                auto value = a.projected.block(2 * width + h * size, size, begin, keys);
                set_product(scores.topRows(keys), key.transpose(), query);
                detail::causal_softmax<Real>(scores, from - begin + 1, attention_scale(),
                                             a.log_sums.data() + from * settings_.heads + h, settings_.heads);
                set_product(a.mixed.block(h * size, size, from, queries), value, scores.topRows(keys));
            }
    }

    TransformerOutput<Real> read_out(Workspace& w, std::span<const std::int64_t> requested) const {
        check_rows(requested, static_cast<std::int64_t>(w.tokens.size()));
        w.rows.assign(requested.begin(), requested.end());
        auto rows = static_cast<std::int64_t>(requested.size());
        w.gathered.resize(settings_.width, rows);
        resize_read_out(w, rows);
        constexpr std::int64_t block = 128;
        parallel_for(backend_, (rows + block - 1) / block, [&](std::int64_t part) {
            std::int64_t begin = part * block, count = std::min(block, rows - begin);
            for (std::int64_t i = begin; i < begin + count; ++i) w.gathered.column(i) = w.final.column(w.rows[i]);
            read_out_block(w, begin, count);
        });
        return outputs(w);
    }

    void resize_read_out(Workspace& w, std::int64_t rows) const {
        w.final_normed.resize(settings_.width, rows);
        w.inverse_root.resize(1, rows);
        w.logits.resize(settings_.vocabulary, rows);
        w.values.resize(1, settings_.value_head ? rows : 0);
    }

    /// Norm, logits and values of the gathered columns [begin, begin + count).
    void read_out_block(Workspace& w, std::int64_t begin, std::int64_t count) const {
        auto normed = w.final_normed.columns(begin, count);
        detail::normalise<Real>(w.gathered.columns(begin, count), gain(places_.final_norm),
                                w.inverse_root.data() + begin, normed);
        set_product(w.logits.columns(begin, count), embedding(), normed);
        if (!settings_.value_head) return;
        auto weight = vector_at(places_.value_weight, settings_.width);
        Real bias = parameters_.values()[static_cast<std::size_t>(places_.value_bias)];
        for (std::int64_t i = 0; i < count; ++i) w.values.data()[begin + i] = weight.dot(normed.col(i)) + bias;
    }

    static TransformerOutput<Real> outputs(Workspace& w) {
        return {{w.logits.data(), static_cast<std::size_t>(w.logits.size())},
                {w.values.data(), static_cast<std::size_t>(w.values.size())}};
    }

    // Backward.

    void clear_lanes(Workspace& w, std::int64_t lanes) {
        if (static_cast<std::int64_t>(w.lanes.size()) < lanes) w.lanes.resize(static_cast<std::size_t>(lanes));
        parallel_for(backend_, lanes, [&](std::int64_t lane) {
            w.lanes[lane].gradients.assign(static_cast<std::size_t>(parameters_.size()), Real(0));
        });
        w.grad_residual.resize(settings_.width, static_cast<std::int64_t>(w.tokens.size()));
        w.grad_rows.resize(settings_.width, static_cast<std::int64_t>(w.rows.size()));
    }

    void add_lanes(Workspace& w, std::int64_t lanes) {
        parallel_pieces(backend_, parameters_.size(), [&](std::int64_t, std::int64_t begin, std::int64_t end) {
            VectorMap<Real> total(parameters_.gradients().data() + begin, end - begin);
            for (std::int64_t lane = 0; lane < lanes; ++lane)
                total += VectorMap<Real>(w.lanes[lane].gradients.data() + begin, end - begin);
        });
    }

    VectorMap<Real> gain_gradient(Lane& lane, std::int64_t place) const {
        return {lane.gradients.data() + place, settings_.width};
    }
    /// Gradient of a weight [outputs x inputs], seen transposed: [inputs x outputs], column-major.
    static MatrixMap<Real> weight_gradient(Lane& lane, std::int64_t place, std::int64_t outputs, std::int64_t inputs) {
        return {lane.gradients.data() + place, inputs, outputs};
    }

    void read_out_backward(Workspace& w, Lane& lane, std::int64_t begin, std::int64_t end,
                           std::span<const Real> grad_logits, std::span<const Real> grad_values) const {
        std::int64_t count = end - begin, width = settings_.width, vocabulary = settings_.vocabulary;
        ConstMatrixMap<Real> grad(grad_logits.data() + begin * vocabulary, vocabulary, count);
        auto normed = w.final_normed.columns(begin, count);
        auto grad_normed = lane.narrow.resize(width, count);
        set_product(grad_normed, embedding().transpose(), grad);
        add_product(weight_gradient(lane, places_.embedding, vocabulary, width), normed, grad.transpose());
        if (!grad_values.empty()) {
            ConstVectorMap<Real> grad_value(grad_values.data() + begin, count);
            grad_normed += vector_at(places_.value_weight, width) * grad_value.transpose();
            VectorMap<Real>(lane.gradients.data() + places_.value_weight, width) += normed * grad_value;
            lane.gradients[static_cast<std::size_t>(places_.value_bias)] += grad_value.sum();
        }
        auto grad_row = w.grad_rows.columns(begin, count);
        grad_row.setZero();
        detail::normalise_backward<Real>(w.gathered.columns(begin, count), gain(places_.final_norm),
                                         w.inverse_root.data() + begin, grad_normed,
                                         gain_gradient(lane, places_.final_norm), grad_row);
    }

    void scatter_rows(Workspace& w) const {
        w.grad_residual.all().setZero();
        for (std::size_t i = 0; i < w.rows.size(); ++i)
            w.grad_residual.column(w.rows[i]) += w.grad_rows.column(static_cast<std::int64_t>(i));
    }

    void chunk_backward(Workspace& w, Lane& lane, std::int64_t first, std::int64_t last) const {
        std::int64_t begin = w.offsets[first], count = w.offsets[last] - begin;
        if (count == 0) return;
        auto grad = w.grad_residual.columns(begin, count);
        for (std::int64_t l = settings_.layers; l-- > 0;) {
            mlp_backward(w.layers[l], places_.layers[l], lane, begin, grad);
            attention_backward(w, l, lane, first, last, grad);
        }
        auto embedding_grad = weight_gradient(lane, places_.embedding, settings_.vocabulary, settings_.width);
        for (std::int64_t t = 0; t < count; ++t) embedding_grad.col(w.tokens[begin + t]) += grad.col(t);
    }

    /// grad: d loss/d (m + Wd silu(Wu norm(m))) becomes d loss/d m. silu'(u) = s (1 + u (1 - s)), s = logistic(u).
    void mlp_backward(LayerActivations& a, const LayerPlaces& place, Lane& lane, std::int64_t begin,
                      MatrixMap<Real> grad) const {
        std::int64_t count = grad.cols(), width = settings_.width, hidden = settings_.hidden;
        auto raised = a.up.columns(begin, count);
        auto grad_up = lane.wide.resize(hidden, count);
        set_product(grad_up, down(place).transpose(), grad);
        add_product(weight_gradient(lane, place.down, width, hidden), a.activated.columns(begin, count),
                    grad.transpose());
        auto gate = lane.gate.resize(hidden, count);
        gate.array() = raised.array().logistic();
        grad_up.array() *= gate.array() * (Real(1) + raised.array() * (Real(1) - gate.array()));
        auto middle_normed = a.middle_normed.columns(begin, count);
        add_product(weight_gradient(lane, place.up, hidden, width), middle_normed, grad_up.transpose());
        auto grad_normed = lane.narrow.resize(width, count);
        set_product(grad_normed, up(place).transpose(), grad_up);
        detail::normalise_backward<Real>(a.middle.columns(begin, count), gain(place.mlp_norm),
                                         a.middle_inverse_root.data() + begin, grad_normed,
                                         gain_gradient(lane, place.mlp_norm), grad);
    }

    /// grad: d loss/d (x + Wo attention(norm(x))) becomes d loss/d x.
    void attention_backward(Workspace& w, std::int64_t l, Lane& lane, std::int64_t first, std::int64_t last,
                            MatrixMap<Real> grad) const {
        LayerActivations& a = w.layers[l];
        const LayerPlaces& place = places_.layers[l];
        std::int64_t begin = w.offsets[first], count = grad.cols(), width = settings_.width;
        auto grad_mixed = lane.narrow.resize(width, count);
        set_product(grad_mixed, output(place).transpose(), grad);
        add_product(weight_gradient(lane, place.output, width, width), a.mixed.columns(begin, count), grad.transpose());
        auto grad_projected = lane.projected.resize(3 * width, count);
        grad_projected.setZero();
        for (std::int64_t s = first; s < last; ++s) attend_backward(w.offsets[s], w.offsets[s + 1], begin, a, lane);

        auto normed = a.normed.columns(begin, count);
        add_product(weight_gradient(lane, place.query, 3 * width, width), normed, grad_projected.transpose());
        auto grad_normed = lane.narrow.resize(width, count);
        set_product(grad_normed, projection(place).transpose(), grad_projected);
        detail::normalise_backward<Real>(a.input.columns(begin, count), gain(place.attention_norm),
                                         a.inverse_root.data() + begin, grad_normed,
                                         gain_gradient(lane, place.attention_norm), grad);
    }

    /// With P the probabilities, O = V P: dV = dO P^T, dP = V^T dO, dS = scale * P (dP - sum_k(P dP)), dQ = K dS,
    /// dK = Q dS^T. P is computed again from the normaliser; sum_k(P dP) = O . dO.
    void attend_backward(std::int64_t begin, std::int64_t end, std::int64_t chunk_begin, LayerActivations& a,
                         Lane& lane) const {
        std::int64_t width = settings_.width, size = width / settings_.heads, local = begin - chunk_begin;
        for (std::int64_t h = 0; h < settings_.heads; ++h)
            for (std::int64_t from = begin; from < end; from += query_block) {
                std::int64_t queries = std::min(query_block, end - from), keys = from + queries - begin;
                auto query = a.projected.block(h * size, size, from, queries);
                auto key = a.projected.block(width + h * size, size, begin, keys);
                auto value = a.projected.block(2 * width + h * size, size, begin, keys);
                auto mixed = a.mixed.block(h * size, size, from, queries);
                auto grad_mixed = lane.narrow.block(h * size, size, from - chunk_begin, queries);
                auto grad_query = lane.projected.block(h * size, size, from - chunk_begin, queries);
                auto grad_key = lane.projected.block(width + h * size, size, local, keys);
                auto grad_value = lane.projected.block(2 * width + h * size, size, local, keys);

                auto probabilities = detail::scratch<Real, 0>(detail::padded(keys), queries);
                set_product(probabilities.topRows(keys), key.transpose(), query);
                detail::causal_softmax_again<Real>(probabilities, from - begin + 1, attention_scale(),
                                                   a.log_sums.data() + from * settings_.heads + h, settings_.heads);
                auto grad_scores = detail::scratch<Real, 1>(keys, queries);
                set_product(grad_scores, value.transpose(), grad_mixed);
                for (std::int64_t j = 0; j < queries; ++j) {
                    std::int64_t seen = from - begin + 1 + j;
                    Real mean = mixed.col(j).dot(grad_mixed.col(j));
                    grad_scores.col(j).head(seen).array() = attention_scale() *
                                                            probabilities.col(j).head(seen).array() *
                                                            (grad_scores.col(j).head(seen).array() - mean);
                    grad_scores.col(j).tail(keys - seen).setZero();
                }
                add_product(grad_value, grad_mixed, probabilities.topRows(keys).transpose());
                set_product(grad_query, key, grad_scores);
                add_product(grad_key, query, grad_scores.transpose());
            }
        for (std::int64_t t = begin; t < end; ++t)
            rotate(lane.projected.column(t - chunk_begin).data(), t - begin, Real(-1));
    }

    TransformerSettings settings_;
    Parameters<Real> parameters_;
    TransformerPlaces places_;
    Matrix<Real> cosines_, sines_;  // [half a head x max_length]
    Workspace workspace_;
    mutable backend::Host backend_;
};

/// Batched generation with a cache of keys and values. The caller picks the tokens:
///     Generator<float> generator(policy);
///     auto logits = generator.begin(prompts, prompt_offsets, 8, 32).logits;      // 8 rollouts a prompt, 32 tokens
///     each while (generator.live() > 0) { pick a token for each row of logits; logits = generator.step(picked).logits;
///     }
/// Rollout r of prompt p is number p * copies + r; rollouts()[i] is the number of live row i. A prompt is computed once
/// and its cache copied. `model` must outlive the generator and keep its parameters between begin() and the last
/// step().
template <class Real = float>
class Generator {
public:
    static constexpr std::int32_t finished = LiveRollouts::finished;

    explicit Generator(const Transformer<Real>& model) : model_(&model) {}

    std::int64_t live() const { return rows_.live(); }
    std::span<const std::int64_t> rollouts() const { return rows_.rollouts; }

    /// Prompt p is tokens [prompt_offsets[p], prompt_offsets[p + 1]), at least one token. Returns the output for the
    /// first new token of every rollout: logits [live x vocabulary].
    TransformerOutput<Real> begin(std::span<const std::int32_t> prompts, std::span<const std::int64_t> prompt_offsets,
                                  std::int64_t copies, std::int64_t new_tokens) {
        const TransformerSettings& settings = model_->settings();
        model_->encode(prefill_, prompts, prompt_offsets);
        turn_weights();
        rows_.begin(settings, prompt_offsets, copies, new_tokens);
        capacity_ = detail::padded(rows_.limit);
        cache_.resize(2 * capacity_ * settings.width * settings.layers, live());
        last_tokens_.clear();
        for (std::int64_t i = 0; i < live(); ++i) last_tokens_.push_back(prompt_offsets[i / copies + 1] - 1);
        parallel_for(backend_, live(), [&](std::int64_t i) { fork(prompt_offsets[i / copies], rows_.lengths[i], i); });
        return model_->read_out(prefill_, last_tokens_);
    }

    /// tokens[i] continues live row i, or is `finished`. Returns the output for the next token of the rows that stay.
    TransformerOutput<Real> step(std::span<const std::int32_t> tokens) {
        rows_.keep(model_->settings(), tokens);
        std::int64_t rows = live(), width = model_->settings().width;
        for (Buffer<Real>* buffer : {&work_.final, &work_.gathered, &mixed_, &normed_}) buffer->resize(width, rows);
        projected_.resize(3 * width, rows);
        raised_.resize(model_->settings().hidden, rows);
        model_->resize_read_out(work_, rows);
        constexpr std::int64_t block = 32;
        parallel_for(backend_, (rows + block - 1) / block,
                     [&](std::int64_t part) { decode(part * block, std::min(block, rows - part * block)); });
        for (std::int64_t& length : rows_.lengths) ++length;
        return Transformer<Real>::outputs(work_);
    }

private:
    using LayerPlaces = typename Transformer<Real>::LayerPlaces;

    static constexpr std::int64_t lanes = 16;

    /// Keys, or values, of 16 neighbouring positions of one rollout and layer: [16 x width]. Blocks lie one after
    /// another, so that a row reads its past as one stream. Values are zero from the length of the rollout to the next
    /// multiple of 16, so that they can be mixed in whole lanes.
    MatrixMap<Real> keys(std::int64_t rollout, std::int64_t layer, std::int64_t block) {
        std::int64_t width = model_->settings().width;
        return {cache_.column(rollout).data() + (2 * layer * capacity_ + block * lanes) * width, lanes, width};
    }
    MatrixMap<Real> values(std::int64_t rollout, std::int64_t layer, std::int64_t block) {
        std::int64_t width = model_->settings().width;
        return {cache_.column(rollout).data() + ((2 * layer + 1) * capacity_ + block * lanes) * width, lanes, width};
    }

    /// Appends the key and the value of `projected` (query, key, value, each of `width`) at `position`.
    void append(const Real* projected, std::int64_t rollout, std::int64_t layer, std::int64_t position) {
        std::int64_t width = model_->settings().width;
        auto key = keys(rollout, layer, position / lanes), value = values(rollout, layer, position / lanes);
        if (position % lanes == 0) value.setZero();
        key.row(position % lanes) = ConstVectorMap<Real>(projected + width, width).transpose();
        value.row(position % lanes) = ConstVectorMap<Real>(projected + 2 * width, width).transpose();
    }

    /// The weights of the layers column after column, at the places of the parameters: a product with few rows of the
    /// batch spends a third of its time on reading them the other way round.
    void turn_weights() {
        const TransformerSettings& settings = model_->settings();
        turned_.resize(static_cast<std::size_t>(model_->parameters().size()));
        for (const LayerPlaces& place : model_->places_.layers) {
            turned(place.query, 3 * settings.width, settings.width) = model_->projection(place);
            turned(place.output, settings.width, settings.width) = model_->output(place);
            turned(place.up, settings.hidden, settings.width) = model_->up(place);
            turned(place.down, settings.width, settings.hidden) = model_->down(place);
        }
    }
    MatrixMap<Real> turned(std::int64_t place, std::int64_t rows, std::int64_t columns) {
        return {turned_.data() + place, rows, columns};
    }

    void fork(std::int64_t prompt_begin, std::int64_t length, std::int64_t rollout) {
        for (std::int64_t l = 0; l < model_->settings().layers; ++l)
            for (std::int64_t position = 0; position < length; ++position)
                append(prefill_.layers[l].projected.column(prompt_begin + position).data(), rollout, l, position);
    }

    /// One token for live rows [begin, begin + count), through all layers.
    void decode(std::int64_t begin, std::int64_t count) {
        const TransformerSettings& settings = model_->settings();
        auto x = work_.gathered.columns(begin, count), normed = normed_.columns(begin, count);
        auto mixed = mixed_.columns(begin, count), projected = projected_.columns(begin, count);
        auto raised = raised_.columns(begin, count);
        Real* inverse_root = work_.inverse_root.data() + begin;
        for (std::int64_t i = 0; i < count; ++i) x.col(i) = model_->embedding().row(rows_.next[begin + i]).transpose();
        for (std::int64_t l = 0; l < settings.layers; ++l) {
            const LayerPlaces& place = model_->places_.layers[l];
            detail::normalise<Real>(x, model_->gain(place.attention_norm), inverse_root, normed);
            set_product(projected, turned(place.query, 3 * settings.width, settings.width), normed);
            for (std::int64_t i = begin; i < begin + count; ++i) attend(i, l);
            add_product(x, turned(place.output, settings.width, settings.width), mixed);
            detail::normalise<Real>(x, model_->gain(place.mlp_norm), inverse_root, normed);
            set_product(raised, turned(place.up, settings.hidden, settings.width), normed);
            raised.array() *= raised.array().logistic();
            add_product(x, turned(place.down, settings.width, settings.hidden), raised);
        }
        model_->read_out_block(work_, begin, count);
    }

    void attend(std::int64_t row, std::int64_t layer) {
        const TransformerSettings& settings = model_->settings();
        std::int64_t size = settings.width / settings.heads, position = rows_.lengths[row], seen = position + 1;
        Real* projected = projected_.column(row).data();
        model_->rotate(projected, position, Real(1));
        append(projected, rows_.rollouts[row], layer, position);
        auto scores = detail::scratch<Real, 0>(detail::padded(seen), settings.heads);
        score(projected, keys(rows_.rollouts[row], layer, 0).data(), size, scores);
        Real scale = model_->attention_scale();
        for (std::int64_t h = 0; h < settings.heads; ++h) {
            auto column = scores.col(h);
            Real largest = column.head(seen).maxCoeff();
            column.tail(column.size() - seen).setConstant(largest);
            column.array() = scale * (column.array() - largest);
        }
        scores.array() = scores.array().exp();
        for (std::int64_t h = 0; h < settings.heads; ++h) {
            auto column = scores.col(h);
            column.tail(column.size() - seen).setZero();
            column *= Real(1) / column.sum();
        }
        mix(scores, values(rows_.rollouts[row], layer, 0).data(), size, mixed_.column(row).data());
    }

    using Lanes = Eigen::Array<Real, lanes, 1>;
    using LanesMap = Eigen::Map<Lanes>;
    using ConstLanesMap = Eigen::Map<const Lanes>;

    /// scores(k, h) = query of head h . key k. Positions beyond the last are read as whole lanes; the caller overwrites
    /// them.
    static void score(const Real* query, const Real* key, std::int64_t size, MatrixMap<Real> scores) {
        for (std::int64_t k = 0; k < scores.rows(); k += lanes)
            for (std::int64_t h = 0; h < scores.cols(); ++h) {
                Lanes sum = Lanes::Zero();
                for (std::int64_t f = h * size; f < (h + 1) * size; ++f, key += lanes)
                    sum += query[f] * ConstLanesMap(key);
                LanesMap(&scores(k, h)) = sum;
            }
    }

    /// mixed[f] = sum over positions of probability * value.
    static void mix(const MatrixMap<Real>& probabilities, const Real* value, std::int64_t size, Real* mixed) {
        std::int64_t width = size * probabilities.cols();
        for (std::int64_t f = 0; f < width; ++f) {
            const Real* probability = probabilities.col(f / size).data();
            Lanes sum = Lanes::Zero();
            for (std::int64_t k = 0; k < probabilities.rows(); k += lanes)
                sum += ConstLanesMap(probability + k) * ConstLanesMap(value + k * width + f * lanes);
            mixed[f] = sum.sum();
        }
    }

    const Transformer<Real>* model_;
    typename Transformer<Real>::Workspace prefill_, work_;
    LiveRollouts rows_;
    std::vector<std::int64_t> last_tokens_;
    Aligned<Real> turned_;
    Buffer<Real> cache_, normed_, mixed_, projected_, raised_;
    std::int64_t capacity_ = 0;
    backend::Host backend_;
};

}  // namespace roars::actor

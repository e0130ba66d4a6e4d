#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "roars/actors/transformer.hpp"
#include "roars/cuda/layers.hpp"

/// The library's transformer on a device: actor::Transformer's layers, and its parameters in the same flat order.
///
///     gpu::Transformer<backend::Cuda> policy(gpu, host);             // the parameters of a transformer of the host
///     gpu::Sequences<backend::Cuda> sequences(gpu);
///     sequences.assign(policy.settings(), tokens, token_offsets, rows);
///     gpu::Activations<backend::Cuda> activations(gpu);
///     auto output = policy.forward(activations, sequences);          // output.logits [rows x vocabulary]
///     policy.backward(activations, sequences, output.logits, nullptr, gradients);    // += in one flat span
///
/// Everything is ordered on the device's stream and nothing waits. Memory grows to what the largest batch needed.
namespace roars::gpu {

/// A batch of sequences on the device, and the rows of it that are asked for.
template <class D>
class Sequences {
public:
    explicit Sequences(D& device) : token_(device), index_(device), group_(device) {}

    /// From the host, which may use its memory again. Sequence s is tokens [token_offsets[s], token_offsets[s + 1]);
    /// `rows` ascend, and may repeat. Errors: those of the host's transformer, rows that do not ascend.
    void assign(const actor::TransformerSettings& settings, std::span<const std::int32_t> tokens,
                std::span<const std::int64_t> token_offsets, std::span<const std::int64_t> rows) {
        actor::check_sequences(settings, tokens, token_offsets);
        actor::check_rows(rows, std::ssize(tokens));
        std::size_t n = tokens.size();
        host_.assign(4 * n + rows.size(), -1);
        for (std::size_t s = 0; s + 1 < token_offsets.size(); ++s)
            for (std::int64_t t = token_offsets[s]; t < token_offsets[s + 1]; ++t) {
                host_[std::size_t(t)] = t - token_offsets[s];
                host_[n + std::size_t(t)] = token_offsets[s + 1];
            }
        for (std::size_t i = 0; i < rows.size(); ++i) {
            expect(i == 0 || rows[i - 1] <= rows[i],
                   [&] { return "transformer: requested row " + std::to_string(i) + " is below the one before it"; });
            std::int64_t& first = host_[2 * n + std::size_t(rows[i])];
            if (first < 0) first = std::int64_t(i);
            host_[4 * n + i] = rows[i];
        }
        group_by_token(tokens, settings.vocabulary, std::span(host_).subspan(3 * n, n));
        const std::int32_t* token = token_.upload(tokens);
        const std::int64_t* index = index_.upload(host_);
        packed_ = {token, index, index + n, std::int64_t(n)};
        first_row_ = index + 2 * n;
        by_token_ = index + 3 * n;
        row_ = index + 4 * n;
        rows_ = std::ssize(rows);
    }

    const PackedTokens& packed() const { return packed_; }
    std::int64_t tokens() const { return packed_.tokens; }
    std::int64_t rows() const { return rows_; }
    const std::int64_t* row() const { return row_; }              ///< [rows]
    const std::int64_t* first_row() const { return first_row_; }  ///< [tokens], -1 for none
    /// Places of the batch by the token that stands there; those of kind k, of kinds(), are by_token()[group(k)] ..
    /// by_token()[group(k + 1) - 1].
    const std::int64_t* by_token() const { return by_token_; }
    const std::int64_t* group() const { return group_.data(); }
    std::int64_t kinds() const { return group_.size() - 1; }

private:
    void group_by_token(std::span<const std::int32_t> tokens, std::int64_t vocabulary, std::span<std::int64_t> order) {
        begins_.assign(std::size_t(vocabulary) + 1, 0);
        for (std::int32_t token : tokens) ++begins_[std::size_t(token) + 1];
        groups_.assign(1, 0);
        for (std::size_t v = 0; v < std::size_t(vocabulary); ++v) {
            if (begins_[v + 1] > 0) groups_.push_back(groups_.back() + begins_[v + 1]);
            begins_[v + 1] += begins_[v];
        }
        for (std::size_t t = 0; t < tokens.size(); ++t)
            order[std::size_t(begins_[std::size_t(tokens[t])]++)] = std::int64_t(t);
        group_.upload(groups_);
    }

    Room<std::int32_t, D> token_;
    Room<std::int64_t, D> index_, group_;
    std::vector<std::int64_t> host_, begins_, groups_;
    PackedTokens packed_;
    const std::int64_t *row_ = nullptr, *first_row_ = nullptr, *by_token_ = nullptr;
    std::int64_t rows_ = 0;
};

/// For the requested rows, in the memory of the activations until the next forward: logits [rows x vocabulary], values
/// [rows] (null without a value head). A loss may write its gradient in place.
template <class Real>
struct DeviceOutput {
    Real* logits = nullptr;
    Real* values = nullptr;
    std::int64_t rows = 0;
};

/// What a forward leaves for the backward. One for several transformers of the same settings that take turns.
template <class D, class P = Tf32>
struct Activations {
    using Real = typename P::Real;
    using Factor = typename P::Factor;
    struct Layer {
        Room<Real, D> input, projected, middle, raised, inverse_root, middle_inverse_root, log_sums;
        Room<Factor, D> normed, mixed, middle_normed, activated;
        explicit Layer(D& d)
            : input(d),
              projected(d),
              middle(d),
              raised(d),
              inverse_root(d),
              middle_inverse_root(d),
              log_sums(d),
              normed(d),
              mixed(d),
              middle_normed(d),
              activated(d) {}
        void resize(const actor::TransformerSettings& settings, std::int64_t tokens) {
            for (auto* room : {&input, &middle}) room->resize(settings.width * tokens);
            for (auto* room : {&normed, &mixed, &middle_normed}) room->resize(settings.width * tokens);
            for (auto* room : {&inverse_root, &middle_inverse_root}) room->resize(tokens);
            projected.resize(3 * settings.width * tokens);
            raised.resize(settings.hidden * tokens);
            activated.resize(settings.hidden * tokens);
            log_sums.resize(settings.heads * tokens);
        }
    };
    explicit Activations(D& d) : device(d), final(d), final_inverse_root(d), logits(d), values(d), final_normed(d) {}

    D& device;
    std::vector<Layer> layers;
    Room<Real, D> final, final_inverse_root, logits, values;
    Room<Factor, D> final_normed;
    bool whole = false;  ///< every layer of the last forward is there

    void resize(const actor::TransformerSettings& settings, std::int64_t tokens, bool keeps) {
        std::size_t wanted = keeps ? static_cast<std::size_t>(settings.layers) : 1;
        layers.reserve(wanted);
        while (layers.size() < wanted) layers.emplace_back(device);
        for (std::size_t l = 0; l < wanted; ++l) layers[l].resize(settings, tokens);
        final.resize(settings.width * tokens);
        whole = keeps;
    }
};

template <class D, class P>
class DeviceGenerator;

/// P: how exact its products are (products.hpp).
template <class D, class P = Tf32>
class Transformer {
public:
    using Real = typename P::Real;
    using Factor = typename P::Factor;
    using HostModel = actor::Transformer<Real>;
    using Work = Activations<D, P>;

    /// Errors: a head of more than 128 features.
    Transformer(D& device, const HostModel& host)
        : device_(&device),
          settings_(host.settings()),
          parameters_(device, host.parameters().size()),
          factors_(device, std::is_same_v<Real, Factor> ? 0 : host.parameters().size()),
          cosines_(device, settings_.max_length * half()),
          sines_(device, settings_.max_length * half()) {
        expect(settings_.head_size() <= detail::largest_head, [&] {
            return "a head of " + std::to_string(settings_.head_size()) + " features on a device, expected at most " +
                   std::to_string(detail::largest_head);
        });
        actor::Parameters<Real> layout;
        places_ = actor::add_transformer(layout, settings_);
        std::vector<Real> cosines, sines;
        for (std::int64_t position = 0; position < settings_.max_length; ++position)
            for (std::int64_t i = 0; i < half(); ++i) {
                cosines.push_back(static_cast<Real>(std::cos(settings_.angle(position, i))));
                sines.push_back(static_cast<Real>(std::sin(settings_.angle(position, i))));
            }
        cosines_.upload(cosines);
        sines_.upload(sines);
        upload(host.parameters().values());
        device.wait();
    }
    Transformer(Transformer&&) noexcept = default;
    Transformer& operator=(Transformer&&) noexcept = default;

    const actor::TransformerSettings& settings() const { return settings_; }
    std::int64_t size() const { return parameters_.size(); }
    /// The flat buffer, on the device. Who writes to it calls changed().
    Real* parameters() { return parameters_.data(); }
    const Real* parameters() const { return parameters_.data(); }
    void changed() { rounded_ = false; }

    void upload(std::span<const Real> parameters) {
        parameters_.upload(parameters);
        changed();
    }
    /// Waits.
    std::vector<Real> download() const { return parameters_.download(); }
    /// The same policy, frozen: a copy of the parameters.
    Transformer snapshot() const { return Transformer(*this, 0); }

    /// Logits and values of the requested rows. Activations are kept for backward.
    DeviceOutput<Real> forward(Work& work, const Sequences<D>& sequences) {
        encode(work, sequences, true);
        return read_out(work, sequences.row(), sequences.rows());
    }
    /// The same without what backward needs: one layer's activations.
    DeviceOutput<Real> read(Work& work, const Sequences<D>& sequences) {
        encode(work, sequences, false);
        return read_out(work, sequences.row(), sequences.rows());
    }

    /// gradients += d loss/d parameters, for the last forward with `work` and `sequences`. grad_logits [rows x
    /// vocabulary] may be the forward's own; grad_values [rows] or null. Shapes: gradients [size()]. Errors: the last
    /// forward kept nothing, values of a model without a value head.
    void backward(Work& work, const Sequences<D>& sequences, const Real* grad_logits, const Real* grad_values,
                  Real* gradients) {
        expect(work.whole, "transformer backward: expected a forward before it");
        expect(!grad_values || settings_.value_head, "transformer backward: grad_values, but there is no value head");
        if (sequences.rows() == 0) return;
        const std::int64_t width = settings_.width, tokens = sequences.tokens();
        Frame<D> frame(device());
        Real* grad = frame.template take<Real>(tokens * width);
        read_out_backward(work, sequences, grad_logits, grad_values, gradients, grad);
        for (std::int64_t l = settings_.layers; l-- > 0;) {
            mlp_backward(work.layers[std::size_t(l)], places_.layers[std::size_t(l)], tokens, gradients, grad);
            attention_backward(work.layers[std::size_t(l)], places_.layers[std::size_t(l)], sequences.packed(),
                               gradients, grad);
        }
        for_each(device(), sequences.kinds() * width,
                 detail::AddRowsOfTokens<Real>{grad, sequences.packed().token, sequences.by_token(), sequences.group(),
                                               width, gradients + places_.embedding});
    }

private:
    friend class DeviceGenerator<D, P>;
    using Place = actor::TransformerPlaces::Layer;

    Transformer(const Transformer& other, int)
        : device_(other.device_),
          settings_(other.settings_),
          places_(other.places_),
          parameters_(copy_of(other.device(), other.parameters_)),
          factors_(other.device(), other.factors_.size()),
          cosines_(copy_of(other.device(), other.cosines_)),
          sines_(copy_of(other.device(), other.sines_)) {}
    static Buffer<Real, D> copy_of(D& device, const Buffer<Real, D>& other) {
        Buffer<Real, D> copy(device, other.size());
        device.copy(copy.data(), other.data(), static_cast<std::size_t>(other.size()) * sizeof(Real), Way::within);
        return copy;
    }

    D& device() const { return *device_; }
    std::int64_t half() const { return settings_.head_size() / 2; }
    Heads heads() const {
        return {settings_.heads, static_cast<int>(settings_.head_size()), settings_.attention_scale()};
    }
    const Real* gain(std::int64_t place) const { return parameters_.data() + place; }

    /// The parameters as factors of products; rounded once behind each change.
    const Factor* weights() {
        if constexpr (std::is_same_v<Real, Factor>) {
            return parameters_.data();
        } else {
            if (!rounded_)
                for_each(device(), size(), detail::Convert<Real, Factor>{parameters_.data(), factors_.data()});
            rounded_ = true;
            return factors_.data();
        }
    }
    void rotate(Real* projected, std::int64_t rows, const std::int64_t* position) {
        detail::Rotate<Real, Real>{projected, projected, 2, heads(), position, cosines_.data(), sines_.data(), Real(1)}
            .run(device(), rows);
    }
    void copy(Real* to, const Real* from, std::int64_t count) {
        if (to != from) device().copy(to, from, static_cast<std::size_t>(count) * sizeof(Real), Way::within);
    }
    void normalise(const Real* input, const std::int64_t* row, std::int64_t rows, std::int64_t place,
                   Real* inverse_root, Factor* output) {
        device().launch(
            rows, detail::NormaliseRows<Real, Factor>{input, row, settings_.width, gain(place), inverse_root, output});
    }
    void embed(const std::int32_t* token, std::int64_t count, Real* to) {
        for_each(device(), count * settings_.width,
                 detail::GatherRows<Real>{gain(places_.embedding), token, settings_.width, to});
    }

    // Forward.

    void encode(Work& work, const Sequences<D>& sequences, bool keeps) {
        const std::int64_t tokens = sequences.tokens();
        work.resize(settings_, tokens, keeps);
        auto layer = [&](std::int64_t l) ->
            typename Work::Layer& { return work.layers[keeps ? static_cast<std::size_t>(l) : 0]; };
        embed(sequences.packed().token, tokens, layer(0).input.data());
        for (std::int64_t l = 0; l < settings_.layers; ++l) {
            auto& a = layer(l);
            Real* next = l + 1 < settings_.layers ? layer(l + 1).input.data() : work.final.data();
            const PackedTokens& packed = sequences.packed();
            layer_forward(
                a, places_.layers[std::size_t(l)], tokens, packed.position, a.input.data(), a.middle.data(), next,
                [&] { attend(device(), packed, heads(), a.projected.data(), a.mixed.data(), a.log_sums.data()); });
        }
    }

    /// middle = input + Wo attention(norm(input)), next = middle + Wd silu(Wu norm(middle)), of n rows; all three may
    /// be one. mix(): the attention, from a.projected to a.mixed.
    template <class Mix>
    void layer_forward(typename Work::Layer& a, const Place& place, std::int64_t n, const std::int64_t* position,
                       const Real* input, Real* middle, Real* next, Mix&& mix) {
        const std::int64_t width = settings_.width, hidden = settings_.hidden;
        const Factor* weight = weights();
        normalise(input, nullptr, n, place.attention_norm, a.inverse_root.data(), a.normed.data());
        detail::apply<P>(device(), weight + place.query, 3 * width, width, a.normed.data(), n, a.projected.data());
        rotate(a.projected.data(), n, position);
        mix();
        copy(middle, input, n * width);
        detail::apply<P>(device(), weight + place.output, width, width, a.mixed.data(), n, middle, true);
        normalise(middle, nullptr, n, place.mlp_norm, a.middle_inverse_root.data(), a.middle_normed.data());
        detail::apply<P>(device(), weight + place.up, hidden, width, a.middle_normed.data(), n, a.raised.data());
        for_each(device(), n * hidden, detail::Silu<Real, Factor>{a.raised.data(), a.activated.data()});
        copy(next, middle, n * width);
        detail::apply<P>(device(), weight + place.down, width, hidden, a.activated.data(), n, next, true);
    }

    /// Norm, logits and values of rows of work.final.
    DeviceOutput<Real> read_out(Work& work, const std::int64_t* row, std::int64_t rows) {
        const std::int64_t width = settings_.width, vocabulary = settings_.vocabulary;
        Factor* normed = work.final_normed.resize(rows * width);
        Real* logits = work.logits.resize(rows * vocabulary);
        normalise(work.final.data(), row, rows, places_.final_norm, work.final_inverse_root.resize(rows), normed);
        detail::apply<P>(device(), weights() + places_.embedding, vocabulary, width, normed, rows, logits);
        if (!settings_.value_head) return {logits, nullptr, rows};
        Real* values = work.values.resize(rows);
        detail::apply<P>(device(), weights() + places_.value_weight, 1, width, normed, rows, values);
        for_each(device(), rows, detail::AddBias<Real>{gain(places_.value_bias), values});
        return {logits, values, rows};
    }

    // Backward.

    void read_out_backward(Work& work, const Sequences<D>& sequences, const Real* grad_logits, const Real* grad_values,
                           Real* gradients, Real* grad) {
        const std::int64_t width = settings_.width, vocabulary = settings_.vocabulary, rows = sequences.rows();
        Frame<D> frame(device());
        const Factor* slope = detail::as_factors<Factor>(device(), frame, grad_logits, rows * vocabulary);
        const Factor* normed = work.final_normed.data();
        Real* grad_normed = frame.template take<Real>(rows * width);
        detail::apply_backward<P>(device(), weights() + places_.embedding, vocabulary, width, slope, rows, grad_normed);
        detail::add_weight_gradient<P>(device(), slope, vocabulary, normed, width, rows, gradients + places_.embedding);
        if (grad_values) {
            const Factor* of_value = detail::as_factors<Factor>(device(), frame, grad_values, rows);
            detail::apply_backward<P>(device(), weights() + places_.value_weight, 1, width, of_value, rows, grad_normed,
                                      true);
            detail::add_weight_gradient<P>(device(), of_value, 1, normed, width, rows,
                                           gradients + places_.value_weight);
            detail::add_column_sums(device(), rows, 1, detail::ValueAt<Real>{grad_values},
                                    gradients + places_.value_bias);
        }
        Real* grad_rows = frame.template take<Real>(rows * width);
        normalise_backward(work.final.data(), sequences.row(), rows, places_.final_norm, work.final_inverse_root.data(),
                           grad_normed, gradients, grad_rows, false);
        for_each(device(), sequences.tokens() * width,
                 detail::ScatterRows<Real>{grad_rows, sequences.row(), sequences.first_row(), rows, width, grad});
    }

    void normalise_backward(const Real* input, const std::int64_t* row, std::int64_t rows, std::int64_t place,
                            const Real* inverse_root, const Real* grad_output, Real* gradients, Real* grad_input,
                            bool adds) {
        detail::add_column_sums(device(), rows, settings_.width,
                                detail::GainSlope<Real>{input, row, settings_.width, inverse_root, grad_output},
                                gradients + place);
        device().launch(rows, detail::NormaliseRowsBackward<Real>{input, row, settings_.width, gain(place),
                                                                  inverse_root, grad_output, grad_input, adds});
    }

    /// grad: d loss/d (m + Wd silu(Wu norm(m))) becomes d loss/d m.
    void mlp_backward(typename Work::Layer& a, const Place& place, std::int64_t n, Real* gradients, Real* grad) {
        const std::int64_t width = settings_.width, hidden = settings_.hidden;
        Frame<D> frame(device());
        const Factor* slope = detail::as_factors<Factor>(device(), frame, grad, n * width);
        Real* grad_activated = frame.template take<Real>(n * hidden);
        detail::apply_backward<P>(device(), weights() + place.down, width, hidden, slope, n, grad_activated);
        detail::add_weight_gradient<P>(device(), slope, width, a.activated.data(), hidden, n, gradients + place.down);
        Factor* grad_raised = frame.template take<Factor>(n * hidden);
        for_each(device(), n * hidden,
                 detail::SiluBackward<Real, Factor>{a.raised.data(), grad_activated, grad_raised});
        detail::add_weight_gradient<P>(device(), grad_raised, hidden, a.middle_normed.data(), width, n,
                                       gradients + place.up);
        Real* grad_normed = frame.template take<Real>(n * width);
        detail::apply_backward<P>(device(), weights() + place.up, hidden, width, grad_raised, n, grad_normed);
        normalise_backward(a.middle.data(), nullptr, n, place.mlp_norm, a.middle_inverse_root.data(), grad_normed,
                           gradients, grad, true);
    }

    /// grad: d loss/d (x + Wo attention(norm(x))) becomes d loss/d x.
    void attention_backward(typename Work::Layer& a, const Place& place, const PackedTokens& packed, Real* gradients,
                            Real* grad) {
        const std::int64_t width = settings_.width, n = packed.tokens;
        Frame<D> frame(device());
        const Factor* slope = detail::as_factors<Factor>(device(), frame, grad, n * width);
        Real* grad_mixed = frame.template take<Real>(n * width);
        detail::apply_backward<P>(device(), weights() + place.output, width, width, slope, n, grad_mixed);
        detail::add_weight_gradient<P>(device(), slope, width, a.mixed.data(), width, n, gradients + place.output);
        Real* grad_rotated = frame.template take<Real>(3 * n * width);
        attend_backward(device(), packed, heads(), a.projected.data(), a.mixed.data(), a.log_sums.data(), grad_mixed,
                        grad_rotated);
        Factor* grad_projected = frame.template take<Factor>(3 * n * width);
        detail::Rotate<Real, Factor>{grad_rotated,    grad_projected, 3,       heads(), packed.position,
                                     cosines_.data(), sines_.data(),  Real(-1)}
            .run(device(), n);
        detail::add_weight_gradient<P>(device(), grad_projected, 3 * width, a.normed.data(), width, n,
                                       gradients + place.query);
        Real* grad_normed = grad_mixed;  // no longer needed
        detail::apply_backward<P>(device(), weights() + place.query, 3 * width, width, grad_projected, n, grad_normed);
        normalise_backward(a.input.data(), nullptr, n, place.attention_norm, a.inverse_root.data(), grad_normed,
                           gradients, grad, true);
    }

    D* device_;
    actor::TransformerSettings settings_;
    actor::TransformerPlaces places_;
    Buffer<Real, D> parameters_;
    Buffer<Factor, D> factors_;
    Buffer<Real, D> cosines_, sines_;  ///< [max_length x half a head]
    bool rounded_ = false;
};

/// actor::Generator on a device: batched generation with a cache of keys and values, in Real. A step is asked for with
/// the tokens that were drawn; only who reads those from the device waits.
template <class D, class P = Tf32>
class DeviceGenerator {
public:
    using Real = typename P::Real;
    static constexpr std::int32_t finished = actor::LiveRollouts::finished;

    DeviceGenerator(D& device, Activations<D, P>& work)
        : device_(device), work_(work), prompts_(device), cache_(device), index_(device), next_(device) {}

    std::int64_t live() const { return rows_.live(); }
    std::span<const std::int64_t> rollouts() const { return rows_.rollouts; }

    /// Prompt p is tokens [prompt_offsets[p], prompt_offsets[p + 1]), at least one token; `copies` rollouts of each, of
    /// at most `new_tokens` more. Returns the output for the first new token of every rollout. `model` keeps its
    /// parameters until the last step().
    DeviceOutput<Real> begin(Transformer<D, P>& model, std::span<const std::int32_t> prompts,
                             std::span<const std::int64_t> prompt_offsets, std::int64_t copies,
                             std::int64_t new_tokens) {
        const auto& settings = model.settings();
        model_ = &model;
        actor::check_sequences(settings, prompts, prompt_offsets);
        rows_.begin(settings, prompt_offsets, copies, new_tokens);
        std::vector<std::int64_t> last, index(2 * std::size_t(live()));
        std::int64_t longest = 0;
        for (std::size_t i = 0; i < rows_.lengths.size(); ++i) {
            auto prompt = i / std::size_t(copies);
            last.push_back(prompt_offsets[prompt + 1] - 1);
            index[i] = prompt_offsets[prompt];
            index[i + std::size_t(live())] = rows_.lengths[i];
            longest = std::max(longest, rows_.lengths[i]);
        }
        prompts_.assign(settings, prompts, prompt_offsets, last);
        model.encode(work_, prompts_, true);
        std::int64_t values = live() * settings.layers * 2 * rows_.limit * settings.width;
        kept_ = {cache_.resize(values), settings.layers, rows_.limit, settings.width};
        const std::int64_t* first = index_.upload(index);
        for (std::int64_t l = 0; l < settings.layers; ++l)
            for_each(device_, live() * 2 * longest * settings.width,
                     detail::ForkPrompts<Real>{work_.layers[std::size_t(l)].projected.data(), kept_, l, longest, first,
                                               first + live()});
        return model.read_out(work_, prompts_.row(), live());
    }

    /// tokens[i] continues live row i, or is `finished`. Returns the output for the next token of the rows that stay.
    DeviceOutput<Real> step(std::span<const std::int32_t> tokens) {
        const auto& settings = model_->settings();
        rows_.keep(settings, tokens);
        const std::int64_t rows = live();
        const std::int32_t* next = next_.upload(rows_.next);
        std::vector<std::int64_t> index = rows_.rollouts;
        index.insert(index.end(), rows_.lengths.begin(), rows_.lengths.end());
        const std::int64_t *rollout = index_.upload(index), *position = rollout + rows;
        work_.resize(settings, rows, false);
        auto& a = work_.layers[0];
        Real* x = work_.final.data();
        model_->embed(next, rows, x);
        for (std::int64_t l = 0; l < settings.layers; ++l)
            model_->layer_forward(a, model_->places_.layers[std::size_t(l)], rows, position, x, x, x, [&] {
                for_each(device_, rows * 2 * settings.width,
                         detail::AppendToCache<Real>{a.projected.data(), kept_, l, rollout, position});
                attend(a, l, rollout, position);
            });
        for (std::int64_t& length : rows_.lengths) ++length;
        return model_->read_out(work_, nullptr, rows);
    }

private:
    void attend(typename Activations<D, P>::Layer& a, std::int64_t layer, const std::int64_t* rollout,
                const std::int64_t* position) {
        Heads heads = model_->heads();
        detail::with_room_for(heads.size, [&](auto most) {
            using Kernel = detail::AttendCached<Real, typename P::Factor, decltype(most)::value>;
            device_.launch(live() * heads.heads,
                           Kernel{heads, kept_, layer, rollout, position, a.projected.data(), a.mixed.data()});
        });
    }

    D& device_;
    Activations<D, P>& work_;
    Transformer<D, P>* model_ = nullptr;
    actor::LiveRollouts rows_;
    Sequences<D> prompts_;
    Room<Real, D> cache_;
    Room<std::int64_t, D> index_;
    Room<std::int32_t, D> next_;
    detail::KeyValueCache<Real> kept_{};
};

}  // namespace roars::gpu

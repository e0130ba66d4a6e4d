#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "roars/cuda/algorithm.hpp"
#include "roars/cuda/sampling.hpp"
#include "roars/cuda/step.hpp"
#include "roars/cuda/transformer.hpp"
#include "roars/train/text_actor.hpp"

/// A transformer on a device at the hands of train::LanguageLearner: `Trainer<Algorithm, LanguageLearner<...>>` trains
/// there by a change of type.
///
///     using Learner = train::LanguageLearner<Task, false, gpu::TextActor<backend::Cuda>>;
///     Learner learner(task, settings, language, seed, gpu::TextActor<backend::Cuda>(gpu));
///     train::Trainer<methods::Grpo, Learner> trainer(methods::grpo, learner);
///     roars::Run run{host, Random(seed)};            // what is decided from tokens and rewards runs on the host
///     trainer.iterate(run);
///
/// On the device: generation, log-probabilities of policy and reference, the objective from logits, all gradients, the
/// step rule. Numbers of a token or a sequence cross; logits and parameters do not.
namespace roars::gpu {

namespace detail {

/// The host's batch on the device, all of its columns in the frame.
template <class D, class HostBatch>
auto staged(D& device, Frame<D>& frame, const HostBatch& host) {
    using Real = typename HostBatch::Real;
    using Columns = typename HostBatch::Columns;
    Offsets groups;
    if constexpr (HostBatch::template has<col::groups>) groups = host[col::groups{}];
    Batch<Real, Columns, D> batch(device, frame.upload(host.token_offsets()), host.sequences(), host.tokens(),
                                  groups.empty() ? nullptr : frame.upload(groups), std::ssize(groups) - 1);
    for_each_column(Columns{}, [&]<class Column>(Column column) {
        using T = value_of<Column, Real>;
        std::span<const T> values = host[column];
        if constexpr (Column::kind != Kind::offsets)
            batch.borrow(column, frame.upload(values), std::ssize(values), host.width(column));
        else if constexpr (!std::is_same_v<Column, col::groups>)
            if (!values.empty()) batch.borrow(column, frame.upload(values), std::ssize(values));
    });
    return batch;
}

}  // namespace detail

/// P: how exact the products are. The device outlives the actor and what it made.
template <class D, class P = Tf32>
class TextActor {
    /// What policy and reference use by turns.
    struct Desk {
        Activations<D, P> work;
        Sequences<D> sequences;
        DeviceGenerator<D, P> generator;
        explicit Desk(D& device) : work(device), sequences(device), generator(device, work) {}
    };

public:
    using Real = typename P::Real;
    using Policy = Transformer<D, P>;

    explicit TextActor(D& device) : device_(&device), desk_(std::make_unique<Desk>(device)) {}

    Policy policy(const actor::Transformer<Real>& initial) const { return Policy(*device_, initial); }

    /// A generation. sample() waits for its tokens, since the host decides who has ended; nothing else does.
    class Rollouts {
    public:
        static constexpr std::int32_t finished = actor::LiveRollouts::finished;

        std::int64_t live() const { return desk_->generator.live(); }
        std::span<const std::int64_t> rollouts() const { return desk_->generator.rollouts(); }
        void begin(std::span<const std::int32_t> prompts, std::span<const std::int64_t> offsets, std::int64_t copies,
                   std::int64_t new_tokens) {
            output_ = desk_->generator.begin(*policy_, prompts, offsets, copies, new_tokens);
        }
        std::span<const Sampled> sample(const Generation& generation, std::span<const double> u, Offsets seen_offsets,
                                        std::span<const std::int32_t> seen) {
            Frame<D> frame(*device_);
            auto put = [&]<class T>(std::span<const T> values) -> const T* {
                return values.empty() ? nullptr : frame.upload(values);
            };
            auto* drawn = frame.template take<Sampled>(std::ssize(u));
            sample_rows(*device_, Logits<Real>(output_.logits, output_.rows, policy_->settings().vocabulary),
                        generation, put(u), drawn, put(seen_offsets), put(seen));
            drawn_ = read_samples(*device_, drawn, std::ssize(u));
            return drawn_;
        }
        void step(std::span<const std::int32_t> tokens) { output_ = desk_->generator.step(tokens); }

    private:
        friend class TextActor;
        Rollouts(D* device, Desk* desk, Policy& policy) : device_(device), desk_(desk), policy_(&policy) {}
        D* device_;
        Desk* desk_;
        Policy* policy_;
        DeviceOutput<Real> output_{};
        std::vector<Sampled> drawn_;
    };
    Rollouts rollouts(backend::Host&, Policy& policy) const { return Rollouts(device_, desk_.get(), policy); }

    /// What `policy` says of a batch of the host: logp, and of entropy, sum_pi_squared and value those that it has.
    /// Waits.
    template <class RunType, class BatchType>
    void read(RunType&, BatchType& batch, Policy& policy, const train::PackedText& text, double temperature) {
        D& device = *device_;
        desk_->sequences.assign(policy.settings(), text.tokens, text.offsets, text.rows);
        auto output = policy.read(desk_->work, desk_->sequences);
        Frame<D> frame(device);
        const std::int64_t tokens = batch.tokens();
        auto* token_there = frame.upload(std::span<const std::int32_t>(batch[col::token{}]));
        auto room = [&]<class Column>(Column) -> Real* {
            return BatchType::template has<Column> ? frame.template take<Real>(tokens) : nullptr;
        };
        RowColumns<Real> columns{room(col::logp{}), nullptr, room(col::entropy{}), room(col::sum_pi_squared{})};
        selective_log_softmax(device, Logits<Real>(output.logits, output.rows, policy.settings().vocabulary),
                              token_there, static_cast<const Real*>(nullptr), temperature, columns);
        auto bring = [&]<class Column>(Column column, const Real* from) {
            if constexpr (BatchType::template has<Column>)
                device.copy(batch[column].data(), from, batch[column].size_bytes(), Way::to_host);
        };
        bring(col::logp{}, columns.logp);
        bring(col::entropy{}, columns.entropy);
        bring(col::sum_pi_squared{}, columns.sum_pi_squared);
        bring(col::value{}, output.values);
        device.wait();
    }

    /// What an algorithm's steps keep on the device: the objective's counts and outcome, the gradients, the step rule's
    /// State.
    template <class A>
    class Steps {
        using Rule = std::remove_cvref_t<decltype(std::declval<const A&>().optimizer.step)>;

    public:
        /// One step: `each_piece` calls what it is given for each micro-batch of the host, `text` packs one. Waits once
        /// a micro-batch, for what the objective measured.
        template <class RunType, class EachPiece, class Text>
        auto take(RunType& run, const typename A::State& state, Policy& policy, double temperature,
                  EachPiece&& each_piece, Text&& text) {
            D& device = *device_;
            Run<D> here{device, run.random, run.progress};
            gradients_.zero();
            objective_.begin();
            each_piece([&](const auto& piece) {
                Frame<D> frame(device);
                auto batch = detail::staged(device, frame, piece);
                objective_.add(here, state, batch);
            });
            typename Objective<A, D>::Result sum{};
            each_piece([&](const auto& piece) {
                Frame<D> frame(device);
                auto batch = detail::staged(device, frame, piece);
                using BatchType = decltype(batch);
                const train::PackedText& packed = text(piece);
                desk_->sequences.assign(policy.settings(), packed.tokens, packed.offsets, packed.rows);
                auto output = policy.forward(desk_->work, desk_->sequences);
                if constexpr (BatchType::template has<col::value>)
                    device.copy(batch[col::value{}], output.values, std::size_t(output.rows) * sizeof(Real),
                                Way::within);
                objective_.from_logits(here, state, batch,
                                       Logits<Real>(output.logits, output.rows, policy.settings().vocabulary),
                                       temperature);
                policy.backward(desk_->work, desk_->sequences, output.logits,
                                objective_.template optional<col::grad<col::value>>(batch), gradients_.data());
                sum += objective_.read(batch);
            });
            stepper_.step(policy.parameters(), gradients_.data());
            policy.changed();
            return sum;
        }
        /// From and to the step rule's State on the host. Both wait.
        void load(const typename Rule::State& state) { stepper_.load(state); }
        void save(typename Rule::State& state) const { stepper_.save(state); }

    private:
        friend class TextActor;
        Steps(D& device, Desk* desk, const A& algorithm, std::int64_t size)
            : device_(&device),
              desk_(desk),
              objective_(device, algorithm),
              stepper_(device, algorithm.optimizer.step, size),
              gradients_(device, size) {}
        D* device_;
        Desk* desk_;
        Objective<A, D> objective_;
        Stepper<Rule, Real, D> stepper_;
        Buffer<Real, D> gradients_;
    };
    template <class A>
    Steps<A> steps(const Policy& policy, const A& algorithm) const {
        return Steps<A>(*device_, desk_.get(), algorithm, policy.size());
    }

    /// Both wait.
    void write(Tensors& file, const Policy& policy, const std::string& prefix) const {
        auto parameters = layout_of(policy);
        auto values = policy.download();
        std::copy(values.begin(), values.end(), parameters.values().begin());
        parameters.write(file, prefix);
    }
    void read(const Tensors& file, Policy& policy, const std::string& prefix) const {
        auto parameters = layout_of(policy);
        parameters.read(file, prefix);
        policy.upload(parameters.values());
        device_->wait();
    }

private:
    static actor::Parameters<Real> layout_of(const Policy& policy) {
        actor::Parameters<Real> parameters;
        actor::add_transformer(parameters, policy.settings());
        return parameters;
    }

    D* device_;
    std::unique_ptr<Desk> desk_;
};

}  // namespace roars::gpu

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "roars/cuda/segments.hpp"
#include "roars/optimizer/step/accumulated.hpp"
#include "roars/optimizer/step/adamw.hpp"
#include "roars/optimizer/step/averaged.hpp"
#include "roars/optimizer/step/clipped.hpp"
#include "roars/optimizer/step/lion.hpp"
#include "roars/optimizer/step/muon.hpp"
#include "roars/optimizer/step/scheduled.hpp"
#include "roars/optimizer/step/sgd.hpp"

/// The step rules on a device: the same types with the same settings. Their formula is the host's `update`; their state
/// is in the device's memory. A learning rate, a scale and a count of steps are the host's; the norm of a gradient, and
/// what a clip makes of it, stay on the device, so that no step waits.
namespace roars::gpu {

/// By how much a gradient is multiplied: `host`, times what a clip has left on the device. That is NaN where the step
/// must be left out whole, and -1 where it is not due.
struct GradientScale {
    double host = 1.0;
    const double* device = nullptr;

    ROARS_FN bool leaves_out() const { return device && !(*device >= 0.0); }
    /// Not for what the gradient is: Accumulated waits for more of them.
    ROARS_FN bool waits() const { return device && *device < 0.0; }
    ROARS_FN double value() const { return device ? host * *device : host; }
};

namespace detail {

/// update(g, value...) for every parameter, 16 bytes at a time; its numbers that only the device knows are put in
/// first.
template <class Real, class Update, int count>
struct UpdateAll {
    static constexpr int threads = 256, width = packet_width<Real>, rounds = 4;
    static constexpr std::int64_t tile = std::int64_t{threads} * width * rounds;
    struct Shared {};
    std::int64_t size;
    Update update;
    const Real* gradient;
    Real* value[count];
    bool aligned;
    GradientScale scale;
    const double* corrections;  ///< of AdamW

    template <class Block>
    ROARS_FN void operator()(Block& block, Shared&) const {
        if (scale.leaves_out()) return;
        Update own = update;
        if constexpr (requires { own.factor; }) own.factor = static_cast<Real>(scale.value());
        if constexpr (requires { own.correct1; }) {
            own.correct1 = static_cast<Real>(corrections[1]);
            own.correct2 = static_cast<Real>(corrections[2]);
        }
        const std::int64_t first = block.index() * tile;
        block.each([&](int thread) {
            for (int round = 0; round < rounds; ++round) {
                std::int64_t i = first + (std::int64_t{round} * threads + thread) * width;
                if (i >= size) break;
                one_packet(own, i, static_cast<int>(least(width, size - i)));
            }
        });
    }

private:
    ROARS_FN ROARS_INLINE void one_packet(const Update& own, std::int64_t i, int used) const {
        bool all = aligned && used == width;
        auto g = load_packet<Real, width>(gradient + i, used, all);
        Packet<Real, width> x[count];
        for (int k = 0; k < count; ++k) x[k] = load_packet<Real, width>(value[k] + i, used, all);
        for (int k = 0; k < width; ++k) {
            if constexpr (count == 1)
                own(g.value[k], x[0].value[k]);
            else if constexpr (count == 2)
                own(g.value[k], x[0].value[k], x[1].value[k]);
            else
                own(g.value[k], x[0].value[k], x[1].value[k], x[2].value[k]);
        }
        for (int k = 0; k < count; ++k) store_packet(value[k] + i, x[k], used, all);
    }
};

template <class Real, class D, class Update, class... Value>
void update_all(D& device, std::int64_t size, const Update& update, const double* corrections, const Real* gradient,
                const GradientScale& scale, Value*... value) {
    using All = UpdateAll<Real, Update, static_cast<int>(sizeof...(Value))>;
    bool aligned = is_aligned(gradient) && (is_aligned(value) && ...);
    device.launch(pieces_of(size, All::tile), All{size, update, gradient, {value...}, aligned, scale, corrections});
}

/// clock = steps t, 1 / (1 - b1^t), 1 / (1 - b2^t); t goes on unless the step is left out.
struct AdamWClock {
    double beta1, beta2;
    GradientScale scale;
    double* clock;
    ROARS_FN void operator()(std::int64_t) const {
        if (scale.leaves_out()) return;
        double t = clock[0] + 1.0;
        clock[0] = t;
        clock[1] = 1.0 / (1.0 - std::pow(beta1, t));
        clock[2] = 1.0 / (1.0 - std::pow(beta2, t));
    }
};

template <class Real>
struct SquareOf {
    const Real* gradient;
    ROARS_FN double operator()(std::int64_t i) const {
        double x = static_cast<double>(gradient[i]);
        return x * x;
    }
};
/// guard = the factor of a clip (NaN where the norm is not finite), the norm before it, and the steps left out so far.
struct ClipFactor {
    double most;
    GradientScale scale;
    const double* squares;
    double* guard;
    ROARS_FN void operator()(std::int64_t) const {
        if (scale.waits()) {
            guard[0] = -1.0;
            return;
        }
        double before = scale.device ? *scale.device : 1.0;
        double norm = std::sqrt(*squares) * scale.value();
        bool finite = norm - norm == 0.0;
        guard[0] = finite ? before * math::min(1.0, most / (norm + 1e-6)) : norm - norm;
        guard[1] = norm;
        guard[2] += finite ? 0.0 : 1.0;
    }
};

/// What a rule's State on the host has of this: nothing before its first step, which is zeros here. Waits.
template <class T, class D>
void load(D& device, Buffer<T, D>& to, const std::vector<T>& values) {
    if (values.empty())
        to.zero();
    else
        to.upload(values);
    device.wait();
}

}  // namespace detail

/// A step rule with its state in the device's memory. step(parameters, gradients, scale) is the rule's on the host;
/// nothing waits. load(state) and save(state) are from and to the rule's own State on the host, so that a checkpoint
/// is the same wherever the steps are taken; both wait. Rule: step::Sgd, AdamW, Lion or Muon, with Clipped,
/// SkipNonFinite, Scheduled, Averaged and Accumulated around them. `matrices` says where the matrices are, for a rule
/// that asks: Muon.
template <class Rule, class Real, class D>
class Stepper;

template <class Real, class D>
class Stepper<step::AdamW, Real, D> {
public:
    Stepper(D& device, const step::AdamW& rule, std::int64_t size, std::span<const step::MatrixPlace> = {})
        : device_(device), rule_(rule), first_(device, size), second_(device, size), clock_(device, 3) {
        first_.zero();
        second_.zero();
        clock_.zero();
    }
    void step(Real* parameters, const Real* gradients, double scale = 1.0, GradientScale gradient_scale = {}) {
        for_each(device_, 1, detail::AdamWClock{rule_.beta1, rule_.beta2, gradient_scale, clock_.data()});
        detail::update_all(device_, first_.size(), rule_.template at_step<Real>(1.0, scale, 1.0), clock_.data(),
                           gradients, gradient_scale, parameters, first_.data(), second_.data());
    }
    using State = step::AdamW::StateOf<Real>;
    void load(const State& state) {
        detail::load(device_, first_, state.first);
        detail::load(device_, second_, state.second);
        detail::load(device_, clock_, {static_cast<double>(state.steps), 0.0, 0.0});
    }
    void save(State& state) const {
        state = {first_.download(), second_.download(), static_cast<std::int64_t>(read_value(device_, clock_.data()))};
    }
    const Real* first() const { return first_.data(); }
    const Real* second() const { return second_.data(); }

private:
    D& device_;
    step::AdamW rule_;
    Buffer<Real, D> first_, second_;
    Buffer<double, D> clock_;
};

template <class Real, class D>
class Stepper<step::Sgd, Real, D> {
public:
    Stepper(D& device, const step::Sgd& rule, std::int64_t size, std::span<const step::MatrixPlace> = {})
        : device_(device), rule_(rule), size_(size), velocity_(device, rule.momentum == 0.0 ? 0 : size) {
        velocity_.zero();
    }
    void step(Real* parameters, const Real* gradients, double scale = 1.0, GradientScale gradient_scale = {}) {
        auto update = rule_.template formula<Real>(scale, 1.0);
        if (rule_.momentum == 0.0)
            detail::update_all(device_, size_, update, nullptr, gradients, gradient_scale, parameters);
        else
            detail::update_all(device_, size_, update, nullptr, gradients, gradient_scale, parameters,
                               velocity_.data());
    }
    using State = step::Sgd::StateOf<Real>;
    void load(const State& state) { detail::load(device_, velocity_, state.velocity); }
    void save(State& state) const { state.velocity = velocity_.download(); }

private:
    D& device_;
    step::Sgd rule_;
    std::int64_t size_;
    Buffer<Real, D> velocity_;
};

template <class Real, class D>
class Stepper<step::Lion, Real, D> {
public:
    Stepper(D& device, const step::Lion& rule, std::int64_t size, std::span<const step::MatrixPlace> = {})
        : device_(device), rule_(rule), momentum_(device, size) {
        momentum_.zero();
    }
    void step(Real* parameters, const Real* gradients, double scale = 1.0, GradientScale gradient_scale = {}) {
        detail::update_all(device_, momentum_.size(), rule_.template formula<Real>(scale, 1.0), nullptr, gradients,
                           gradient_scale, parameters, momentum_.data());
    }
    using State = step::Lion::StateOf<Real>;
    void load(const State& state) { detail::load(device_, momentum_, state.momentum); }
    void save(State& state) const { state.momentum = momentum_.download(); }

private:
    D& device_;
    step::Lion rule_;
    Buffer<Real, D> momentum_;
};

namespace detail {

/// What Clipped and SkipNonFinite share. A norm beyond double leaves the step out too.
template <class Base, class Real, class D>
class Guarded {
public:
    Guarded(D& device, const Base& base, double most, std::int64_t size, std::span<const step::MatrixPlace> matrices)
        : device_(device), base_(device, base, size, matrices), most_(most), size_(size), guard_(device, 3) {
        guard_.zero();
    }
    void step(Real* parameters, const Real* gradients, double scale = 1.0, GradientScale gradient_scale = {}) {
        {
            Frame<D> frame(device_);
            auto* squares = frame.template take<double>(1);
            auto* ends = frame.template take<std::int64_t>(2);
            segmented_sum_of(device_, whole(device_, size_, ends), SquareOf<Real>{gradients}, squares);
            for_each(device_, 1, ClipFactor{most_, gradient_scale, squares, guard_.data()});
        }
        base_.step(parameters, gradients, scale, {gradient_scale.host, guard_.data()});
    }
    using State = step::GuardedState<typename Stepper<Base, Real, D>::State>;
    void load(const State& state) {
        base_.load(state.base);
        detail::load(device_, guard_, {0.0, state.norm, static_cast<double>(state.skipped)});
    }
    void save(State& state) const {
        base_.save(state.base);
        state.norm = norm();
        state.skipped = skipped();
    }
    /// Of the last gradient, before the clip; waits.
    double norm() const { return read_value(device_, guard_.data() + 1); }
    std::int64_t skipped() const { return static_cast<std::int64_t>(read_value(device_, guard_.data() + 2)); }

private:
    D& device_;
    Stepper<Base, Real, D> base_;
    double most_;
    std::int64_t size_;
    Buffer<double, D> guard_;
};

}  // namespace detail

template <class Base, class Real, class D>
class Stepper<step::Clipped<Base>, Real, D> : public detail::Guarded<Base, Real, D> {
public:
    Stepper(D& device, const step::Clipped<Base>& rule, std::int64_t size,
            std::span<const step::MatrixPlace> matrices = {})
        : detail::Guarded<Base, Real, D>(device, rule.base, rule.max_norm, size, matrices) {}
};
template <class Base, class Real, class D>
class Stepper<step::SkipNonFinite<Base>, Real, D> : public detail::Guarded<Base, Real, D> {
public:
    Stepper(D& device, const step::SkipNonFinite<Base>& rule, std::int64_t size,
            std::span<const step::MatrixPlace> matrices = {})
        : detail::Guarded<Base, Real, D>(device, rule.base, std::numeric_limits<double>::infinity(), size, matrices) {}
};

template <class Base, class Schedule, class Real, class D>
class Stepper<step::Scheduled<Base, Schedule>, Real, D> {
public:
    Stepper(D& device, const step::Scheduled<Base, Schedule>& rule, std::int64_t size,
            std::span<const step::MatrixPlace> matrices = {})
        : schedule_(rule.schedule), base_(device, rule.base, size, matrices) {}
    void step(Real* parameters, const Real* gradients, double scale = 1.0, GradientScale gradient_scale = {}) {
        base_.step(parameters, gradients, scale * schedule_.factor(++steps_), gradient_scale);
    }
    using State = step::ScheduledState<typename Stepper<Base, Real, D>::State>;
    void load(const State& state) {
        base_.load(state.base);
        steps_ = state.steps;
    }
    void save(State& state) const {
        base_.save(state.base);
        state.steps = steps_;
    }
    Stepper<Base, Real, D>& base() { return base_; }

private:
    Schedule schedule_;
    Stepper<Base, Real, D> base_;
    std::int64_t steps_ = 0;
};

template <class Base, class Real, class D>
class Stepper<step::Averaged<Base>, Real, D> {
public:
    Stepper(D& device, const step::Averaged<Base>& rule, std::int64_t size,
            std::span<const step::MatrixPlace> matrices = {})
        : device_(device), keep_(rule.keep), base_(device, rule.base, size, matrices), average_(device, size) {}
    void step(Real* parameters, const Real* gradients, double scale = 1.0, GradientScale gradient_scale = {}) {
        if (!begun_)
            device_.copy(average_.data(), parameters, static_cast<std::size_t>(average_.size()) * sizeof(Real),
                         Way::within);
        begun_ = true;
        base_.step(parameters, gradients, scale, gradient_scale);
        step::detail::AverageUpdate<Real> update{static_cast<Real>(1.0 - keep_)};
        detail::update_all(device_, average_.size(), update, nullptr, static_cast<const Real*>(parameters),
                           GradientScale{1.0, gradient_scale.device}, average_.data());
    }
    using State = step::AveragedState<typename Stepper<Base, Real, D>::State, Real>;
    void load(const State& state) {
        base_.load(state.base);
        detail::load(device_, average_, state.average);
        begun_ = !state.average.empty();
    }
    void save(State& state) const {
        base_.save(state.base);
        state.average = begun_ ? average_.download() : std::vector<Real>();
    }
    const Real* average() const { return average_.data(); }

private:
    D& device_;
    double keep_;
    Stepper<Base, Real, D> base_;
    Buffer<Real, D> average_;
    bool begun_ = false;
};

namespace detail {

/// clock = gradients so far, and what Accumulated's base is told: -1 while more are awaited, NaN where its own is left
/// out, else what makes a mean of the sum.
struct AccumulationClock {
    double steps;
    GradientScale scale;
    double* clock;
    ROARS_FN void operator()(std::int64_t) const {
        double count = clock[0] + (scale.leaves_out() ? 0.0 : 1.0);
        bool due = count >= steps;
        clock[0] = due ? 0.0 : count;
        clock[1] = scale.leaves_out() && !scale.waits() ? *scale.device : due ? 1.0 / count : -1.0;
    }
};
template <class Real>
struct ClearWhereDue {
    const double* clock;
    Real* sum;
    ROARS_FN void operator()(std::int64_t i) const {
        if (clock[1] > 0.0) sum[i] = Real(0);
    }
};
template <class Rule>
inline constexpr bool has_schedule = requires(const Rule& rule) {
    rule.base;
    requires has_schedule<std::remove_cvref_t<decltype(rule.base)>>;
};
template <class Base, class Schedule>
inline constexpr bool has_schedule<step::Scheduled<Base, Schedule>> = true;

}  // namespace detail

/// A schedule within counts the steps that were taken or left out, on the host: so a clip without, by which only the
/// device knows of a gradient that was left out, is refused. Errors: that.
template <class Base, class Real, class D>
class Stepper<step::Accumulated<Base>, Real, D> {
public:
    Stepper(D& device, const step::Accumulated<Base>& rule, std::int64_t size,
            std::span<const step::MatrixPlace> matrices = {})
        : device_(device),
          steps_(rule.steps),
          base_(device, rule.base, size, matrices),
          sum_(device, size),
          clock_(device, 2) {
        sum_.zero();
        clock_.zero();
    }
    void step(Real* parameters, const Real* gradients, double scale = 1.0, GradientScale gradient_scale = {}) {
        detail::update_all(device_, sum_.size(), step::detail::AddGradient<Real>{Real(1)}, nullptr, gradients,
                           gradient_scale, sum_.data());
        on_device_ = gradient_scale.device;
        if (!on_device_) {
            if (++count_ < steps_) return;
            base_.step(parameters, sum_.data(), scale, {1.0 / static_cast<double>(count_)});
            sum_.zero();
            count_ = 0;
            return;
        }
        if constexpr (detail::has_schedule<Base>)
            throw Error("Accumulated: a schedule within and a clip without, expected the schedule without");
        for_each(device_, 1, detail::AccumulationClock{static_cast<double>(steps_), gradient_scale, clock_.data()});
        base_.step(parameters, sum_.data(), scale, {1.0, clock_.data() + 1});
        for_each(device_, sum_.size(), detail::ClearWhereDue<Real>{clock_.data(), sum_.data()});
    }
    using State = step::AccumulatedState<typename Stepper<Base, Real, D>::State, Real>;
    void load(const State& state) {
        base_.load(state.base);
        detail::load(device_, sum_, state.sum);
        detail::load(device_, clock_, {static_cast<double>(state.count), 0.0});
        count_ = state.count;
    }
    void save(State& state) const {
        base_.save(state.base);
        state.sum = sum_.download();
        state.count = on_device_ ? static_cast<std::int64_t>(read_value(device_, clock_.data())) : count_;
    }

private:
    D& device_;
    std::int64_t steps_, count_ = 0;
    bool on_device_ = false;  ///< which of the two counts
    Stepper<Base, Real, D> base_;
    Buffer<Real, D> sum_;
    Buffer<double, D> clock_;
};

namespace detail {

template <class Real>
struct OverNorm {
    const double* squares;
    double eps;
    Real* x;
    ROARS_FN void operator()(std::int64_t i) const { x[i] *= static_cast<Real>(1.0 / (std::sqrt(*squares) + eps)); }
};

/// x = near the closest matrix with orthonormal rows or columns, as step::newton_schulz; `other` is as much memory in
/// passing. Shapes: x, other [rows x columns], row by row, which is the transposed matrix as BLAS has it.
template <class D>
void newton_schulz(D& device, std::int64_t rows, std::int64_t columns, const step::Quintic& k, int iterations,
                   double eps, float* x, float* other) {
    using enum Transposed;
    const std::int64_t side = std::min(rows, columns), size = rows * columns;
    const bool tall = rows > columns;
    Frame<D> frame(device);
    auto* squares = frame.template take<double>(1);
    auto* ends = frame.template take<std::int64_t>(2);
    segmented_sum_of(device, whole(device, size, ends), SquareOf<float>{x}, squares);
    for_each(device, size, OverNorm<float>{squares, eps, x});
    auto* gram = frame.template take<float>(side * side);
    auto* mix = frame.template take<float>(side * side);
    auto copy = [&](float* to, const float* from, std::int64_t count) {
        device.copy(to, from, static_cast<std::size_t>(count) * sizeof(float), Way::within);
    };
    const auto a = static_cast<float>(k.a), b = static_cast<float>(k.b), c = static_cast<float>(k.c);
    float *now = x, *next = other;
    for (int i = 0; i < iterations; ++i) {
        gemm(device, tall ? no : yes, tall ? yes : no, side, side, std::max(rows, columns), 1.0f,
             static_cast<const float*>(now), columns, static_cast<const float*>(now), columns, 0.0f, gram, side);
        copy(mix, gram, side * side);
        gemm(device, no, no, side, side, side, c, static_cast<const float*>(gram), side,
             static_cast<const float*>(gram), side, b, mix, side);
        copy(next, now, size);
        gemm(device, no, no, columns, rows, side, 1.0f, static_cast<const float*>(tall ? mix : now),
             tall ? side : columns, static_cast<const float*>(tall ? now : mix), tall ? columns : side, a, next,
             columns);
        std::swap(now, next);
    }
    if (now != x) copy(x, now, size);
}

}  // namespace detail

/// In float, with the products of blas.cuh.
template <class Rest, class D>
class Stepper<step::Muon<Rest>, float, D> {
public:
    Stepper(D& device, const step::Muon<Rest>& rule, std::int64_t size,
            std::span<const step::MatrixPlace> matrices = {})
        : device_(device),
          rule_(rule),
          matrices_(matrices.begin(), matrices.end()),
          buffer_(device, static_cast<std::int64_t>(step::Muon<Rest>::covered(matrices, size))) {
        buffer_.zero();
        std::int64_t behind = 0;
        auto add = [&](std::int64_t end) {
            rest_.push_back({behind, std::make_unique<OfRest>(device, rule.rest, end - behind)});
        };
        for (const auto& matrix : matrices_) {
            add(matrix.offset);
            behind = matrix.end();
        }
        add(size);
    }
    void step(float* parameters, const float* gradients, double scale = 1.0, GradientScale gradient_scale = {}) {
        for (auto& [begin, rest] : rest_) rest->step(parameters + begin, gradients + begin, scale, gradient_scale);
        std::int64_t place = 0;
        for (const auto& matrix : matrices_) {
            step_matrix(matrix, parameters + matrix.offset, gradients + matrix.offset, buffer_.data() + place, scale,
                        gradient_scale);
            place += matrix.rows * matrix.columns;
        }
    }
    using State = typename step::Muon<Rest>::template StateOf<float>;
    /// Errors: the State has other matrices.
    void load(const State& state) {
        expect(state.rest.empty() || state.rest.size() == rest_.size(), [&] {
            return "Muon: a State of " + std::to_string(state.matrices.size()) + " matrices, expected " +
                   std::to_string(matrices_.size());
        });
        detail::load(device_, buffer_, state.buffer);
        for (std::size_t i = 0; i < rest_.size(); ++i)
            rest_[i].rest->load(state.rest.empty() ? typename OfRest::State{} : state.rest[i]);
    }
    void save(State& state) const {
        state = {matrices_, buffer_.download(), {}};
        for (const auto& each : rest_) each.rest->save(state.rest.emplace_back());
    }

private:
    using OfRest = Stepper<Rest, float, D>;
    struct RestFrom {
        std::int64_t begin;
        std::unique_ptr<OfRest> rest;
    };
    void step_matrix(const step::MatrixPlace& matrix, float* parameters, const float* gradients, float* buffer,
                     double scale, const GradientScale& gradient_scale) {
        const std::int64_t size = matrix.rows * matrix.columns;
        Frame<D> frame(device_);
        auto* direction = frame.template take<float>(size);
        auto* other = frame.template take<float>(size);
        device_.zero(direction, static_cast<std::size_t>(size) * sizeof(float));  // what a step left out works on
        detail::update_all(device_, size, rule_.template momentum_formula<float>(1.0), nullptr, gradients,
                           gradient_scale, buffer, direction);
        detail::newton_schulz(device_, matrix.rows, matrix.columns, rule_.quintic, rule_.iterations, rule_.eps,
                              direction, other);
        detail::update_all(device_, size, rule_.template formula<float>(matrix.rows, matrix.columns, scale), nullptr,
                           static_cast<const float*>(direction), GradientScale{1.0, gradient_scale.device}, parameters);
    }

    D& device_;
    step::Muon<Rest> rule_;
    std::vector<step::MatrixPlace> matrices_;
    Buffer<float, D> buffer_;
    std::vector<RestFrom> rest_;
};

}  // namespace roars::gpu
